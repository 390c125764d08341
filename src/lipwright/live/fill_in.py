"""A camera's picture as long as it comes, and a generated one of the same person where it stops.

While frames come they are shown as they are; the faces in them are followed and reference frames
gathered, as a dub's first pass does. When frames stop or freeze for longer than ``STOPPED_SECONDS``
while the sound goes on, the last frames run backward and forward from the very last one on, and
the mouth is made to speak: nothing jumps. The edit fades in; when the camera is back, the generated
picture turns into the camera's along the flow between them. Every generated or mixed frame carries
the watermark.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.analysis import THUMBNAIL_SIDE, Analyser, Tracker
from lipwright.dubbing.options import Detail
from lipwright.dubbing.plan import Plan, Source, Track
from lipwright.dubbing.references import Reference
from lipwright.dubbing.render_job import Job, Marker, StartedFaces
from lipwright.dubbing.schedule import Schedule
from lipwright.dubbing.timeline import Timeline, ping_pong
from lipwright.geometry import smoothstep
from lipwright.lip_motion import NeutralMouth
from lipwright.live.camera import Camera, CameraFrame
from lipwright.live.drawing import LiveRenderer
from lipwright.live.listener import Listener
from lipwright.live.morph import morph
from lipwright.live.report import FillIn, LiveStatistics
from lipwright.media.planes import plane_views, private_copy
from lipwright.media.reader import Frame
from lipwright.methods.base import Method, ReferenceLips

log = logging.getLogger(__name__)

STOPPED_SECONDS = Fraction(1, 5)
"""A camera from which nothing new comes for longer has stopped."""
FROZEN_DIFFERENCE = 0.02
"""Codes of luma, on average, below which a frame is the one before: sensors have more noise."""
FADE_FRAMES = 6
"""Frames over which the edit, and the camera's picture when it is back, fade in."""
RING_BYTES = 160 << 20
RING_SECONDS = 4
"""So much of the newest pictures is kept to go on from, within the bytes."""
REMEMBERED = 500
"""Frames whose faces are remembered for the resting mouth."""
FEWEST_REFERENCES = 4
GROWTH = 1.5
"""References are encoded anew when there are so many times as many."""


class _Prepared(StartedFaces):
    """Gives the state that was made in advance."""

    def __init__(self, state: Any) -> None:
        super().__init__()
        self._prepared = state

    def state(self, plan: Plan, track: int, start: Any) -> Any:
        """The state, whatever the plan."""
        return self._prepared


