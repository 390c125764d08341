"""Pass 1: read the video once, at reduced size, and find out who is where.

Cuts end shots, and nothing is carried across them: tracks, smoothing and bridging of gaps stay
inside a shot. A shot that has ended is settled at once and only its columns are kept, so that
memory hardly grows with the length of the video.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing import covering
from lipwright.dubbing.covering import HIDDEN_REFERENCE, is_covered, outside_share
from lipwright.dubbing.hidden import HIDDEN_LIPS, Hidden, hidden_by, lasting, visible
from lipwright.dubbing.plan import (
    COVERED,
    LOST,
    MISSING,
    OUTSIDE,
    SEEN,
    TOO_SMALL,
    TURNED_AWAY,
    USABLE,
    Plan,
    Track,
    pack_points,
)
from lipwright.dubbing.plan_file import PlanWriter, settle
from lipwright.dubbing.plan_version import plan_version
from lipwright.dubbing.references import Reference, ReferenceSelector, encode_detail, quality
from lipwright.face_regions import MOUTH_WINDOW
from lipwright.faces import alignment, measure
from lipwright.faces.cuts import CutDetector
from lipwright.faces.hands import Hand, HandTracker
from lipwright.faces.landmarks import PatchSampler
from lipwright.faces.paste import OUTLINE_POINTS, outline_mask
from lipwright.faces.tracker import FaceObservation, from_thumbnail
from lipwright.geometry import smoothstep
from lipwright.lip_motion import NeutralMouth
from lipwright.media.info import VideoInfo
from lipwright.media.reader import Frame, VideoReader
from lipwright.media.region import sample_crop
from lipwright.runs import runs_of

THUMBNAIL_SIDE = 960
"""Longest side of the pictures in which faces are looked for: a quarter of 4K."""
REFERENCE_SIZE = 256
DETAIL_FROM = 1.2
"""Of faces so many times larger than this the mouth is kept as fine as it is in the video ..."""
DETAIL_SIDE = 768
"""... with at most so many pixels a side (``face_regions.MOUTH_WINDOW``)."""
REFERENCE_FACES = 4
"""Reference pictures are collected for so many of the largest faces of a frame."""

HAND_FACES = 2
"""Hands are looked for near so many of the largest faces of a frame."""
HAND_SECONDS = 0.4
"""Frames nearer than this to one with a hand before the face are no references."""
WITH_A_HAND = 0.25
"""What a reference frame with a hand before the face is worth beside one without."""

MIN_SIDE = 40.0
"""Crops of fewer display pixels hold no mouth worth drawing."""
TURNED_DEGREES, BACK_DEGREES = 60.0, 52.0
"""A head turned further than the first is a profile until it is back within the second."""
MOST_OUTSIDE = 0.5
"""Of the lower face: with less of it in the picture the landmarks place the lips wrongly, by a
whole lip where the chin is cut off."""
HELD_SECONDS = 0.25
"""A face that is lost for no longer than this is taken to be where its neighbours say."""
FADE_SECONDS = 0.12
"""A face that comes into use or goes out of it inside a shot fades in or out."""
SMOOTH_RADIUS = 2


class Tracker(Protocol):
    """What the analysis needs of a face tracker."""

    @property
    def name(self) -> str:
        """Which networks and settings; plans of different trackers are not mixed."""
        ...

    def update(
        self, image: NDArray[np.uint8], scale: float = 1.0, patch: PatchSampler | None = None
    ) -> list[FaceObservation]:
        """Take the next frame."""
        ...

    def reset(self) -> None:
        """Forget all faces."""
        ...


class TrackSink(Protocol):
    """Takes finished tracks: a plan's writer."""

    def add(self, track: Track, references: list[Reference]) -> None:
        """Take a track with its reference pictures."""
        ...


@dataclass
class _Sighting:
    """A face in one frame, as found."""

    frame: int
    crop: alignment.Affine
    points: NDArray[np.float32]
    lips: NDArray[np.float32]
    opening: float
    yaw: float
    covered: float
    hidden: Hidden


@dataclass
class _Growing:
    """A track of the shot that is being read."""

    number: int
    sightings: list[_Sighting] = field(default_factory=list)
    selector: ReferenceSelector = field(default_factory=ReferenceSelector)


def settings(tracker: Tracker, hands: HandTracker | None = None) -> dict[str, Any]:
    """What a plan depends on beside the video; part of its identity in the cache."""
    found = "" if hands is None else hands.name
    return {"tracker": tracker.name, "hands": found, "version": plan_version()}


