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
import numpy as np
import numpy.typing as npt
import soxr
from av.stream import Disposition

from lipwright.media.audio import speech_origin
from lipwright.media.choice import pick_audio_stream
from lipwright.media.clock import retimer
from lipwright.media.mix import Limiter, placed, stereo_weights
from lipwright.media.names import Kind
from lipwright.media.sound import Sound, aligned_sound, channel_names
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
_UNPLAYABLE: dict[Kind, set[str]] = {"mp4": {"ac3", "eac3"}}
"""Legal, but silent in browsers and in many players; as the only speech they are encoded anew."""
SUBTITLES: dict[Kind, set[str]] = {
    "mp4": {"mov_text"},
    "mov": {"mov_text"},
    "mkv": {"subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"},
    "webm": {"webvtt"},
}
_LAYOUTS: dict[str, dict[str, tuple[str, ...]]] = {
    "aac": {
        "mono": ("FC",),
        "stereo": ("FL", "FR"),
        "3.0": ("FL", "FR", "FC"),
        "4.0": ("FL", "FR", "FC", "BC"),
        "5.0": ("FL", "FR", "FC", "BL", "BR"),
        "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
        "7.1": ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
    },
    # libavcodec's libopus encoder puts the centre of 5.0 and 6.1 into other loudspeakers
    # (findings/opus-5-0-channels.sh); 5.0 goes into 5.1.
    "libopus": {
        "mono": ("FC",),
        "stereo": ("FL", "FR"),
        "3.0": ("FL", "FR", "FC"),
        "quad": ("FL", "FR", "BL", "BR"),
        "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
        "7.1": ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
    },
}
"""Layouts that an encoder takes and players know, and their channels."""


class Track(Protocol):
    """Something that fills streams of the output."""

    def start(self, origin: Fraction) -> None:
        """Learn the time of the first picture, in seconds; called once, before ``advance``."""

    def advance(self, until: Fraction | None, end: Fraction | None) -> None:
        """Mux what lies before ``until`` (None: all), but nothing that starts at ``end``."""


def speech_track(
    output: av.container.OutputContainer,
    kind: Kind,
    path: Path,
    stack: ExitStack,
    stream: int | None = None,
    offset: Fraction = Fraction(0),
) -> Track:
    """Add an audio stream of a file to the output: copied if possible, else encoded once.

    The sample that ``load_speech`` returns first sounds ``offset`` seconds after the first picture
    of the output; below 0, the beginning is left out. The stream becomes the default one and keeps
    its language.

    Args:
        output: the file that is written.
        kind: its container.
        path: the file with the speech.
        stack: closes it in the end.
        stream: number of the stream; None: see :mod:`lipwright.media.choice`.
        offset: seconds.

    Raises:
        LipwrightError: unreadable file, or no audio stream.
    """
    container = stack.enter_context(open_media(path, "speech file"))
    picked = pick_audio_stream(container, path, stream)
    origin = speech_origin(path, stream)
    if (
        codec_name(picked) in AUDIO[kind] - _UNPLAYABLE.get(kind, set())
        and picked.codec_context.layout.nb_channels
    ):
        copy = _added(output, picked)
        if copy is not None:
            _described(copy, picked, default=True)
            copies, shift = {picked.index: copy}, offset - origin
            return CopiedStreams(output, kind, path, container, copies, shift, offset < 0)
    return EncodedSpeech(output, kind, path, container, picked, origin - offset)


