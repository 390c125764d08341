"""Source frames in the order of the timeline: forward, backward, or a few here and there.

A decoder runs forward only. To run backward the frames are decoded in chunks: jump to a key frame
before the chunk, decode up to its end, keep what belongs to it, hand it out in reverse. A chunk is
bounded in bytes, so that 4K runs backward in the same memory as 480p, only with more decoding.

No jump is trusted: the timestamp of every frame must be one that the plan knows, and the frames
must come without a hole. A container that cannot jump (or lands wrongly) is decoded from its start
for every chunk, which is slow but right.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Generator, Iterator
from dataclasses import replace

import av
import av.container
import av.error
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.plan import Source
from lipwright.errors import LipwrightError
from lipwright.media.info import VideoInfo
from lipwright.media.planes import layout_of, private_copy
from lipwright.media.reader import Frame, VideoReader

log = logging.getLogger(__name__)

CHUNK_BYTES = 384 << 20
CHUNK_FRAMES = 256
NEAR = 48
"""Frames that are decoded and dropped rather than jumped over."""


SAFETY = 16
"""Frames between where a jump lands and the first one used: the few that are shown before a key
frame but stored after it may come out broken, because they need what was before the jump."""


def frame_bytes(info: VideoInfo) -> int:
    """Bytes that a decoded frame of a video occupies."""
    layout = layout_of(info.pix_fmt)
    assert layout is not None  # the reader gives plain planar frames only
    chroma = -(-info.width // layout.chroma_x) * -(-info.height // layout.chroma_y)
    samples = info.width * info.height + (len(layout.planes) - 1) * chroma
    return samples * np.dtype(layout.dtype).itemsize


class _Positioned(VideoReader):
    """A reader that begins at the key frame before a timestamp."""

    def __init__(self, info: VideoInfo, pts: int) -> None:
        self._pts = pts
        super().__init__(info.path, stream=info.stream_index, deinterlace=info.deinterlaced)

    def _decoded(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Generator[av.VideoFrame]:
        container.seek(self._pts, stream=stream, backward=True, any_frame=False)
        yield from super()._decoded(container, stream)


class FrameStore:
    """Random access to the frames of a video whose timestamps are known.

    Attributes:
        warnings: sentences about frames that could not be had again.

    Raises:
        LipwrightError: while iterating, if the file has been changed meanwhile.
    """

    def __init__(self, info: VideoInfo, pts: list[int], source: Source | None = None) -> None:
        """Args:
        info: of the video.
        pts: ticks of all frames, strictly increasing, as ``VideoReader`` gave them.
        source: the file as it was then.
        """
        self._info, self._path, self._pts, self._source = info, info.path, pts, source
        self.warnings: list[str] = []
        self._room = int(np.clip(CHUNK_BYTES // frame_bytes(info), 1, CHUNK_FRAMES))
        self._can_jump = info.can_jump

    def follow(self, order: NDArray[np.int64]) -> Generator[Frame]:
        """Frames by their numbers.

        The same number twice in a row gives two frames that may be edited one by one.

        Args:
            order: (n,) numbers of source frames; steps of +1 are cheap, of -1 bearable.
        """
        index = 0
        while index < len(order):
            first = int(order[index])
            end = index + 1
            step = int(order[end]) - first if end < len(order) else 1
            if step not in (-1, 0, 1):
                step = 1
            while end < len(order) and int(order[end]) - int(order[end - 1]) == step:
                end += 1
            if step == 0:
                yield from self._repeated(first, end - index)
            elif step == 1:
                yield from self.forward(first, first + end - index)
            else:
                yield from self._backward(first - (end - index) + 1, first + 1)
            index = end

    def forward(self, first: int, end: int) -> Generator[Frame]:
        """Frames ``first`` to ``end - 1``."""
        if first >= NEAR and self._can_jump:
            given = 0
            for frame in self._from_jump(first, end):
                yield frame
                given += 1
            if given == end - first:
                return
            first += given
        yield from self._from_start(first, end)

    def _repeated(self, number: int, count: int) -> Iterator[Frame]:
        frame = next(self.forward(number, number + 1))
        for _ in range(count):
            yield _with_own_pixels(frame)

    def _backward(self, first: int, end: int) -> Iterator[Frame]:
        """Frames ``end - 1`` down to ``first``."""
        while end > first:
            start = max(first, end - self._room)
            chunk = list(self.forward(start, end))
            while chunk:
                yield chunk.pop()
            end = start

    def _from_start(self, first: int, end: int) -> Iterator[Frame]:
        """The frames by decoding the file from its start.

        Damaged files do not always decode to the same frames twice. What the plan does not know is
        dropped; what is missing is replaced by the frame before it.
        """
        expected = first
        held: Frame | None = None  # handed out late: at the end of the file it may be needed again
        info = self._info
        with VideoReader(
            self._path, stream=info.stream_index, deinterlace=info.deinterlaced
        ) as reader:
            for frame in reader:
                if frame.pts < self._pts[first]:
                    held = frame if expected == first else held
                    continue
                if held is not None and expected > first:
                    yield held
                held = None
                while expected < end and frame.pts > self._pts[expected]:
                    yield self._stand_in(frame, expected)
                    expected += 1
                if expected == end:
                    return
                if frame.pts == self._pts[expected]:
                    held = _numbered(frame, expected, self._pts[0])
                    expected += 1
                    if expected == end:
                        yield held
                        return
        if held is None:
            raise LipwrightError(
                f"The video {self._path} could not be decoded again; copy it and check that it "
                "plays."
            )
        spare = _with_own_pixels(held)
        if expected > first:
            yield held
        for index in range(expected, end):
            yield self._stand_in(spare, index)

    def _stand_in(self, frame: Frame, index: int) -> Frame:
        """A copy of a frame in the place of one that cannot be decoded again."""
        if self._source is not None and Source.of(self._path) != self._source:
            raise LipwrightError(
                f"The video {self._path} was changed while the job was running; start again."
            )
        sentence = f"Frames of {self._path} could not be decoded again; others stand in for them."
        if sentence not in self.warnings:
            self.warnings.append(sentence)
        copy = _with_own_pixels(frame)
        copy.native.pts = self._pts[index]
        return Frame(
            index,
            self._pts[index],
            frame.time_base,
            frame.duration,
            copy.native,
            self._pts[0],
            frame.info,
        )

    def _from_jump(self, first: int, end: int) -> Iterator[Frame]:
        """The frames, or fewer of them where the jump does not lead to where it should."""
        target = self._pts[first]
        for back in (SAFETY, 4 * SAFETY, 16 * SAFETY):
            try:
                with _Positioned(self._info, self._pts[max(0, first - back)]) as reader:
                    expected = first
                    for frame in reader:
                        if expected == first and frame.pts < target:
                            if not self._known(frame.pts):
                                break
                            continue
                        if frame.pts != self._pts[expected] or frame.native.is_corrupt:
                            break
                        index = expected
                        expected += 1
                        yield _numbered(frame, index, self._pts[0])
                        if expected == end:
                            return
            except (av.error.FFmpegError, LipwrightError, OSError):
                log.debug("cannot jump in %s", self._path, exc_info=True)
                break
            if expected > first:
                return  # what has been handed out cannot be taken back; the rest from the start
        self._can_jump = False

    def _known(self, pts: int) -> bool:
        place = bisect_left(self._pts, pts)
        return place < len(self._pts) and self._pts[place] == pts


def _numbered(frame: Frame, index: int, start: int) -> Frame:
    return replace(frame, index=index, start=start)


def _with_own_pixels(frame: Frame) -> Frame:
    return replace(frame, native=private_copy(frame.native))
