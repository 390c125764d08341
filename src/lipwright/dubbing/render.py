"""Pass 2: draw the mouths, frame after frame, in bounded memory.

Four threads hand each other frames through queues that count bytes:

    decode and sample crops  ->  method  ->  composite and mark  ->  encode

Frames travel in windows of at most ``batch_size`` frames; a window never crosses the end of a
segment, and its size depends on nothing but the settings. So a resumed job calls the method with
the very batches of an uninterrupted one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing import composite
from lipwright.dubbing.enhancing import FaceEnhancer
from lipwright.dubbing.frames import FrameStore, frame_bytes
from lipwright.dubbing.lip_warp import warp_lips
from lipwright.dubbing.options import Detail
from lipwright.dubbing.plan import Plan, PlannedFace
from lipwright.dubbing.queues import ThreadGroup
from lipwright.dubbing.schedule import Schedule
from lipwright.faces import alignment, paste
from lipwright.lip_motion import NeutralMouth
from lipwright.media.bars import overlap, without_bars
from lipwright.media.info import VideoInfo
from lipwright.media.mel import SILENCE, column_at, windows
from lipwright.media.region import RegionEdit, crop_to_storage, sample_crop
from lipwright.methods.articulation import stretched, unstretched
from lipwright.methods.base import Method, ReferenceLips

QUEUE_BYTES = 32 << 20
"""Bound of each of the three queues: 10 frames of 1080p, 2 of 4K."""
WINDOW_BYTES = 96 << 20
"""A window of frames holds no more than this, or a single frame."""

MAP = 64
"""Side of the maps that say where reference frames show a face."""
JAW_DROP = 0.2
"""How far below a reference's chin, as part of the face's height, its picture still counts as face:
there it has to cover the chin of a mouth that stands wide open in this frame."""

Picture = NDArray[np.float32]


class Marker(Protocol):
    """The last pixel step: the invisible watermark."""

    def mark(
        self,
        frame: av.VideoFrame,
        info: VideoInfo,
        face_boxes_display: Iterable[Sequence[float]],
    ) -> None:
        """Write the mark into a frame, in place; the boxes are the drawn faces, display px."""
        ...


class Sink(Protocol):
    """Takes the finished frames in order."""

    def write(self, k: int, native: av.VideoFrame) -> None:
        """Output frame ``k``."""
        ...

    def end_segment(self) -> None:
        """All frames up to a segment's end have been written."""
        ...


@dataclass
class Face:
    """A face on its way through the threads."""

    planned: PlannedFace
    source: Picture
    generated: Picture | None = None
    baseline: Picture | None = None
    restored: Picture | None = None
    redrawn: bool = False
    lips: NDArray[np.float64] | None = None
    """(40, 2) contours of the drawn lips in parts of the crop, where they are known."""
    support: Picture | None = None
    """How far its references show a face at each place, see ``composite.support``."""


@dataclass
class PendingFrame:
    """A frame on its way through the threads: its number, picture and faces."""

    k: int
    native: av.VideoFrame
    faces: list[Face] = field(default_factory=list)


class StartedFaces:
    """What a method without a memory made of the reference frames of faces, for later jobs.

    Holds the faces of one video, and of one method; who changes the method has to clear it.
    """

    def __init__(self) -> None:
        self._of: object = None
        self._states: dict[int, Any] = {}

    def state(self, plan: Plan, track: int, start: Callable[[], Any]) -> Any:
        """The state of a face, started unless it was before."""
        of = plan.source, json.dumps(plan.settings, sort_keys=True)
        if of != self._of:
            self.clear()
            self._of = of
        if track not in self._states:
            self._states[track] = start()
        return self._states[track]

    def clear(self) -> None:
        """Forget all."""
        self._of = None
        self._states.clear()


@dataclass(frozen=True)
class Job:
    """What a render needs to know.

    Attributes:
        info: of the video.
        schedule: what is to be done with each output frame.
        method: draws the faces.
        store: frames of the video; None where they come from elsewhere.
        audio_features: (C, T) what the method made of the speech (``Method.speech_features``);
            None where a renderer knows better.
        adapted: the same by track, for tracks whose person's articulation is known.
        expressiveness: what predicted lip motions are multiplied by.
        enhancer: stage 2, or None.
        marker: writes the watermark, or None.
        batch_size: frames per window.
        segment: frames per segment of the output.
        detail: see ``composite.prepare``.
        started: faces that earlier jobs with this method have started, or None.
    """

    info: VideoInfo
    schedule: Schedule
    method: Method
    store: FrameStore | None = None
    audio_features: Picture | None = None
    enhancer: FaceEnhancer | None = None
    marker: Marker | None = None
    batch_size: int = 8
    segment: int = 250
    detail: Detail = "keep"
    started: StartedFaces | None = None
    expressiveness: float = 1.0
    adapted: Mapping[int, Picture] = field(default_factory=dict)


