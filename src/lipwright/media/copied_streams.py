"""Packets of another file copied into the output as they are, only moved in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
from av.stream import Disposition

from lipwright.media.clock import retimer
from lipwright.media.encoding import MUXERS
from lipwright.media.names import Kind
from lipwright.media.source import open_media, readable_packets

_KEPT_METADATA = ("language", "title", "comment")


def described(copy: Any, stream: Any, *, default: bool) -> None:
    """Language and title of a stream, and whether players choose it."""
    copy.metadata.update({k: v for k, v in stream.metadata.items() if k in _KEPT_METADATA})
    flags = Disposition(stream.disposition & ~Disposition.default)
    copy.disposition = Disposition(flags | Disposition.default) if default else flags


def is_timecode(stream: Any) -> bool:
    """The time code track of a MOV file, which libav writes anew from its tag."""
    return stream.type == "data" and bool(stream.metadata.get("timecode"))


def codec_name(stream: Any) -> str:
    """Name of the format of a stream, whatever decoder reads it ("mp3", not "mp3float")."""
    if stream.codec_context is None:
        # A video stream of an unknown format has no name in PyAV, not even an empty one.
        return getattr(stream, "name", None) or "unknown"
    return str(stream.codec_context.codec.canonical_name)


def added(output: av.container.OutputContainer, stream: Any) -> Any | None:
    """A stream of the output that takes packets of ``stream``; None if it cannot."""
    try:
        return output.add_stream_from_template(stream)
    except (av.error.FFmpegError, ValueError):
        return None


def refused(kind: Kind, path: Path, indices: Iterable[int]) -> set[int]:
    """Streams of a file whose packets a container does not take, damaged ones mostly.

    Muxers look into packets and headers (a FLAC stream needs its STREAMINFO, AAC one kind of
    headers), some of them only when the file is completed. So all packets are written once to
    nowhere, which costs no more than reading the file.

    Args:
        kind: of container.
        path: the file, readable.
        indices: numbers of its streams.
    """
    found = set(indices)
    if not found or _muxes(kind, path, found):
        return set()
    return {index for index in found if not _muxes(kind, path, {index})}


def _muxes(kind: Kind, path: Path, indices: set[int]) -> bool:
    with ExitStack() as stack:
        container = stack.enter_context(open_media(path, "file"))
        output = av.open(_NullFile(), "w", format=MUXERS[kind])
        try:
            copies = {index: added(output, container.streams[index]) for index in indices}
            if None in copies.values():
                return False
            streams = CopiedStreams(output, kind, path, container, copies, Fraction(0))
            streams.start(Fraction(0))
            streams.advance(None, None)
        except (av.error.FFmpegError, ValueError):
            return False
        finally:
            complete = False
            with suppress(av.error.FFmpegError):
                output.close()
                complete = True
        return complete


class _NullFile:
    """A file that forgets what is written into it."""

    def __init__(self) -> None:
        self._place = self._size = 0

    def write(self, data: bytes) -> int:
        """Count the bytes."""
        self._place += len(data)
        self._size = max(self._size, self._place)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to another place, as files do."""
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def tell(self) -> int:
        """The present place."""
        return self._place


