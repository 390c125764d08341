"""Decoded sound as arrays, without holes, beginning where it is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import numpy as np
import numpy.typing as npt
import soxr

from lipwright.errors import LipwrightError
from lipwright.media import limits
from lipwright.media.choice import pick_audio_stream
from lipwright.media.clock import retimer
from lipwright.media.source import open_media, readable_packets

Samples = npt.NDArray[np.float32]

_SHORTEST_GAP = Fraction(1, 20)
_FREE_HOLES = 60
"""Seconds of holes that are filled however little sound there is."""
_LONGEST_PADDING = Fraction(15, 100)
"""Encoders fill their last block (2,048 samples of HE-AAC at 22.05 kHz are 93 ms)."""
_MAX_RATE = 768_000
_LOUDEST = 16.0
_MANY = 8  # PyAV's planes of a planar frame run past the end from so many channels on


@dataclass(frozen=True)
class Sound:
    """A piece of decoded sound.

    Attributes:
        samples: (channels, n) float32, nominally in [-1, 1], finite.
        rate: samples per second.
        channels: libav's names of the channels; empty where they have none.
        time: seconds at which it starts on the file's clock, None if unknown.
    """

    samples: Samples
    rate: int
    channels: tuple[str, ...]
    time: Fraction | None

    @property
    def count(self) -> int:
        """Samples per channel."""
        return int(self.samples.shape[1])

    def silence(self, count: int) -> Sound:
        """Silence in the same format."""
        return replace(
            self, samples=np.zeros((self.samples.shape[0], count), np.float32), time=None
        )

    def part(self, first: int, last: int | None = None) -> Sound:
        """Samples ``first`` to ``last - 1``."""
        time = None if self.time is None else self.time + Fraction(first, self.rate)
        return replace(self, samples=self.samples[:, first:last], time=time)


_BY_COUNT = {
    1: ("FC",),
    2: ("FL", "FR"),
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
"""What channels without names are, by their number (RFC 9639, section 9.1.3)."""


def channel_names(layout: av.AudioLayout) -> tuple[str, ...]:
    """Names of the channels; by their number where a file does not tell, else empty.

    Matroska stores no layout for PCM, and WAV need not.
    """
    names = tuple(channel.name for channel in layout.channels)
    if len(names) == layout.nb_channels and _KNOWN.issuperset(names):
        return names
    return _BY_COUNT.get(layout.nb_channels, ())


_KNOWN = frozenset(channel.name for channel in av.AudioLayout("22.2").channels) | {"DL", "DR"}


def aligned_sound(
    container: av.container.InputContainer, stream: av.AudioStream, path: Path, origin: Fraction
) -> Iterator[Sound]:
    """The sound from the time ``origin`` on: silence put before it, or its start cut off."""
    waiting = True
    for sound in decoded_sound(container, stream, path):
        if waiting and sound.time is not None:
            samples = round((sound.time - origin) * sound.rate)
            if samples <= -sound.count:
                continue
            if samples < 0:
                sound = sound.part(-samples)
            yield from _silence(sound, samples)
        waiting = False
        yield sound


def decoded_sound(
    container: av.container.InputContainer, stream: av.AudioStream, path: Path
) -> Iterator[Sound]:
    """Decodable pieces of an audio stream without holes.

    Damaged packets are skipped; where timestamps leave a hole, silence fills it. What an encoder
    padded at the end is cut off where the container declares the end.

    Raises:
        LipwrightError: more holes than the limits ``hole_seconds`` and ``hole_share`` allow.
    """
    budget = _Budget(path)
    expected: Fraction | None = None
    for sound in _without_padding(
        _pieces(container, stream, path), _declared_end(stream, container)
    ):
        if sound.time is not None:
            if expected is not None and sound.time - expected > _SHORTEST_GAP:
                budget.hole(sound.time - expected)
                yield from _silence(sound, round((sound.time - expected) * sound.rate))
            expected = sound.time
        length = Fraction(sound.count, sound.rate)
        if expected is not None:
            expected += length
        budget.sound(length)
        yield sound


class _Budget:
    """How much silence a file may have for its holes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sound = self._holes = Fraction(0)

    def sound(self, seconds: Fraction) -> None:
        self._sound += seconds

    def hole(self, seconds: Fraction) -> None:
        self._holes += seconds
        allowed = limits.active()
        most = min(Fraction(allowed.hole_seconds), _FREE_HOLES + allowed.hole_share * self._sound)
        if self._holes > most:
            raise LipwrightError(
                f"The timestamps of the sound in {self._path} leave holes of "
                f"{float(self._holes):.0f} s between {float(self._sound):.1f} s of sound, which is "
                "probably damage; convert it to WAV, or raise the limit with "
                "--limit hole_seconds=N (and hole_share=N)."
            )


def _declared_end(
    stream: av.AudioStream, container: av.container.InputContainer
) -> Fraction | None:
    """When the stream ends by the container's table; None where that is only an estimate."""
    if not container.format.name.startswith("mov") or not stream.duration or stream.duration < 0:
        return None
    base = stream.time_base or Fraction(1, stream.rate or 1)
    return ((stream.start_time or 0) + stream.duration) * base