@dataclass
class Beyond:
    """Drawn faces whose lips the method could not place where the speech wants them.

    Attributes:
        faces: so many were drawn while somebody spoke, of methods that tell.
        short: so many of them fell short by more than ``SHORT``.
    """

    faces: int = 0
    short: int = 0


SHORT = 0.008
"""Distance in parts of the crop's side, at the lip point that falls short most: 2 pixels of 256."""


def render(
    job: Job,
    sink: Sink,
    start: int = 0,
    progress: Callable[[int], None] = lambda done: None,
    stop: int | None = None,
) -> Beyond:
    """Render output frames into ``sink``.

    Args:
        job: what to render.
        sink: takes the frames.
        start: the first one, which begins a segment.
        progress: is told how many frames are done.
        stop: the one behind the last, at the end of a segment; None: all that follow.

    Returns:
        How often the speech asked for mouths that the reference frames do not show.

    Raises:
        LipwrightError: and whatever else any of the threads met; all have ended by then.
    """
    threads = ThreadGroup()
    decoded, drawn, finished = (threads.queue(QUEUE_BYTES) for _ in range(3))
    face_renderer = FaceRenderer(job)
    begin = start
    if start < len(job.schedule) and not job.method.info.stateless:
        # A recurrent method has to see the shot from its beginning again, in the same windows.
        begin = job.schedule.shot_pass(start) // job.segment * job.segment
    written = [start]
    frame_size, crop_size = frame_bytes(job.info), 12 * job.method.size**2

    def size(work: PendingFrame) -> int:
        return frame_size + 3 * crop_size * len(work.faces)

    def decode() -> None:
        for work in _decoded(job, begin, stop):
            decoded.put(work, size(work))
        decoded.finish()

    def draw() -> None:
        for window in _windows(decoded, job):
            face_renderer.draw(window)
            for work in window:
                if work.k >= start:  # before that, only a recurrent method's memory is rebuilt
                    drawn.put(work, size(work))
        drawn.finish()

    def compose() -> None:
        for item in drawn:
            assert isinstance(item, PendingFrame)
            composite_faces(item, job)
            item.faces.clear()
            finished.put(item, frame_size)
        finished.finish()

    def encode() -> None:
        for item in finished:
            assert isinstance(item, PendingFrame)
            sink.write(item.k, item.native)
            if (item.k + 1) % job.segment == 0 or item.k + 1 == len(job.schedule):
                sink.end_segment()
            written[0] = item.k + 1

    for work in (decode, draw, compose, encode):
        threads.start(work.__name__, work)
    threads.wait(lambda: progress(written[0]))
    progress(written[0])
    return face_renderer.beyond


RUN_UP = 25
"""Frames that a method with a memory sees before a single frame of a preview."""


def preview(job: Job, frames: list[int]) -> Iterator[tuple[av.VideoFrame, av.VideoFrame]]:
    """Single output frames, before and after.

    A method with a memory begins up to ``RUN_UP`` frames before each, inside the same shot.
    """
    from lipwright.media.planes import private_copy

    assert job.store is not None
    stateless = job.method.info.stateless
    face_renderer = FaceRenderer(job)
    for k in frames:
        begin = k
        if not stateless:
            begin = max(job.schedule.shot_pass(k), k - RUN_UP)
            face_renderer = FaceRenderer(job)
        order = job.schedule.timeline.source[begin : k + 1]
        for place, frame in enumerate(job.store.follow(order), begin):
            work = face_work(job, place, frame.native)
            before = private_copy(work.native) if place == k else work.native
            face_renderer.draw([work])
        composite_faces(work, job)
        yield before, work.native


def _decoded(job: Job, begin: int, stop: int | None) -> Iterator[PendingFrame]:
    assert job.store is not None
    order = job.schedule.timeline.source[begin:stop]
    for k, frame in enumerate(job.store.follow(order), begin):
        yield face_work(job, k, frame.native)


