"""Draws the frames of a loop, one at a time, with the very steps of a dub."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.compositing import composite_faces
from lipwright.dubbing.face_renderer import FaceRenderer
from lipwright.dubbing.options import Detail
from lipwright.dubbing.render import face_work
from lipwright.dubbing.render_job import Job, Marker
from lipwright.live.listener import Listener
from lipwright.live.loop import FaceLoop
from lipwright.media.mel import SILENCE
from lipwright.methods.base import Method


class LiveRenderer(FaceRenderer):
    """Draws single frames, each with its speech features.

    Args:
        job: picture, schedule and method; the schedule's activity is set frame by frame.
    """

    def __init__(self, job: Job) -> None:
        job.method.batch = 1
        super().__init__(job)
        self._live = job
        self.features: NDArray[np.float32] = np.zeros(0, np.float32)

    def edit(
        self,
        index: int,
        native: av.VideoFrame,
        audio: NDArray[np.float32],
        activity: float,
        mark: bool = True,
    ) -> None:
        """Make the mouth of a picture speak, in place.

        Args:
            index: which frame of the schedule it is.
            native: the picture, with pixels of its own.
            audio: its speech features, see ``SpeechStream.audio``.
            activity: how much of that is speech, 0 to 1.
            mark: write the watermark, if the job has one.
        """
        job = self._live
        job.schedule.activity[index] = activity
        rest = np.float32(0.0 if job.method.info.whole_speech else SILENCE)
        self.features = np.asarray(rest + np.float32(activity) * (audio - rest), np.float32)
        work = face_work(job, index, native)
        self.draw([work])
        composite_faces(work, job if mark else replace(job, marker=None))

    def audio(self, frames: list[int], track: int) -> NDArray[np.float32]:
        """(1, ...) speech features of the frame."""
        return self.features[None]


class LoopDrawer:
    """Makes the mouth of a loop follow the speech.

    Args:
        loop: the picture.
        method: draws the faces; its batch is set to 1.
        listener: hears the speech.
        marker: writes the watermark, or None.
        detail: as ``DubOptions.detail``.
    """

    def __init__(
        self,
        loop: FaceLoop,
        method: Method,
        listener: Listener,
        marker: Marker | None = None,
        detail: Detail = "keep",
    ) -> None:
        self._loop, self._method, self._listener = loop, method, listener
        job = Job(
            info=loop.info,
            schedule=loop.schedule,
            method=method,
            marker=marker,
            batch_size=1,
            detail=detail,
        )
        self._renderer = LiveRenderer(job)

    def warm_up(self) -> None:
        """Compile the networks and encode the reference frames, before the session begins."""
        stream = self._method.speech_stream()
        stream.feed(np.zeros(stream.look_ahead, np.float32))
        frame = self._loop.frame(0)
        self._renderer.edit(0, frame, stream.audio(Fraction(0)), 0.0, mark=False)

    def frame(self, k: int, time: Fraction) -> av.VideoFrame:
        """Output frame ``k``, which is shown ``time`` seconds after the session's first sample."""
        native = self._loop.frame(k)
        activity = self._listener.activity(time)  # while the networks listen
        audio = self._listener.audio(time, time + 1 / self._loop.rate)
        self._renderer.edit(self._loop.index(k), native, audio, activity)
        return native
