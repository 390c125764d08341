"""Sound and subtitles on their way into the output, read lazily beside the pictures.

A track is asked again and again to put everything up to a time into the file, so that packets lie
interleaved and only a few are held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import av.container
import av.error
from av.stream import Disposition

from lipwright.errors import LipwrightError
from lipwright.media.audio import aligned_audio, speech_origin
from lipwright.media.encoding import Kind
from lipwright.media.source import open_media

_MP4_AUDIO = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}
_MOV_AUDIO = {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le"}
_MKV_AUDIO = {
    *_MP4_AUDIO,
    *("vorbis", "dts", "truehd", "mp2", "tta", "wavpack", "pcm_u8", "pcm_s16le", "pcm_s24le"),
    *("pcm_s32le", "pcm_f32le", "pcm_f64le"),
}
AUDIO: dict[Kind, set[str]] = {
    "mp4": _MP4_AUDIO,
    "mov": _MOV_AUDIO,
    "mkv": _MKV_AUDIO,
    "webm": {"opus", "vorbis"},
}
SUBTITLES: dict[Kind, set[str]] = {
    "mp4": {"mov_text"},
    "mov": {"mov_text"},
    "mkv": {"subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"},
    "webm": {"webvtt"},
}
_BIT_RATES = {"mono": 128_000, "stereo": 256_000, "5.1": 448_000}


class Track(Protocol):
    """Something that fills streams of the output."""

    def start(self, origin: Fraction) -> None:
        """Learn the time of the first picture, in seconds; called once, before ``advance``."""

    def advance(self, until: Fraction | None, end: Fraction | None) -> None:
        """Mux what lies before ``until`` (None: all), but nothing that starts at ``end``."""


def speech_track(
    output: av.container.OutputContainer, kind: Kind, path: Path, stack: ExitStack
) -> Track:
    """Add the first audio stream of a file to the output: copied if possible, else encoded once.

    The sample that ``load_speech`` returns first sounds with the first picture of the output.

    Raises:
        LipwrightError: unreadable file, or no audio stream.
    """
    container = stack.enter_context(open_media(path, "speech file"))
    if not container.streams.audio:
        raise LipwrightError(f"The speech file {path} has no audio stream; give a file with sound.")
    stream = container.streams.audio[0]
    origin = speech_origin(path)
    if codec_name(stream) in AUDIO[kind]:
        copy = _added(output, stream)
        if copy is not None:
            return CopiedStreams(output, kind, container, {stream.index: copy}, -origin)
    return EncodedSpeech(output, kind, container, stream, origin)


def kept_streams(
    output: av.container.OutputContainer,
    kind: Kind,
    path: Path,
    source_start: Fraction,
    stack: ExitStack,
) -> tuple[Track | None, list[str]]:
    """Add copies of all audio streams but the first, and of all subtitles, of the source video.

    Args:
        output: the file that is written.
        kind: its container.
        path: the source video.
        source_start: time of its first picture in seconds.
        stack: closes the source in the end.

    Returns:
        The track, or None if there is nothing to copy, and a sentence for each stream that the
        container cannot carry.
    """
    container = stack.enter_context(open_media(path, "video"))
    copies: dict[int, Any] = {}
    warnings: list[str] = []
    wanted = [(s, AUDIO[kind]) for s in container.streams.audio[1:]]
    for stream, able in [*wanted, *((s, SUBTITLES[kind]) for s in container.streams.subtitles)]:
        copy = _added(output, stream) if codec_name(stream) in able else None
        if copy is None:
            warnings.append(
                f"The {stream.type} stream {stream.index} ({codec_name(stream)}) of {path} cannot "
                f"be kept in a {kind} file."
            )
            continue
        copy.metadata.update({k: v for k, v in stream.metadata.items() if k in _KEPT_METADATA})
        copy.disposition = Disposition(stream.disposition & ~Disposition.default)
        copies[stream.index] = copy
    if kind == "mkv":
        for attachment in container.streams.attachments:
            if attachment.data:
                output.add_attachment(
                    attachment.name or "attachment",
                    attachment.mimetype or "application/octet-stream",
                    attachment.data,
                )
    if not copies:
        return None, warnings
    return CopiedStreams(output, kind, container, copies, -source_start), warnings


_KEPT_METADATA = ("language", "title", "comment")


def codec_name(stream: Any) -> str:
    """Name of the format of a stream, whatever decoder reads it ("mp3", not "mp3float")."""
    if stream.codec_context is None:
        return stream.name or "unknown"
    return str(stream.codec_context.codec.canonical_name)


def _added(output: av.container.OutputContainer, stream: Any) -> Any | None:
    """A stream of the output that takes packets of ``stream``; None if it cannot."""
    try:
        return output.add_stream_from_template(stream)
    except (av.error.FFmpegError, ValueError):
        return None


class CopiedStreams:
    """Packets copied as they are, only moved in time."""

    def __init__(
        self,
        output: av.container.OutputContainer,
        kind: Kind,
        container: av.container.InputContainer,
        copies: dict[int, Any],
        shift: Fraction,
    ) -> None:
        """Copy streams of ``container`` (by index) to ``copies``, ``shift`` seconds later."""
        self._output = output
        self._copies = copies
        self._shift = shift
        # In Matroska a time before 0 would push all streams, the pictures too, to a later time,
        # unless it is known as the codec's delay; Matroska and Ogg pass that knowledge on.
        knows_delay = container.format.name.startswith(("matroska", "ogg")) and shift == 0
        self._drop_early = kind in ("mkv", "webm") and not knows_delay
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
        packets = container.demux([container.streams[i] for i in self._copies])
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError, OSError):
                return
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None or packet.size == 0:
                continue
            dts = packet.dts if packet.dts is not None else pts
            index, base = packet.stream_index, packet.time_base
            ticks = round((self._shift + self._origin) / base)
            pts, dts = pts + ticks, dts + ticks
            if self._drop_early and pts < 0:
                if 2 * pts + (packet.duration or 0) < 0:
                    continue
                pts = dts = 0
            if dts <= self._last_dts.get(index, dts - 1):
                continue  # muxers refuse what runs backwards
            self._last_dts[index] = dts
            packet.pts, packet.dts = max(pts, dts), dts
            packet.stream = self._copies[index]
            yield packet, dts * base


class EncodedSpeech:
    """Sound decoded and encoded once: AAC at 256 kbit/s (stereo), Opus in WebM."""

    def __init__(
        self,
        output: av.container.OutputContainer,
        kind: Kind,
        container: av.container.InputContainer,
        stream: av.AudioStream,
        begin: Fraction,
    ) -> None:
        """Encode ``stream`` of ``container``, from ``begin`` on, into a new stream."""
        self._begin = begin
        self._output = output
        self._container = container
        count = stream.codec_context.layout.nb_channels
        self._layout = {1: "mono", 2: "stereo", 6: "5.1"}.get(count, "stereo")
        rate = stream.codec_context.sample_rate
        if kind == "webm":
            codec, self._rate = "libopus", 48_000
        else:
            codec, self._rate = "aac", rate if rate in (32_000, 44_100, 48_000) else 48_000
        self._stream: av.AudioStream = output.add_stream(codec, rate=self._rate)  # type: ignore[assignment,arg-type,call-overload,unused-ignore]
        self._stream.codec_context.layout = self._layout
        self._stream.codec_context.bit_rate = _BIT_RATES[self._layout]
        self._stream.codec_context.time_base = Fraction(1, self._rate)
        self._origin = Fraction(0)
        self._packets = self._encoded()
        self._next: tuple[av.Packet[Any], Fraction] | None = None
        self._ready = False

    def start(self, origin: Fraction) -> None:
        """Set the time of the first picture."""
        self._origin = origin

    def advance(self, until: Fraction | None, end: Fraction | None) -> None:
        """See :class:`Track`."""
        if not self._ready:
            self._next, self._ready = next(self._packets, None), True
        while self._next is not None:
            packet, time = self._next
            if until is not None and time > until:
                return
            if end is None or time < end:
                self._output.mux_one(packet)
            elif end is not None:
                self._next = None  # times only grow
                return
            self._next = next(self._packets, None)

    def _encoded(self) -> Iterator[tuple[av.Packet[Any], Fraction]]:
        position = round(self._origin * self._rate)
        for frame in self._uniform():
            frame.pts, frame.time_base = position, Fraction(1, self._rate)
            position += frame.samples
            yield from self._timed(self._stream.encode(frame))
        yield from self._timed(self._stream.encode(None))

    def _timed(self, packets: list[av.Packet[Any]]) -> Iterator[tuple[av.Packet[Any], Fraction]]:
        for packet in packets:
            time = packet.dts if packet.dts is not None else packet.pts
            yield packet, (time or 0) * packet.time_base

    def _uniform(self) -> Iterator[av.AudioFrame]:
        """The decoded sound in one sample format, layout and rate."""
        context = self._stream.codec_context
        resampler: av.AudioResampler | None = None
        current: tuple[Any, ...] = ()
        for frame in aligned_audio(self._container, self._begin):
            key = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None or key != current:
                if resampler is not None:
                    yield from resampler.resample(None)
                resampler = av.AudioResampler(context.format, self._layout, self._rate)
                current = key
            frame.pts = None
            yield from resampler.resample(frame)
        if resampler is not None:
            yield from resampler.resample(None)
