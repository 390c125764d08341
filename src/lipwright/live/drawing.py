"""Draws the frames of a loop, one at a time, with the very steps of a dub."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.options import Detail
from lipwright.dubbing.render import FaceRenderer, Job, Marker, Work, composite_faces, face_work
from lipwright.live.listener import Listener
from lipwright.live.loop import FaceLoop
from lipwright.media.mel import SILENCE
from lipwright.methods.base import Method


class _LiveRenderer(FaceRenderer):
    """A renderer that is told what the next frame hears."""

    heard: NDArray[np.float32]

    def audio(self, frames: list[int], track: int) -> NDArray[np.float32]:
        """(1, ...) what the frame hears."""
        return self.heard[None]


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
        method.batch = 1
        self._loop, self._method, self._listener = loop, method, listener
        self._job = Job(
            info=loop.info,
            schedule=loop.schedule,
            method=method,
            marker=marker,
            batch_size=1,
            detail=detail,
        )
        self._renderer = _LiveRenderer(self._job)

    def warm_up(self) -> None:
        """Compile the networks and encode the reference frames, before the session begins."""
        stream = self._method.speech_stream()
        stream.hear(np.zeros(stream.look_ahead, np.float32))
        self._draw(0, stream.audio(Fraction(0)), 0.0, mark=False)

    def frame(self, k: int, time: Fraction) -> av.VideoFrame:
        """Output frame ``k``, which is shown ``time`` seconds after the session's first sample."""
        return self._draw(k, self._listener.audio(time), self._listener.activity(time))

    def _draw(
        self, k: int, audio: NDArray[np.float32], activity: float, mark: bool = True
    ) -> av.VideoFrame:
        place = self._loop.place(k)
        self._loop.schedule.activity[place] = activity
        rest = np.float32(0.0 if self._method.info.whole_speech else SILENCE)
        self._renderer.heard = np.asarray(rest + np.float32(activity) * (audio - rest), np.float32)
        work: Work = face_work(self._job, place, self._loop.frame(k))
        self._renderer.draw([work])
        composite_faces(work, self._job if mark else replace(self._job, marker=None))
        return work.native