def face_work(job: Job, k: int, native: av.VideoFrame) -> PendingFrame:
    """Output frame ``k`` on its way, with the crops of its faces."""
    work = PendingFrame(k, native)
    side = job.method.size
    for planned in job.schedule.faces(k):
        to_display = alignment.to_pixels(planned.crop, side)
        work.faces.append(Face(planned, sample_crop(native, job.info, to_display, (side, side))))
    return work


def _windows(queue: Any, job: Job) -> Iterator[list[PendingFrame]]:
    most = max(1, min(job.batch_size, WINDOW_BYTES // frame_bytes(job.info)))
    window: list[PendingFrame] = []
    for work in queue:
        window.append(work)
        if len(window) == most or (work.k + 1) % job.segment == 0:
            yield window
            window = []
    if window:
        yield window


class FaceRenderer:
    """Calls the method, one batch per track and window, and keeps its state for each of them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._states: dict[tuple[int, int], Any] = {}
        self._references: dict[int, Picture] = {}
        self.beyond = Beyond()

    def draw(self, window: list[PendingFrame]) -> None:
        """Fill in ``generated`` and ``baseline`` of all faces of a window."""
        job = self._job
        groups: dict[tuple[int, int], list[tuple[int, Face]]] = {}
        for work in window:
            for face in work.faces:
                key = (face.planned.track, job.schedule.shot_pass(work.k))
                groups.setdefault(key, []).append((work.k, face))
        last_pass = job.schedule.shot_pass(window[-1].k)
        for key, members in groups.items():
            if key not in self._states:
                self._states[key] = self._start(key[0])
            sources = np.stack([face.source for _, face in members])
            faces = np.ascontiguousarray(sources.transpose(0, 3, 1, 2)) * np.float32(2) - 1
            audio = self.audio([k for k, _ in members], key[0])
            made = job.method.render(faces, audio, self._states[key])
            pictures = _pictures(made.faces)
            steps = made.step if made.lips is not None else None
            copies = None if made.baseline is None else _pictures(made.baseline)
            restored = None
            if made.restored is not None:
                restored = _pictures(made.restored)
            for i, (k, face) in enumerate(members):
                if steps is not None and job.schedule.activity_of(key[0])[k] > 0:
                    self.beyond.faces += 1
                    furthest = float(np.linalg.norm(steps[i], axis=-1).max())
                    self.beyond.short += furthest > SHORT
                face.generated = pictures[i]
                face.redrawn = made.redrawn
                face.baseline = None if copies is None else copies[i]
                face.restored = None if restored is None else restored[i]
                if made.lips is not None and made.step is not None:
                    face.lips = made.lips[i] + made.step[i]
                if made.weights is not None:
                    face.support = self._support(face.planned, made.weights[i])
                if steps is not None and made.lips is not None and np.abs(steps[i]).max() > 1e-3:
                    if face.restored is not None:  # then nothing else is shown
                        face.restored = warp_lips(face.restored, made.lips[i], steps[i])
                    else:
                        face.generated = warp_lips(face.generated, made.lips[i], steps[i])
        # A shot that has passed comes back, if ever, as another pass with a state of its own.
        self._states = {key: state for key, state in self._states.items() if key[1] == last_pass}
        tracks = {number for number, _ in self._states}
        self._references = {
            number: masks for number, masks in self._references.items() if number in tracks
        }

    def _start(self, track: int) -> Any:
        """State of a face of which nothing has been drawn in this shot."""
        job = self._job

        def start() -> Any:
            return job.method.start(*self._reference(track))

        if job.started is None or not job.method.info.stateless:
            return start()
        return job.started.state(job.schedule.plan, track, start)

    def _support(self, planned: PlannedFace, weights: NDArray[np.float64]) -> Picture:
        track = self._job.schedule.track(planned.track)
        if planned.track not in self._references:
            faces = [track.face(frame) for frame, _ in track.references]
            masks = [
                np.ones((MAP, MAP)) if f is None else face_mask(f, MAP, JAW_DROP) for f in faces
            ]
            self._references[planned.track] = np.stack(masks).astype(np.float32)
        return composite.support(weights, self._references[planned.track], face_mask(planned, MAP))

    def audio(self, frames: list[int], track: int) -> Picture:
        """(B, C, W) windows, or (B, K) single columns, at rest where nobody speaks."""
        schedule = self._job.schedule
        features = self._job.adapted.get(track, self._job.audio_features)
        assert features is not None
        times = [schedule.timeline.time(k) for k in frames]
        activity = np.asarray(schedule.activity_of(track)[frames], np.float32)
        if self._job.method.info.whole_speech:
            columns = np.array([column_at(time) for time in times])
            activity = activity * (columns < features.shape[1])  # behind the end nothing is said
            picked: Picture = features[:, columns.clip(max=features.shape[1] - 1)].T
            method = self._job.method
            if method.motions is None:
                return np.asarray(picked * activity[:, None], np.float32)
            # 0 is the mouth at rest; less of a motion is less of what is drawn.
            share = (activity * np.float32(self._job.expressiveness))[:, None]
            return unstretched(share * stretched(picked, method.articulation), method.articulation)
        audio = windows(features, times, self._job.method.info.audio)
        silence = np.float32(SILENCE)
        return silence + activity[:, None, None] * (audio - silence)

    def _reference(self, number: int) -> tuple[Picture, ReferenceLips]:
        """(R, 3, S, S) in [-1, 1], and what the lips do there."""
        schedule, method = self._job.schedule, self._job.method
        side = method.info.reference_size
        track = schedule.track(number)
        references = []
        for picture in schedule.plan.references(track):
            if picture.shape[0] != side:
                how = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_CUBIC
                picture = np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)
            references.append(picture)
        stack = np.stack(references).transpose(0, 3, 1, 2).astype(np.float32)
        lips = ReferenceLips(
            np.array([opening for _, opening in track.references]),
            np.stack(track.reference_lips),
            NeutralMouth(track.rest_opening, track.rest),
        )
        return np.ascontiguousarray(stack) / np.float32(127.5) - 1, lips


def _pictures(faces: Picture) -> list[Picture]:
    """(B, 3, S, S) in [-1, 1] -> (S, S, 3) each in [0, 1]."""
    unit = ((faces + np.float32(1)) / np.float32(2)).clip(0.0, 1.0)
    return list(np.ascontiguousarray(unit.transpose(0, 2, 3, 1), dtype=np.float32))


def composite_faces(work: PendingFrame, job: Job) -> None:
    """Edit the frame, and mark it."""
    side = job.method.size
    picture = without_bars(work.native, job.info) if work.faces else (0, 0, 0, 0)
    for face in work.faces:
        assert face.generated is not None
        mask = face_mask(face.planned, side)
        edit = composite.prepare(
            face.generated,
            face.baseline,
            face.source,
            mask,
            job.detail,
            face.restored,
            face.redrawn,
        )
        if face.support is not None and job.detail == "keep":
            share = cv2.resize(face.support, (side, side), interpolation=cv2.INTER_LINEAR)
            edit = replace(edit, replace=edit.replace * share)
        to_frame = crop_to_storage(job.info, alignment.to_pixels(face.planned.crop, side))
        simple = composite.is_overlay(edit)
        box = composite.bounds(mask * edit.replace if simple else mask, to_frame)
        if box is None:
            continue
        sharper = job.enhancer if job.enhancer and job.enhancer.wants(face.planned) else None
        box = sharper.grown(box, face.planned) if sharper else box
        region = RegionEdit(work.native, job.info, overlap(box, picture))
        if 0 in region.shape:
            continue
        to_region, strength = to_frame.copy(), face.planned.strength
        to_region[:, 2] -= region.box[:2]
        before = region.rgb if not simple else None
        filmed = sharper.opened(region) if sharper is not None else None
        if simple:
            drawn = composite.overlay(edit, to_region, region.shape[::-1], strength)
            region.blend(*drawn)
            shown = drawn[2]
        else:
            assert before is not None
            change, shown = composite.delta(edit, before, to_region, strength)
            region.apply(change, shown)
            shown = shown * composite.warp(
                edit.replace, to_region, region.shape[::-1], cv2.INTER_LINEAR
            )
        if sharper is not None and filmed is not None:
            sharper.sharpen(region, filmed, face.planned, face.lips, shown)
    if job.marker is not None:
        job.marker.mark(work.native, job.info, [face.planned.box for face in work.faces])


def face_mask(planned: PlannedFace, side: int, opening: float = paste.OPENING) -> Picture:
    """(S, S) where the mouth of a planned face may change its crop.

    ``opening``: how far its chin may drop, as part of the face's height.
    """
    points = planned.points * np.float32(side) - np.float32(0.5)
    return paste.outline_mask(points, side, opening=opening)
