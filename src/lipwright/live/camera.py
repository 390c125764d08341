"""A camera with sound, as a file or an address gives it: sound as a source, frames beside it.

Frames are put beside the sound by their timestamps: a frame is there once the sound of its moment
has come.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from lipwright.errors import LipwrightError
from lipwright.live.clock import Clock
from lipwright.live.loop import MOST_RATE
from lipwright.live.sources import (
    OPEN_SECONDS,
    SILENT_SECONDS,
    Piece,
    chunks,
    paced,
    reason_of,
)
from lipwright.live.upright import upright, upright_info
from lipwright.media.colour import resolve_tags
from lipwright.media.info import VideoInfo
from lipwright.media.planes import to_planar
from lipwright.media.sound import decoded_sound

WAITING_FRAMES = 100
"""Frames that may be waiting for their sound; older ones go."""


@dataclass(frozen=True)
class CameraFrame:
    """One picture of a camera.

    Attributes:
        number: 0, 1, 2, ... as they came.
        time: seconds after the session's first sample.
        native: the picture, upright, 8 bit 4:2:0.
    """

    number: int
    time: Fraction
    native: av.VideoFrame


class Camera:
    """Sound and pictures of one container; a source (``sources.Source``) of the session.

    Args:
        place: file or address.
        clock: paces a file, and says when something came from an address.

    Attributes:
        info: of the frames.
        rate: frames per second, at most 30.

    Raises:
        LipwrightError: it cannot be opened, or lacks sound or pictures.
    """

    def __init__(self, place: str, clock: Clock) -> None:
        self.name, self._clock = place, clock
        self._is_address = "://" in place
        self.path: Path | None = None if self._is_address else Path(place)
        options = {"fflags": "nobuffer"} if self._is_address else {}
        try:
            self._container: Any = av.open(
                place if self._is_address else f"file:{Path(place).absolute()}",
                options=options,
                timeout=(OPEN_SECONDS, SILENT_SECONDS),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise LipwrightError(
                f"The camera {place} could not be opened ({reason_of(error)}); check the address, "
                "and that something is being sent."
            ) from error
        streams = self._container.streams
        if not streams.audio or not streams.video:
            raise LipwrightError(
                f"{place} has no {'sound' if not streams.audio else 'picture'}; filling in needs "
                "both."
            )
        self._sound_stream, self._picture_stream = streams.audio[0], streams.video[0]
        self._lock = threading.Lock()
        self._frames: deque[CameraFrame] = deque(maxlen=WAITING_FRAMES)
        self._early: list[tuple[Fraction, av.VideoFrame]] = []
        self._origin: Fraction | None = None
        self._numbers = 0
        self._broken = ""
        self._first_packets: list[Any] = []
        self._source_info = self._described()
        self.info = upright_info(self._source_info)
        rate = self._source_info.average_rate
        self.rate = rate / -(-rate // MOST_RATE)

    def _described(self) -> VideoInfo:
        """The facts of the first frame; the packets up to it are kept for later."""
        stream = self._picture_stream
        try:
            for packet in self._container.demux(self._sound_stream, stream):
                self._first_packets.append(packet)
                if packet.stream is stream:
                    for frame in packet.decode():
                        self._early.append((frame.pts * frame.time_base, frame))
                        return _info(self.name, to_planar(frame), stream)
        except (av.error.FFmpegError, OSError) as error:
            raise LipwrightError(
                f"Nothing of the camera {self.name} could be decoded ({reason_of(error)})."
            ) from error
        raise LipwrightError(f"Nothing of the camera {self.name} could be decoded.")

    def pieces(self) -> Iterator[Piece]:
        """See ``sources.Source``."""
        sounds = chunks(decoded_sound(self, self._sound_stream, Path(self.name)))  # type: ignore[arg-type]
        with self._container:
            if self.path is not None:
                yield from paced(sounds, self._clock)
            else:
                for sound in sounds:
                    yield sound, self._clock.now()
        if self._broken:
            raise LipwrightError(self._broken)

    def __getattr__(self, name: str) -> Any:
        """``decoded_sound`` takes this object for the container."""
        return getattr(self._container, name)

    def demux(self, stream: Any) -> Iterator[Any]:
        """Packets of the sound until the end; pictures are put aside."""
        try:
            yield from self._aside(iter(self._first_packets), decoded=True)
            self._first_packets.clear()
            both = self._container.demux(self._sound_stream, self._picture_stream)
            yield from self._aside(both)
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            self._broken = (
                f"The camera {self.name} broke off ({reason_of(error)}); what came until then is "
                "complete."
            )

    def _aside(self, packets: Iterator[Any], decoded: bool = False) -> Iterator[Any]:
        for packet in packets:
            if packet.stream is self._sound_stream:
                if self._origin is None and packet.pts is not None:
                    self._origin = packet.pts * packet.time_base
                yield packet
            elif not decoded:
                try:
                    frames = packet.decode()
                except (av.error.FFmpegError, ValueError):
                    continue  # damage; the frame is missing
                for frame in frames:
                    if frame.pts is not None:
                        self._early.append((frame.pts * frame.time_base, frame))
                        self._sort_in()

    def _sort_in(self) -> None:
        if self._origin is None:
            return
        for time, frame in sorted(self._early, key=lambda pair: pair[0]):
            size = (frame.width, frame.height)
            if size != (self._source_info.width, self._source_info.height):
                continue
            native = upright(to_planar(frame), self._source_info)
            with self._lock:
                self._frames.append(CameraFrame(self._numbers, time - self._origin, native))
            self._numbers += 1
        self._early.clear()

    def take(self, until: Fraction) -> list[CameraFrame]:
        """The frames up to a moment that were not taken before, in order."""
        with self._lock:
            found = [frame for frame in self._frames if frame.time <= until]
            rest = [frame for frame in self._frames if frame.time > until]
            self._frames.clear()
            self._frames.extend(rest)
        return sorted(found, key=lambda frame: frame.time)


def _info(name: str, frame: av.VideoFrame, stream: Any) -> VideoInfo:
    """The facts about a camera's frames."""
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    context = stream.codec_context
    colour = resolve_tags(
        int(frame.colorspace if frame.colorspace != 2 else context.colorspace),
        int(frame.color_primaries if frame.color_primaries != 2 else context.color_primaries),
        int(frame.color_trc if frame.color_trc != 2 else context.color_trc),
        int(frame.color_range or context.color_range),
        is_rgb=False,
        height=frame.height,
        is_gray_still=False,
    )
    return VideoInfo(
        path=Path(name),
        width=frame.width,
        height=frame.height,
        rotation=0,
        mirrored=False,
        display_matrix=None,
        sample_aspect=Fraction(stream.sample_aspect_ratio or 1),
        time_base=stream.time_base or Fraction(1, 90_000),
        average_rate=Fraction(rate) if 1 <= rate <= 240 else Fraction(25),
        pix_fmt=frame.format.name,
        source_pix_fmt=frame.format.name,
        bit_depth=8,
        colour=colour,
        duration=None,
        frame_count=None,
        is_still=False,
        has_audio=True,
        container="camera",
        codec=context.name,
        stream_index=stream.index,
        start_pts=0,
    )