class CopiedStreams:
    """Packets copied as they are, only moved in time."""

    def __init__(
        self,
        output: av.container.OutputContainer,
        kind: Kind,
        path: Path,
        container: av.container.InputContainer,
        copies: dict[int, Any],
        shift: Fraction,
        drop_early: bool = False,
    ) -> None:
        """Copy streams of ``container`` (by index) to ``copies``, ``shift`` seconds later.

        ``drop_early`` leaves out what would sound before the first picture.
        """
        self._output = output
        self._copies = copies
        self._shift = shift
        self._retimers = {i: retimer(path, container, i) for i in copies}
        # In Matroska a time before 0 would push all streams, the pictures too, to a later time,
        # unless it is known as the codec's delay; Matroska and Ogg pass that knowledge on, and
        # Opus has it in its header.
        knows_delay = container.format.name.startswith(("matroska", "ogg")) and shift == 0
        self._drop_early = drop_early or (kind in ("mkv", "webm") and not knows_delay)
        self._delays = {i: _opus_delay(container.streams[i]) for i in copies}
        self._steady = {i: _Steady(delay) for i, delay in self._delays.items() if delay is not None}
        self._origin = Fraction(0)
        self._packets = self._demuxed(container)
        self._next: tuple[av.Packet[Any], Fraction] | None = None
        self._last_dts: dict[int, int] = {}

    def start(self, origin: Fraction) -> None:
        """Set the time of the first picture."""
        self._origin = origin
        self._next = next(self._packets, None)

    def advance(self, until: Fraction | None, end: Fraction | None) -> None:
        """See :class:`Track`."""
        while self._next is not None:
            packet, time = self._next
            if until is not None and time > until:
                return
            if end is None or time < end:
                self._output.mux_one(packet)
            self._next = next(self._packets, None)

    def _demuxed(
        self, container: av.container.InputContainer
    ) -> Iterator[tuple[av.Packet[Any], Fraction]]:
        streams = [container.streams[i] for i in self._copies]
        for packet in readable_packets(container, streams):
            index = packet.stream_index
            if index not in self._copies:
                continue
            move = self._retimers[index]
            if move is not None:
                move(packet)
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None or packet.size == 0:
                continue
            dts = packet.dts if packet.dts is not None else pts
            steady = self._steady.get(index)
            if steady is not None:
                pts = dts = steady.put_right(packet, pts)
            base = packet.time_base
            ticks = round((self._shift + self._origin) / base)
            pts, dts = pts + ticks, dts + ticks
            if self._drop_early and pts < 0:
                delay = self._delays[index]
                if delay is not None:
                    if pts * base < -delay - _ROUNDING:
                        continue
                elif 2 * pts + (packet.duration or 0) < 0:
                    continue
                else:
                    pts = dts = 0
            if dts <= self._last_dts.get(index, dts - 1):
                continue  # muxers refuse what runs backwards
            self._last_dts[index] = dts
            packet.pts, packet.dts, packet.time_base = max(pts, dts), dts, base
            packet.stream = self._copies[index]
            yield packet, dts * base


_ROUNDING = Fraction(1, 1000)
_OPUS_RATE = 48_000


def _opus_delay(stream: Any) -> Fraction | None:
    """The pre-skip of an Opus stream in seconds (RFC 7845, section 5.1); None for other codecs."""
    if stream.type != "audio" or codec_name(stream) != "opus":
        return None
    header = stream.codec_context.extradata or b""
    skip = int.from_bytes(header[10:12], "little") if header[:8] == b"OpusHead" else 0
    return Fraction(skip, _OPUS_RATE)


class _Steady:
    """Exact times of Opus packets, whatever their container rounded them to.

    Matroska counts milliseconds, so that a pre-skip of 6.5 ms reads as 7. The times go on by the
    lengths of the packets as long as the container's own agree to within 2 ms.
    """

    def __init__(self, delay: Fraction) -> None:
        self._delay = delay
        self._next: Fraction | None = None

    def put_right(self, packet: av.Packet[Any], pts: int) -> int:
        """The time of a packet in samples at 48 kHz; its time base becomes that."""
        stamp = pts * packet.time_base
        expected = -self._delay if self._next is None else self._next
        exact = expected if abs(stamp - expected) <= 2 * _ROUNDING else stamp
        length = _opus_length(bytes(packet))
        self._next = exact + length
        packet.time_base = Fraction(1, _OPUS_RATE)
        packet.duration = round(length * _OPUS_RATE)
        return round(exact * _OPUS_RATE)


_OPUS_FRAMES = (
    *(10, 20, 40, 60) * 3,  # SILK
    *(10, 20) * 2,  # hybrid
    *(2.5, 5, 10, 20) * 4,  # CELT
)
"""Milliseconds of a frame by configuration number (RFC 6716, table 2)."""


def _opus_length(data: bytes) -> Fraction:
    """Seconds of sound in an Opus packet, from its first bytes (RFC 6716, section 3.1)."""
    if not data:
        return Fraction(0)
    code = data[0] & 3
    frames = 1 if code == 0 else 2 if code < 3 else data[1] & 63 if len(data) > 1 else 0
    return Fraction(_OPUS_FRAMES[data[0] >> 3]) * frames / 1000