def analyse(
    video: Path,
    writer: PlanWriter,
    tracker: Tracker,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    *,
    hands: HandTracker | None = None,
    stream: int | None = None,
    deinterlace: bool = False,
) -> Plan:
    """Make the plan of a video.

    Args:
        video: the file.
        writer: takes the tracks as they are finished; closed on success only.
        tracker: finds and follows faces.
        progress: called after every frame with the number done and an estimate of all.
        hands: follows the hands near faces; None: none are looked for.
        stream: number of the video stream; None: the default one.
        deinterlace: make whole frames of interlaced ones.

    Raises:
        LipwrightError: if nothing of the video can be decoded.
    """
    pts: list[int] = []
    shots: list[tuple[int, int]] = []
    with VideoReader(video, stream=stream, deinterlace=deinterlace) as reader:
        analyser = Analyser(reader.info, writer, tracker, hands)
        cuts = CutDetector()
        last_duration = 0
        for frame in reader:
            image, scale = frame.thumbnail(THUMBNAIL_SIDE)
            if cuts.is_cut(image):
                shots.append(analyser.end_shot(frame.index - 1))
                tracker.reset()
            analyser.take(frame, image, scale)
            pts.append(frame.pts)
            last_duration = frame.duration
            progress(len(pts), reader.info.frame_count)
        shots.append(analyser.end_shot(len(pts) - 1))
        return writer.finish(reader.info.time_base, pts, last_duration, shots, reader.warnings)