def kept_streams(
    output: av.container.OutputContainer,
    kind: Kind,
    path: Path,
    source_start: Fraction,
    stack: ExitStack,
    spoken: tuple[Path, int | None] | None = None,
    drop_early: bool = False,
) -> tuple[Track | None, list[str]]:
    """Add copies of the other audio streams and of all subtitles of the source video.

    The audio stream that the speech replaces, the default one, is left out; so is the one that is
    the speech itself.

    Args:
        output: the file that is written.
        kind: its container.
        path: the source video.
        source_start: time of its first picture in seconds.
        stack: closes the source in the end.
        spoken: file and stream number of the speech, if it may be in the same file.
        drop_early: leave out what would sound or show before that, even where the container could
            carry it.

    Returns:
        The track, or None if there is nothing to copy, and a sentence for each stream that the
        container cannot carry.
    """
    container = stack.enter_context(open_media(path, "video"))
    copies: dict[int, Any] = {}
    warnings: list[str] = []
    left_out = set()
    if container.streams.audio:
        left_out.add(pick_audio_stream(container, path).index)
        if spoken is not None and spoken[0].exists() and spoken[0].samefile(path):
            left_out.add(pick_audio_stream(container, path, spoken[1]).index)
    wanted = [(s, AUDIO[kind]) for s in container.streams.audio if s.index not in left_out]
    for stream, able in [*wanted, *((s, SUBTITLES[kind]) for s in container.streams.subtitles)]:
        copy = _added(output, stream) if codec_name(stream) in able else None
        if copy is None:
            warnings.append(
                f"The {stream.type} stream {stream.index} ({codec_name(stream)}) of {path} cannot "
                f"be kept in a {kind} file."
            )
            continue
        _described(copy, stream, default=False)
        copies[stream.index] = copy
    for stream in container.streams:
        handled = stream.type in ("video", "audio", "subtitle", "attachment")
        is_chapters = codec_name(stream) == "bin_data" and bool(container.chapters())
        if not handled and not _is_timecode(stream) and not is_chapters:
            name = stream.metadata.get("handler_name") or codec_name(stream)
            warnings.append(
                f"The {stream.type} stream {stream.index} ({name}) of {path} cannot be kept."
            )
    if kind == "mkv":
        for attachment in container.streams.attachments:
            if attachment.data:
                output.add_attachment(
                    attachment.name or "attachment",
                    attachment.mimetype or "application/octet-stream",
                    attachment.data,
                )
    elif container.streams.attachments:
        warnings.append(f"The attachments of {path} (fonts) cannot be kept in a {kind} file.")
    if not copies:
        return None, warnings
    copied = CopiedStreams(output, kind, path, container, copies, -source_start, drop_early)
    return copied, warnings


_KEPT_METADATA = ("language", "title", "comment")


def _described(copy: Any, stream: Any, *, default: bool) -> None:
    """Language and title of a stream, and whether players choose it."""
    copy.metadata.update({k: v for k, v in stream.metadata.items() if k in _KEPT_METADATA})
    flags = Disposition(stream.disposition & ~Disposition.default)
    copy.disposition = Disposition(flags | Disposition.default) if default else flags


def _is_timecode(stream: Any) -> bool:
    """The time code track of a MOV file, which libav writes anew from its tag."""
    return stream.type == "data" and bool(stream.metadata.get("timecode"))


def codec_name(stream: Any) -> str:
    """Name of the format of a stream, whatever decoder reads it ("mp3", not "mp3float")."""
    if stream.codec_context is None:
        # A video stream of an unknown format has no name in PyAV, not even an empty one.
        return getattr(stream, "name", None) or "unknown"
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
        packets = container.demux([container.streams[i] for i in self._copies])
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError, OSError):
                return
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


