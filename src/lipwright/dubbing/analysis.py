"""Pass 1: read the video once, at reduced size, and find out who is where.

Cuts end shots, and nothing is carried across them: tracks, smoothing and bridging of gaps stay
inside a shot. A shot that has ended is settled at once and only its columns are kept, so that
memory hardly grows with the length of the video.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.hidden import frames_near
from lipwright.dubbing.plan import SEEN, Plan, Track
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.dubbing.plan_version import plan_version
from lipwright.dubbing.reference_pictures import consider
from lipwright.dubbing.references import Reference, ReferenceSelector
from lipwright.dubbing.sighting import Sighting, sighted, usability
from lipwright.dubbing.track_building import build_track
from lipwright.faces import alignment
from lipwright.faces.cuts import CutDetector
from lipwright.faces.hands import Hand, HandTracker
from lipwright.faces.landmarks import PatchSampler
from lipwright.faces.tracker import FaceObservation
from lipwright.media.info import VideoInfo
from lipwright.media.reader import Frame, VideoReader
from lipwright.media.region import sample_crop

THUMBNAIL_SIDE = 960
"""Longest side of the pictures in which faces are looked for: a quarter of 4K."""
REFERENCE_FACES = 4
"""Reference pictures are collected for so many of the largest faces of a frame."""
HAND_FACES = 2
"""Hands are looked for near so many of the largest faces of a frame."""


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
class _Growing:
    """A track of the shot that is being read."""

    number: int
    sightings: list[Sighting] = field(default_factory=list)
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
    until: Fraction | None = None,
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
        until: look at the frames that appear before this time, in seconds; None: at all.

    Raises:
        LipwrightError: if nothing of the video can be decoded.
    """
    pts: list[int] = []
    shots: list[tuple[int, int]] = []
    with VideoReader(video, stream=stream, deinterlace=deinterlace) as reader:
        analyser = Analyser(reader.info, writer, tracker, hands)
        cuts = CutDetector()
        last_duration = 0
        total = reader.info.frame_count
        if total is not None and until is not None:
            total = min(total, ceil(until * reader.info.average_rate))
        for frame in reader:
            if until is not None and frame.time >= until:
                break
            image, scale = frame.thumbnail(THUMBNAIL_SIDE)
            if cuts.is_cut(image):
                shots.append(analyser.end_shot(frame.index - 1))
                tracker.reset()
            analyser.take(frame, image, scale)
            pts.append(frame.pts)
            last_duration = frame.duration
            progress(len(pts), total)
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
            sighting = sighted(frame.index, face.landmarks, crop, hands, image, scale)
            track.sightings.append(sighting)
            usable = usability(sighting, False, self._info.display_size) == SEEN
            if rank < REFERENCE_FACES and usable:
                consider(track.selector, sighting, frame, self._info, face.score)

    def end_shot(self, last: int) -> tuple[int, int]:
        """Settle the tracks of the shot that ends with source frame ``last``."""
        first = self._first
        for growing in self._tracks.values():
            assert self._writer is not None
            self._writer.add(*self._settled(growing, (first, last)))
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
        return max(there, key=lambda n: there[n].side, default=None)

    def so_far(self, number: int) -> tuple[Track, list[Reference]]:
        """One face as it would be settled if its shot ended with its last frame."""
        growing = self._tracks[number]
        ends = growing.sightings[0].frame, growing.sightings[-1].frame
        return self._settled(growing, ends)

    def _settled(self, growing: _Growing, frames: tuple[int, int]) -> tuple[Track, list[Reference]]:
        """A track and its references, as they are if its shot has these first and last frames."""
        track = build_track(growing.number, growing.sightings, self._info, self._shot, frames)
        hands = [track.first + row for row in track.hidden]
        near = frames_near(hands, self._info.average_rate)
        return track, growing.selector.choose(avoid=near)