class FillInDrawer:
    """Makes the frames of a session with a camera.

    Args:
        camera: gives pictures.
        method: draws where they stop.
        listener: hears the speech.
        tracker: follows faces.
        statistics: takes the log of generated stretches.
        marker: writes the watermark, or None.
        detail: as ``DubOptions.detail``.
    """

    def __init__(
        self,
        camera: Camera,
        method: Method,
        listener: Listener,
        tracker: Tracker,
        statistics: LiveStatistics,
        marker: Marker | None = None,
        detail: Detail = "keep",
    ) -> None:
        method.batch = 1
        self._camera, self._method, self._listener = camera, method, listener
        self._statistics, self._marker, self._detail = statistics, marker, detail
        self._analyser = Analyser(camera.info, None, tracker)
        info = camera.info
        room = int(RING_BYTES // (1.5 * info.width * info.height))
        self._ring: deque[CameraFrame] = deque(
            maxlen=max(2, min(room, round(RING_SECONDS * camera.rate)))
        )
        self._changed = Fraction(0)
        """Time of the newest picture that differs from the one before it."""
        self._thumb: NDArray[np.float32] | None = None
        self._frozen = False
        self._prepared: tuple[Any, list[Reference], Track] | None = None
        self._preparing: threading.Thread | None = None
        self._fill: _Filling | None = None
        self._back = 0  # frames since the camera came back
        self._waiting: deque[CameraFrame] = deque()
        self.generated = 0

    def frame(self, k: int, time: Fraction) -> av.VideoFrame:
        """Output frame ``k``: the camera's picture of that moment, or one made for it."""
        ahead = time + self._listener.look_ahead
        for come in self._camera.take(ahead):
            self._take_in(come)
        while self._waiting and self._waiting[0].time <= time:
            self._ring.append(self._waiting.popleft())
        # Listened to in any case: its level and pauses must not have holes.
        activity = self._listener.activity(time)
        stopped = ahead - self._changed > STOPPED_SECONDS and not self._waiting
        if self._fill is not None:  # until its own pictures are there again
            stopped = not self._ring or time - self._ring[-1].time > STOPPED_SECONDS
        if stopped and (self._fill is not None or self._begin(time)):
            assert self._fill is not None
            native = self._fill.next(self._audio(time), activity)
            self._fill.log.frames += 1
            self._fill.log.end = float(time + 1 / self._camera.rate)
            self._back = 0
        elif not self._ring:
            return _blank(self._camera.info.width, self._camera.info.height)
        else:
            native = private_copy(self._ring[-1].native)
            if self._fill is not None:
                native = self._fade_out(native, time, activity)
            else:
                return native
        self._mark(native)
        return native

    def is_synthetic(self) -> bool:
        """Whether anything was generated so far."""
        return self.generated > 0

    def end(self) -> None:
        """The session has ended: wait for what is being prepared."""
        if self._preparing is not None:
            self._preparing.join(10.0)

    def _take_in(self, come: CameraFrame) -> None:
        """Take a picture in: is it new, and where are the faces?"""
        luma = plane_views(come.native)[0]
        step = max(1, luma.shape[1] // 160)
        thumb = luma[::step, ::step].astype(np.float32)
        same = self._thumb is not None and (
            float(np.abs(thumb - self._thumb).mean()) < FROZEN_DIFFERENCE
        )
        self._thumb, self._frozen = thumb, same
        if same:
            return
        self._changed = come.time
        self._waiting.append(come)
        info, base = self._camera.info, Fraction(1, 90_000)
        frame = Frame(come.number, round(come.time / base), base, 1, come.native, 0, info)
        image, scale = frame.thumbnail(THUMBNAIL_SIDE)
        self._analyser.take(frame, image, scale)
        self._analyser.forget(come.number - REMEMBERED)
        if come.number % 12 == 0:
            self._prepare()

    def _prepare(self) -> None:
        """Encode the references, on another thread, when there are enough new ones."""
        if self._preparing is not None and self._preparing.is_alive():
            return
        number = self._analyser.largest()
        if number is None:
            return
        track, references = self._analyser.so_far(number)
        had = len(self._prepared[1]) if self._prepared is not None else 0
        if len(references) < max(FEWEST_REFERENCES, GROWTH * had):
            return

        def encode() -> None:
            lips = ReferenceLips(
                np.array([r.opening for r in references]),
                np.stack([r.lips for r in references]),
                NeutralMouth(track.rest_opening, track.rest),
            )
            side = self._method.info.reference_size
            pictures = np.stack([cv2.resize(r.crop, (side, side)) for r in references])
            stack = pictures.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(127.5) - 1
            state = self._method.start(np.ascontiguousarray(stack), lips)
            # Compiles the networks now rather than in the gap: the speech network, and the one
            # that draws, anew for every number of references.
            size = self._method.size
            stream = self._method.speech_stream()
            stream.feed(np.zeros(stream.look_ahead, np.float32))
            features = stream.audio(Fraction(0))[None]
            self._method.render(np.zeros((1, 3, size, size), np.float32), features, state)
            self._prepared = state, references, track

        self._preparing = threading.Thread(target=encode, name="live-references", daemon=True)
        self._preparing.start()

    def _begin(self, time: Fraction) -> bool:
        """Start to fill in; False if nobody is known well enough."""
        number = self._analyser.largest()
        if self._prepared is None or number is None or not self._ring:
            return False
        track, _ = self._analyser.so_far(number)
        frames = list(self._ring)
        usable = [frame.number for frame in frames]
        good = 0
        for frame_number in reversed(usable):
            face = track.face(frame_number)
            if face is None or not track.usable[frame_number - track.first]:
                break
            good += 1
        if good < 1:
            return False
        reason = "the picture froze" if self._frozen else "no frames came"
        entry = FillIn(float(time), float(time), reason)
        self._statistics.fill_ins.append(entry)
        log.info("generated from %.2f s on: %s", float(time), reason)
        state, references, _ = self._prepared
        self._fill = _Filling(
            self._camera,
            self._method,
            frames[-good:],
            track,
            state,
            references,
            entry,
            self._detail,
        )
        return True

    def _fade_out(self, camera: av.VideoFrame, time: Fraction, activity: float) -> av.VideoFrame:
        """The camera is back: the generated picture turns into the camera's."""
        assert self._fill is not None
        self._back += 1
        share = float(smoothstep(np.float64(self._back / (FADE_FRAMES + 1))))
        made = self._fill.next(self._audio(time), activity)
        made = morph(made, camera, share)
        self._fill.log.frames += 1
        self._fill.log.end = float(time + 1 / self._camera.rate)
        if self._back >= FADE_FRAMES:
            self._fill = None
        return made

    def _audio(self, time: Fraction) -> NDArray[np.float32]:
        return self._listener.audio(time, time + 1 / self._camera.rate)

    def _mark(self, native: av.VideoFrame) -> None:
        self.generated += 1
        if self._marker is not None:
            info = self._camera.info
            self._marker.mark(native, info, [(0.0, 0.0, float(info.width), float(info.height))])


class _Filling:
    """One generated stretch: the last frames to and fro, from the last one on."""

    def __init__(
        self,
        camera: Camera,
        method: Method,
        frames: list[CameraFrame],
        track: Track,
        state: Any,
        references: list[Reference],
        entry: FillIn,
        detail: Detail,
    ) -> None:
        self.log = entry
        self._frames, self._k = frames[::-1], 0
        strength = np.ones_like(track.strength)  # the fades here are by time, not by place
        self._track = replace(
            track,
            references=tuple((reference.frame, reference.opening) for reference in references),
            reference_lips=tuple(r.lips.astype(np.float32) for r in references),
            strength=strength,
        )
        lap = ping_pong(len(frames))
        numbers = np.array([frame.number for frame in self._frames], np.int64)[lap]
        ticks = np.arange(lap.size, dtype=np.int64)
        line = Timeline(1 / camera.rate, numbers, ticks, np.ones_like(ticks))
        last = max(track.last, int(numbers.max()))
        plan = Plan(
            Source(0, 0, ""),
            {},
            Fraction(1, 25),
            list(range(last + 1)),
            1,
            [(0, last)],
            [self._shot_track()],
            [],
            Path(camera.name),
        )
        schedule = Schedule(plan, line, frozenset({track.number}), np.zeros(lap.size, np.float32))
        job = Job(
            info=camera.info,
            schedule=schedule,
            method=method,
            batch_size=1,
            detail=detail,
            started=_Prepared(state),
        )
        self._renderer, self._lap = LiveRenderer(job), lap

    def _shot_track(self) -> Track:
        return replace(self._track, shot=0)

    def next(self, audio: NDArray[np.float32], activity: float) -> av.VideoFrame:
        """The next picture, its mouth speaking."""
        place = self._k % self._lap.size
        share = min(1.0, (self._k + 1) / (FADE_FRAMES + 1))
        self._k += 1
        native = private_copy(self._frames[int(self._lap[place])].native)
        if share < 1.0:
            before = private_copy(native)
            self._renderer.edit(place, native, audio, activity)
            weight = float(smoothstep(np.float64(share)))
            for mine, theirs in zip(plane_views(native), plane_views(before), strict=True):
                cv2.addWeighted(mine, weight, theirs, 1.0 - weight, 0.0, dst=mine)
        else:
            self._renderer.edit(place, native, audio, activity)
        return native


def _blank(width: int, height: int) -> av.VideoFrame:
    """Black: nothing has come yet."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, plane in enumerate(plane_views(frame)):
        plane[:] = 16 if index == 0 else 128
    return frame