class Analyser:
    """Gathers what is known of the faces of one shot after another.

    Args:
        info: of the video.
        writer: takes every track when its shot ends, with its reference pictures.
        tracker: finds and follows faces.
        hands: follows the hands near them; None: none are looked for.
        shot: number of the shot that begins.
        first: its first frame.
    """

    def __init__(
        self,
        info: VideoInfo,
        writer: TrackSink | None,
        tracker: Tracker,
        hands: HandTracker | None = None,
        *,
        shot: int = 0,
        first: int = 0,
    ) -> None:
        self._info, self._writer, self._tracker = info, writer, tracker
        self._tracks: dict[int, _Growing] = {}
        self._numbers = 0
        self._hands = hands
        self._shot, self._first = shot, first

    def take(self, frame: Frame, image: NDArray[np.uint8], scale: float) -> None:
        """Look at one frame."""
        patch = partial(sample_crop, frame.native, self._info)
        faces = self._tracker.update(image, scale, patch)
        faces = sorted(faces, key=lambda face: -float(np.prod(face.box[2:] - face.box[:2])))
        placed: list[tuple[FaceObservation, alignment.Affine]] = []
        for face in faces:
            with contextlib.suppress(ValueError):  # landmarks that fell into a point
                placed.append((face, alignment.estimate(face.landmarks)))
        hands: list[Hand] = []
        if self._hands is not None:
            near = [crop for _, crop in placed[:HAND_FACES]]
            hands = self._hands.update(image, scale, near)
        for rank, (face, crop) in enumerate(placed):
            track = self._tracks.get(face.track)
            if track is None:
                track = self._tracks[face.track] = _Growing(self._numbers)
                self._numbers += 1
            hidden = hidden_by(hands, crop, face.landmarks[list(OUTLINE_POINTS), :2])
            sighting = _Sighting(
                frame.index,
                crop,
                np.asarray(face.landmarks[list(OUTLINE_POINTS), :2], np.float32),
                measure.lip_shape(face.landmarks).astype(np.float32),
                float(measure.mouth_opening(face.landmarks)),
                float(measure.yaw(face.landmarks)),
                _covered(crop, face.landmarks, image, scale, hidden),
                hidden,
            )
            track.sightings.append(sighting)
            if rank < REFERENCE_FACES and self._state(sighting, False) == SEEN:
                self._consider(track.selector, sighting, frame, face.score)

    def _consider(
        self, selector: ReferenceSelector, seen: _Sighting, frame: Frame, score: float
    ) -> None:
        """Take a reference picture if there is use for one."""
        seconds = float(frame.time)
        if not selector.wants(seen.opening, seconds):
            return
        to_display = alignment.to_pixels(seen.crop, REFERENCE_SIZE)
        size = (REFERENCE_SIZE, REFERENCE_SIZE)
        picture = sample_crop(frame.native, self._info, to_display, size)
        crop = np.asarray(np.rint(picture * 255.0), np.uint8)
        good = quality(crop, seen.yaw, score)
        hidden = seen.covered + outside_share(seen.crop, self._info.display_size)
        if seen.hidden.packed:
            hidden += 2 * HIDDEN_REFERENCE
            good *= WITH_A_HAND
        selector.add(
            Reference(frame.index, seconds, seen.opening, good, crop, seen.lips, hidden),
            partial(self._detail, seen, frame),
        )

    def _detail(self, seen: _Sighting, frame: Frame) -> bytes:
        """JPEG of the mouth as fine as it is in the video; empty for a small face."""
        side = float(np.hypot(seen.crop[0, 0], seen.crop[1, 0]))
        if side < DETAIL_FROM * REFERENCE_SIZE:
            return b""
        size = min(DETAIL_SIDE, round(side * (MOUTH_WINDOW[2] - MOUTH_WINDOW[0])))
        to_display = alignment.to_pixels(alignment.part(seen.crop, MOUTH_WINDOW), size)
        picture = sample_crop(frame.native, self._info, to_display, (size, size), sharp=True)
        return encode_detail(np.asarray(np.rint(picture * 255.0), np.uint8))

    def _state(self, seen: _Sighting, turned: bool) -> int:
        """Whether a face can be used; ``turned`` says that it was a profile just before."""
        if float(np.hypot(seen.crop[0, 0], seen.crop[1, 0])) < MIN_SIDE:
            return TOO_SMALL
        if abs(seen.yaw) > (BACK_DEGREES if turned else TURNED_DEGREES):
            return TURNED_AWAY
        x, y = seen.points[-len(measure.OUTER_LIPS) :].mean(axis=0)  # the middle of the mouth
        width, height = self._info.display_size
        if not (0 <= x < width and 0 <= y < height):
            return OUTSIDE
        cut = outside_share(seen.crop, self._info.display_size) > MOST_OUTSIDE
        return OUTSIDE if cut else SEEN

    def end_shot(self, last: int) -> tuple[int, int]:
        """Settle the tracks of the shot that ends with source frame ``last``."""
        first = self._first
        for growing in self._tracks.values():
            track = self._settled(growing, first, last)
            assert self._writer is not None
            self._writer.add(track, growing.selector.choose(avoid=self._near_hands(track)))
        self._tracks.clear()
        self._first = last + 1
        self._shot += 1
        if self._hands is not None:
            self._hands.reset()
        return first, last

    def forget(self, before: int) -> None:
        """Drop what was seen before a frame, but no reference pictures; for a shot without end."""
        for number, growing in list(self._tracks.items()):
            growing.sightings = [s for s in growing.sightings if s.frame >= before]
            if not growing.sightings:
                del self._tracks[number]

    def largest(self) -> int | None:
        """The tracker's number of the face that was largest when it was last seen; None: nobody."""
        last = {n: g.sightings[-1] for n, g in self._tracks.items()}
        newest = max((seen.frame for seen in last.values()), default=None)
        there = {n: seen for n, seen in last.items() if seen.frame == newest}
        return max(there, key=lambda n: float(np.hypot(*there[n].crop[:, 0])), default=None)

    def so_far(self, number: int) -> tuple[Track, list[Reference]]:
        """One face as it would be settled if its shot ended with its last frame."""
        growing = self._tracks[number]
        first, last = growing.sightings[0].frame, growing.sightings[-1].frame
        track = self._settled(growing, first, last)
        return track, growing.selector.choose(avoid=self._near_hands(track))

    def _near_hands(self, track: Track) -> set[int]:
        """Frames in which, or shortly before or after which, a hand lies before the face.

        A hand that comes may not be seen at once.
        """
        near = math.ceil(HAND_SECONDS * self._info.average_rate)
        rows = np.array(sorted(track.hidden), np.int64)[:, None] + np.arange(-near, near + 1)
        return set((track.first + rows).ravel().tolist())

    def _settled(self, growing: _Growing, shot_first: int, shot_last: int) -> Track:
        """Gaps bridged, crops smoothed, states and strengths decided."""
        seen = {sighting.frame: sighting for sighting in growing.sightings}
        first, last = growing.sightings[0].frame, growing.sightings[-1].frame
        count = last - first + 1
        rate = self._info.average_rate
        found = [seen[f].crop if f in seen else None for f in range(first, last + 1)]
        filled = alignment.fill_gaps(found, math.floor(HELD_SECONDS * rate))
        crops = np.zeros((count, 4))
        points = np.zeros((count, len(OUTLINE_POINTS), 2))
        openings = np.zeros(count)
        lips = np.zeros((count, len(measure.LIP_POINTS), 2))
        states = np.full(count, MISSING, np.uint8)
        usual = float(np.median([sighting.covered for sighting in growing.sightings]))
        rows = [seen.get(frame) for frame in range(first, last + 1)]
        hidden = lasting([None if row is None else row.hidden for row in rows], float(rate))
        for start, stop in runs_of(np.array([crop is not None for crop in filled])).tolist():
            known = [crop for crop in filled[start:stop] if crop is not None]
            smooth = alignment.smooth(known, SMOOTH_RADIUS)
            crops[start:stop] = alignment.parameters(smooth)
            turned = False
            for row in range(start, stop):
                sighting = seen.get(first + row)
                if sighting is None:
                    states[row] = LOST
                    continue
                states[row] = self._state(sighting, turned)
                turned = states[row] == TURNED_AWAY
                covered = row in hidden and hidden[row].lips > HIDDEN_LIPS
                if states[row] == SEEN and (covered or is_covered(sighting.covered, usual)):
                    states[row] = COVERED
                to_unit = alignment.invert(smooth[row - start])
                points[row] = alignment.apply(to_unit, sighting.points)
                openings[row], lips[row] = sighting.opening, sighting.lips
            _bridge(states[start:stop], points[start:stop], openings[start:stop])
        usable = np.isin(states, USABLE)
        rest = NeutralMouth.of(
            np.array([sighting.opening for sighting in growing.sightings]),
            np.stack([sighting.lips for sighting in growing.sightings]),
        )
        fade = max(1, math.ceil(FADE_SECONDS * rate))
        at_start, at_end = first == shot_first, last == shot_last
        return Track(
            number=growing.number,
            shot=self._shot,
            first=first,
            crops=settle(crops),
            points=pack_points(points),
            openings=settle(openings).astype(np.float32),
            lips=pack_points(lips),
            states=states,
            strength=settle(fades(usable, fade, at_start, at_end)).astype(np.float32),
            rest=settle(rest.shape).astype(np.float32),
            rest_opening=float(settle(np.array(rest.opening))),
            hidden={row: each.packed for row, each in hidden.items()},
        )