class EncodedSpeech:
    """Sound decoded and encoded once: AAC, or Opus in WebM.

    The channels keep their places where the encoder has such a layout; others are mixed to stereo
    by the rule of :mod:`lipwright.media.mix`.
    """

    def __init__(
        self,
        output: av.container.OutputContainer,
        kind: Kind,
        path: Path,
        container: av.container.InputContainer,
        stream: av.AudioStream,
        begin: Fraction,
    ) -> None:
        """Encode ``stream`` of ``container``, from ``begin`` on, into a new stream."""
        self._begin, self._path = begin, path
        self._output = output
        self._container, self._source = container, stream
        layout = stream.codec_context.layout
        names = channel_names(layout)
        rate = stream.codec_context.sample_rate
        if kind == "webm":
            codec, self._rate = "libopus", 48_000
        else:
            codec, self._rate = "aac", rate if rate in (32_000, 44_100, 48_000) else 48_000
        self._layout, self._channels = _output_layout(codec, names, layout.nb_channels)
        self._stream: av.AudioStream = output.add_stream(codec, rate=self._rate)  # type: ignore[assignment,arg-type,call-overload,unused-ignore]
        context = self._stream.codec_context
        context.layout = self._layout
        context.bit_rate = (
            128_000 if len(self._channels) < 2 else 64_000 + 96_000 * (len(self._channels) - 1)
        )
        context.time_base = Fraction(1, self._rate)
        _described(self._stream, stream, default=True)
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
        for samples in self._limited():
            packed = np.ascontiguousarray(samples.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
            frame.sample_rate = self._rate
            frame.pts, frame.time_base = position, Fraction(1, self._rate)
            position += samples.shape[1]
            yield from self._timed(self._stream.encode(frame))
        yield from self._timed(self._stream.encode(None))

    def _timed(self, packets: list[av.Packet[Any]]) -> Iterator[tuple[av.Packet[Any], Fraction]]:
        for packet in packets:
            time = packet.dts if packet.dts is not None else packet.pts
            yield packet, (time or 0) * packet.time_base

    def _limited(self) -> Iterator[npt.NDArray[np.float32]]:
        """The sound in the output's layout and rate, below full scale."""
        limiter = Limiter(self._rate)
        for samples in self._uniform():
            ready = limiter.push(samples)
            if ready.size:
                yield ready
        last = limiter.flush()
        if last.size:
            yield last

    def _uniform(self) -> Iterator[npt.NDArray[np.float32]]:
        """(channels, n) in the output's layout and rate."""
        converter: soxr.ResampleStream | None = None
        current = 0
        count = len(self._channels)
        for sound in aligned_sound(self._container, self._source, self._path, self._begin):
            mixed = self._mixed(sound)
            if converter is None or sound.rate != current:
                if converter is not None:
                    yield converter.resample_chunk(np.zeros((0, count), np.float32), last=True).T
                current = sound.rate
                converter = soxr.ResampleStream(
                    current, self._rate, count, dtype="float32", quality="HQ"
                )
            made = converter.resample_chunk(np.ascontiguousarray(mixed.T)).reshape(-1, count)
            if made.size:
                yield made.T
        if converter is not None:
            rest = converter.resample_chunk(np.zeros((0, count), np.float32), last=True)
            if rest.size:
                yield rest.reshape(-1, count).T

    def _mixed(self, sound: Sound) -> npt.NDArray[np.float32]:
        present = sound.samples.shape[0]
        if len(self._channels) == 1:
            return sound.samples if present == 1 else _stereo(sound).mean(axis=0, keepdims=True)
        if present == 1:
            return (
                np.repeat(sound.samples, 2, axis=0)
                if len(self._channels) == 2
                else _spread(sound.samples, len(self._channels))
            )
        weights = placed(sound.channels, self._channels)
        if weights is None:
            mixed = _stereo(sound)
            return mixed if len(self._channels) == 2 else _spread(mixed, len(self._channels))
        made: npt.NDArray[np.float32] = weights @ sound.samples
        return made


def _stereo(sound: Sound) -> npt.NDArray[np.float32]:
    weights = stereo_weights(sound.channels, sound.samples.shape[0])
    mixed: npt.NDArray[np.float32] = weights @ sound.samples
    return mixed


def _spread(samples: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """One or two channels in front of a larger layout, as the format changes on the way."""
    made = np.zeros((count, samples.shape[1]), np.float32)
    made[:2] = samples
    return made


def _output_layout(codec: str, names: tuple[str, ...], count: int) -> tuple[str, tuple[str, ...]]:
    """The smallest layout of an encoder in which every channel has its place, else stereo."""
    known = _LAYOUTS[codec]
    if count == 1:
        return "mono", known["mono"]
    fitting = [
        (layout, channels)
        for layout, channels in known.items()
        if len(names) == count and placed(names, channels) is not None
    ]
    return fitting[0] if fitting else ("stereo", known["stereo"])
