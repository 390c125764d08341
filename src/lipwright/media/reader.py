"""Frames of a video one after another, with exact timestamps and in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.container
import av.error
import numpy as np
import numpy.typing as npt

from lipwright.errors import LipwrightError
from lipwright.media.info import VideoInfo, describe, pick_video_stream
from lipwright.media.planes import to_planar
from lipwright.media.source import open_media
from lipwright.media.thumbnail import thumbnail

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        index: 0, 1, 2, ... in display order.
        pts: timestamp in units of ``time_base``, strictly increasing from frame to frame.
        time_base: seconds per unit.
        duration: in units of ``time_base``, at least 1.
        native: the decoded frame in a plain planar format. Its memory may belong to the decoder:
            ``lipwright.media.region`` makes it private before it writes.
        start: pts of the first frame of the video.
        info: of the video.
    """

    index: int
    pts: int
    time_base: Fraction
    duration: int
    native: av.VideoFrame
    start: int
    info: VideoInfo

    @property
    def time(self) -> Fraction:
        """Seconds since the first frame."""
        return (self.pts - self.start) * self.time_base

    def thumbnail(self, max_side: int) -> tuple[npt.NDArray[np.uint8], float]:
        """A small upright picture; see :func:`lipwright.media.thumbnail.thumbnail`."""
        return thumbnail(self.native, self.info, max_side)


class VideoReader:
    """Read a video or picture once, from start to end.

    Use it as a context manager and iterate over it. Damaged stretches are skipped, and a file that
    breaks off ends early; :attr:`warnings` then says so. A still picture is a single frame.

    Attributes:
        info: facts about the video, known from the start.
        warnings: sentences about what was wrong, grows while reading.

    Raises:
        LipwrightError: missing, empty or unreadable file, no picture in it, nothing decodable.
    """

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        """Open ``path`` and decode its first frame; ``threads`` 0 leaves the number to libav."""
        self.path = Path(path)
        self.warnings: list[str] = []
        self._stack = ExitStack()
        self._damaged = 0
        try:
            container = self._stack.enter_context(open_media(self.path, "video"))
            stream = pick_video_stream(container, self.path)
            stream.thread_type = "AUTO"
            stream.thread_count = threads
            self._frames = self._decoded(container, stream)
            first = next(self._frames, None)
            if first is None:
                raise LipwrightError(
                    f"No frame of the video {self.path} could be decoded: it is damaged or cut "
                    "off; check that it plays."
                )
            self.info = describe(self.path, container, stream, first)
        except BaseException:
            self._stack.close()
            raise
        self._first: av.VideoFrame | None = first

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; iterating ends."""
        self._frames.close()
        self._first = None
        self._stack.close()

    def __iter__(self) -> Iterator[Frame]:
        info = self.info
        usual = max(1, round(1 / (info.average_rate * info.time_base)))
        start: int | None = None
        last = 0
        index = 0
        while True:
            native = self._first if index == 0 else next(self._frames, None)
            if native is None:
                break
            self._first = None
            native = self._uniform(native)
            duration = native.duration if native.duration and native.duration > 0 else usual
            pts = native.pts
            if start is None:
                pts = start = pts if pts is not None else 0
            elif pts is None:
                pts = last + usual
            elif pts <= last:
                self._warn(f"Timestamps of {self.path} run backwards; they were put in order.")
                pts = last + 1
            native.pts, native.time_base = pts, info.time_base
            yield Frame(index, pts, info.time_base, duration, native, start, info)
            last = pts
            index += 1
            if info.is_still:
                break
        if self._damaged:
            self._warn(f"{self._damaged} damaged packets of {self.path} were skipped.")

    def _uniform(self, native: av.VideoFrame) -> av.VideoFrame:
        """Plain planar, and in the size and format that the first frame had."""
        info = self.info
        native = to_planar(native)
        same_size = (native.width, native.height) == (info.width, info.height)
        if same_size and native.format.name == info.pix_fmt:
            return native
        self._warn(
            f"The picture format of {self.path} changes on the way; all frames were brought to "
            f"{info.width}x{info.height}, {info.pix_fmt}."
        )
        pts, duration = native.pts, native.duration
        native = native.reformat(info.width, info.height, info.pix_fmt, interpolation="BICUBIC")
        native.pts, native.duration = pts, duration
        return native

    def _decoded(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Generator[av.VideoFrame]:
        """Every frame that decodes; damaged packets are counted and skipped."""
        packets = container.demux(stream)
        ended = False
        while not ended:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):
                log.debug("demuxing %s failed", self.path, exc_info=True)
                self._warn(f"The video {self.path} breaks off; it was used up to there.")
                packet = None
            if packet is not None and packet.size == 0 and packet.pts is not None:
                continue  # a frame that repeats the one before; decoding it would end the stream
            ended = packet is None or packet.size == 0  # the empty packet flushes the decoder
            try:
                if packet is not None and packet.size and packet.is_corrupt:
                    self._damaged += 1
                yield from stream.decode(packet)
            except av.error.EOFError:
                continue
            except (av.error.FFmpegError, ValueError):
                self._damaged += 1

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)