def _covered(
    crop: alignment.Affine,
    landmarks: NDArray[np.float32],
    image: NDArray[np.uint8],
    scale: float,
    hidden: Hidden,
) -> float:
    """How much of a lower face something else than a hand is held before.

    See ``covering.covered_share``.
    """
    to_display = alignment.to_pixels(crop, covering.SIDE)
    small = from_thumbnail(image, scale, to_display, (covering.SIDE, covering.SIDE))
    points = alignment.apply(alignment.invert(to_display), landmarks[list(OUTLINE_POINTS), :2])
    mask = outline_mask(points, covering.SIDE, opening=0.0)
    height, width = (length * scale for length in image.shape[:2])
    mask *= covering.inside_mask(crop, (width, height))
    if hidden.packed:
        mask *= visible(hidden.packed, covering.SIDE)
    return covering.covered_share(small, mask)


def fades(
    usable: NDArray[np.bool_], frames: int, starts_with_shot: bool, ends_with_shot: bool
) -> NDArray[np.float64]:
    """How strongly the edit of each frame shows.

    Args:
        usable: (n,) whether it can be shown at all.
        frames: length of a fade.
        starts_with_shot: there is no fade after a cut.
        ends_with_shot: nor before one.

    Returns:
        (n,) in [0, 1], 0 exactly where not usable.
    """
    strength = np.zeros(usable.size)
    for start, stop in runs_of(usable).tolist():
        index = np.arange(stop - start)
        share = np.ones(index.size)
        if start > 0 or not starts_with_shot:
            share = np.minimum(share, (index + 1) / (frames + 1))
        if stop < usable.size or not ends_with_shot:
            share = np.minimum(share, (index.size - index) / (frames + 1))
        strength[start:stop] = smoothstep(share)
    return strength


def _bridge(
    states: NDArray[np.uint8], points: NDArray[np.float64], openings: NDArray[np.float64]
) -> None:
    """Give LOST rows the outline between their neighbours'.

    A gap beside an unusable face cannot be used either.
    """
    known = np.flatnonzero(states != LOST)
    rows = np.arange(states.size)
    flat = points.reshape(states.size, -1)
    for column in (*flat.T, openings):
        column[:] = np.interp(rows, known, column[known])
    for start, stop in runs_of(states == LOST).tolist():
        for neighbour in (states[start - 1], states[stop]):
            if neighbour not in USABLE:
                states[start:stop] = neighbour
