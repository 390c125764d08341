"""Sound that is decoded, mixed and encoded once on its way into the output."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import numpy as np
import numpy.typing as npt

from lipwright.media.copied_streams import described
from lipwright.media.mix import Limiter, placed, stereo_weights
from lipwright.media.names import Kind
from lipwright.media.sound import Sound, aligned_sound, channel_names, resampled

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
_FORMATS = {"aac": "AAC", "libopus": "Opus"}
_AUDIBLE = 10 ** (-1 / 20)
"""A gain that is worth a sentence: 1 dB."""


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
        notices: list[str] | None = None,
    ) -> None:
        """Encode ``stream`` of ``container``, from ``begin`` on, into a new stream.

        ``notices`` takes sentences about what becomes of the sound beside that.
        """
        self._begin, self._path = begin, path
        self._notices = [] if notices is None else notices
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
        if len(self._channels) == 2 < layout.nb_channels:
            self._notices.append(
                f"The {layout.nb_channels} channels of {path} are mixed to stereo, for "
                f"{_FORMATS[codec]} has no layout in which each keeps its place."
            )
        self._stream: av.AudioStream = output.add_stream(codec, rate=self._rate)  # type: ignore[assignment,arg-type,call-overload,unused-ignore]
        context = self._stream.codec_context
        context.layout = self._layout
        context.bit_rate = (
            128_000 if len(self._channels) < 2 else 64_000 + 96_000 * (len(self._channels) - 1)
        )
        context.time_base = Fraction(1, self._rate)
        described(self._stream, stream, default=True)
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
        if limiter.lowest < _AUDIBLE:
            self._notices.append(
                f"The loudest parts of {self._path} go beyond full scale; in the output they are "
                f"lowered by up to {-20 * math.log10(limiter.lowest):.0f} dB, so as not to clip."
            )

    def _uniform(self) -> Iterator[npt.NDArray[np.float32]]:
        """(channels, n) in the output's layout and rate."""
        count = len(self._channels)
        sounds = aligned_sound(self._container, self._source, self._path, self._begin)
        mixed = ((s.rate, np.ascontiguousarray(self._mixed(s).T)) for s in sounds)
        for made in resampled(mixed, self._rate, count):
            if made.size:
                yield made.reshape(-1, count).T

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
