"""Frames of a video one after another, with exact timestamps and in bounded memory."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import numpy as np
import numpy.typing as npt

from lipwright.media import limits
from lipwright.media.choice import choice_notice, pick_video_stream
from lipwright.media.clock import Retimer, clock_of
from lipwright.media.deinterlace import deinterlaced
from lipwright.media.info import VideoInfo, describe, guard, stores_decoding_order, undecodable
from lipwright.media.planes import layout_of, to_planar
from lipwright.media.source import open_media, packets_of
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

    def rgb(self) -> npt.NDArray[np.uint8]:
        """(height, width, 3), the whole upright picture."""
        return self.thumbnail(1 << 20)[0]


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

    def __init__(
        self,
        path: str | Path,
        threads: int = 0,
        *,
        stream: int | None = None,
        deinterlace: bool = False,
    ) -> None:
        """Open a file and decode its first frame.

        Args:
            path: the file.
            threads: 0 leaves the number to libav.
            stream: number of the video stream; None: see :mod:`lipwright.media.choice`.
            deinterlace: make whole frames of interlaced ones.
        """
        self.path = Path(path)
        self.warnings: list[str] = []
        self._stack = ExitStack()
        self._damaged = 0
        self._interlaced = 0
        try:
            container = self._stack.enter_context(open_media(self.path, "video"))
            picked = pick_video_stream(container, self.path, stream)
            guard(picked)
            picked.thread_type = "AUTO"
            picked.thread_count = threads
            self._retime: Retimer | None = None
            clock = clock_of(self.path, container)
            if clock is not None:
                self._retime = Retimer(clock, picked.index)
                said = clock.sentence(self.path)
                if said:
                    self._warn(said)
            notice = choice_notice(container, self.path, picked, "--video-stream")
            if notice:
                self._warn(notice)
            self._frames = self._decoded(container, picked)
            first = next(self._frames, None)
            if first is None:
                raise undecodable(self.path)
            self.info = describe(self.path, container, picked, first, deinterlace=deinterlace)
        except BaseException:
            self._stack.close()
            raise
        self._first: av.VideoFrame | None = first

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; iterating ends."""
        self._frames.close()
        self._first = None
        self._stack.close()

    def __iter__(self) -> Iterator[Frame]:
        info = self.info
        usual = max(1, round(1 / (info.average_rate * info.time_base)))
        natives = self._natives()
        start: int | None = None
        last = 0
        index = 0
        while True:
            native = next(natives, None)
            if native is None:
                break
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
            packets = "packet was" if self._damaged == 1 else "packets were"
            self._warn(f"{self._damaged} damaged {packets} skipped in {self.path}.")
        if 0 < self._interlaced < index and not info.deinterlaced:
            self._warn(
                f"{self._interlaced} of {index} frames of {self.path} are interlaced, the others "
                f"are not; the output is {_scan(info)} throughout (--deinterlace makes whole "
                "frames of them)."
            )

    def _natives(self) -> Iterator[av.VideoFrame]:
        """The frames in one size and format, deinterlaced if that was asked for."""

        def uniform() -> Iterator[av.VideoFrame]:
            first, self._first = self._first, None
            native = first if first is not None else next(self._frames, None)
            while native is not None:
                self._interlaced += bool(native.interlaced_frame)
                yield self._uniform(native)
                native = next(self._frames, None)

        return deinterlaced(uniform(), self.info.time_base) if self.info.deinterlaced else uniform()

    def _uniform(self, native: av.VideoFrame) -> av.VideoFrame:
        """Plain planar, and in the size and format that the first frame had."""
        info = self.info
        if (native.width, native.height) != (info.width, info.height):
            depth = layout_of(info.pix_fmt)
            limits.check_picture(
                native.width, native.height, depth.bytes_per_pixel if depth else 1.0, self.path
            )
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
        packets = packets_of(container, stream)
        retime = self._retime
        # Where a file stores places in the order of decoding, the n-th frame shown gets the n-th.
        places: list[int] | None = [] if stores_decoding_order(container, stream) else None
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
                if packet is not None and packet.size and retime is not None:
                    retime(packet)
                if places is not None and packet is not None and packet.dts is not None:
                    heapq.heappush(places, packet.dts)
                for frame in stream.decode(packet):
                    if places:
                        frame.pts = heapq.heappop(places)
                    yield frame
            except av.error.EOFError:
                continue
            except (av.error.FFmpegError, ValueError):
                self._damaged += 1
                if places and packet is not None and packet.dts in places:
                    places.remove(packet.dts)  # no frame will come of it
                    heapq.heapify(places)

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)


def _scan(info: VideoInfo) -> str:
    return "progressive" if info.field_order == "progressive" else "interlaced"