_BLOCKS = {"aac": 1024, "ac3": 1536, "eac3": 1536, "mp2": 1152, "wmav2": 2048}
"""Samples of a block of codecs that say nothing of what they pad: at most two blocks."""


def possible_padding(path: Path, stream: int | None = None) -> Fraction:
    """Seconds at the end of a file's sound that may be an encoder's padding.

    0 where the container declares the end of a sound (MP4, MOV) or the codec does.

    Raises:
        LipwrightError: unreadable file, or no audio stream.
    """
    with open_media(path, "speech file") as container:
        picked = pick_audio_stream(container, path, stream)
        context = picked.codec_context
        block = _BLOCKS.get(context.codec.canonical_name, 0)
        if not block or not context.sample_rate or _declared_end(picked, container) is not None:
            return Fraction(0)
        return Fraction(2 * max(block, context.frame_size or 0), context.sample_rate)


def _without_padding(pieces: Iterator[Sound], end: Fraction | None) -> Iterator[Sound]:
    """Cut at the declared end, unless so much follows that the declaration must be wrong."""
    after: list[Sound] = []
    for sound in pieces:
        if end is None or sound.time is None:
            yield sound
            continue
        left = round((end - sound.time) * sound.rate)
        if left >= sound.count and not after:
            yield sound
            continue
        if sound.time + Fraction(sound.count, sound.rate) > end + _LONGEST_PADDING:
            yield from after
            after, end = [], None
            yield sound
            continue
        if left > 0 and not after:
            yield sound.part(0, left)
            sound = sound.part(left)
        after.append(sound)


def _pieces(
    container: av.container.InputContainer, stream: av.AudioStream, path: Path
) -> Iterator[Sound]:
    retime = retimer(path, container, stream.index)
    packer = _Packer()
    for packet in readable_packets(container, stream):
        if retime is not None:
            retime(packet)
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError):
            continue
        for frame in frames:
            if 0 < frame.sample_rate <= _MAX_RATE and frame.samples > 0:
                yield packer.sound(frame)


class _Packer:
    """Frames of any sample format into arrays."""

    def __init__(self) -> None:
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[Any, ...] = ()

    def sound(self, frame: av.AudioFrame) -> Sound:
        time = None
        if frame.pts is not None and frame.time_base is not None:
            time = Fraction(frame.pts * frame.time_base)
        rate, layout = frame.sample_rate, frame.layout
        count = layout.nb_channels
        if frame.format.is_planar and count >= _MANY:
            frame = self._packed(frame)
        raw: npt.NDArray[Any] = frame.to_ndarray()
        table = raw if frame.format.is_planar else raw.reshape(-1, count).T
        return Sound(_as_floats(table), rate, channel_names(layout), time)

    def _packed(self, frame: av.AudioFrame) -> av.AudioFrame:
        """Interleaved samples of a planar frame, channels and rate as they are."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or kind != self._kind:
            wanted = frame.format.packed.name
            self._resampler = av.AudioResampler(wanted, frame.layout, frame.sample_rate)
            self._kind = kind
        return self._resampler.resample(frame)[0]


def _as_floats(table: npt.NDArray[Any]) -> Samples:
    if table.dtype == np.uint8:
        centred: Samples = (table.astype(np.float32) - 128.0) / 128.0
        return centred
    if np.issubdtype(table.dtype, np.integer):
        scaled: Samples = table.astype(np.float32) / -float(np.iinfo(table.dtype).min)
        return scaled
    # Floats may hold anything, and one infinity would spoil its surroundings.
    finite = np.nan_to_num(table, nan=0.0, posinf=1.0, neginf=-1.0)
    clipped: Samples = np.clip(finite, -_LOUDEST, _LOUDEST).astype(np.float32)
    return clipped


def resampled(pieces: Iterator[tuple[int, Samples]], rate: int, channels: int) -> Iterator[Samples]:
    """Bring sound to one rate with soxr's high-quality filter; a new rate begins anew.

    Args:
        pieces: rate and samples, (n,) of one channel or (n, channels).
        rate: of the result, whose pieces are of the same kind.
        channels: number of them.
    """
    converter: soxr.ResampleStream | None = None
    current = 0
    for found, samples in pieces:
        if converter is None or found != current:
            if converter is not None:
                yield converter.resample_chunk(samples[:0], last=True)
            converter = soxr.ResampleStream(found, rate, channels, dtype="float32", quality="HQ")
            current = found
        yield converter.resample_chunk(samples)
    if converter is not None:
        yield converter.resample_chunk(samples[:0], last=True)


def _silence(like: Sound, samples: int) -> Iterator[Sound]:
    """Silence of at most a second at a time in the format of another piece."""
    while samples > 0:
        count = min(samples, like.rate)
        yield like.silence(count)
        samples -= count
