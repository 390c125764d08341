"""A clip in slow motion that adds nothing: the same pictures, each shown longer.

The encoded pictures are copied and their timestamps multiplied; no picture is made up, repeated or
encoded again, so that the lips do what they did. The sound is stretched in time at its own pitch
(libav's ``atempo``) and encoded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.media.sound import aligned_sound
from lipwright.media.source import open_media

LEAST_SPEED = Fraction(1, 4)
_LEAST_TEMPO = Fraction(1, 2)  # of one filter
_EARLY = 0.4
"""Of its window, by which ``atempo`` is ahead in its input (findings/atempo-early.sh)."""
_BIT_RATE = 128_000
_BLOCK = 4096
_Timed = tuple[Fraction, "av.Packet[Any]"]


def slow_down(clip: Path, target: Path, speed: Fraction) -> None:
    """Write a clip at another speed.

    Args:
        clip: an MP4 file with pictures and perhaps sound; short, for it is held in memory.
        target: the MP4 file to write.
        speed: in parts of the usual one, ``LEAST_SPEED`` to 1.

    Raises:
        ValueError: such a speed.
        LipwrightError: the clip cannot be read.
    """
    if not LEAST_SPEED <= speed <= 1:
        raise ValueError(f"the speed {speed} is not within {LEAST_SPEED} to 1")
    with open_media(clip, "clip") as source, av.open(str(target), "w") as output:
        if not source.streams.video:
            raise LipwrightError(f"The clip {clip} has no pictures.")
        pictures = source.streams.video[0]
        copy = output.add_stream_from_template(pictures)
        base = pictures.time_base
        assert base is not None
        # Ticks are multiplied by the numerator and made finer by the denominator of 1 / speed.
        copy.time_base = base / speed.numerator
        packets: list[_Timed] = []
        for packet in source.demux(pictures):
            if packet.dts is None:
                continue
            packet.stream = copy
            packet.time_base = copy.time_base
            assert packet.pts is not None
            packet.pts, packet.dts = (t * speed.denominator for t in (packet.pts, packet.dts))
            packet.duration = (packet.duration or 0) * speed.denominator
            packets.append(_timed(packet))
        if source.streams.audio:
            source.seek(0)
            packets += _sound(source, output, clip, speed)
        for _, packet in sorted(packets, key=lambda each: each[0]):
            output.mux(packet)


def _sound(
    source: av.container.InputContainer,
    output: av.container.OutputContainer,
    clip: Path,
    speed: Fraction,
) -> Iterator[_Timed]:
    """Packets of the stretched sound, and their times."""
    pieces, rate = [], 0
    for sound in aligned_sound(source, source.streams.audio[0], clip, Fraction(0)):
        pieces.append(sound.samples.mean(axis=0))
        rate = sound.rate
    if not rate:
        return
    stream = output.add_stream("aac", rate=rate, layout="mono")
    stream.codec_context.bit_rate = _BIT_RATE
    stream.codec_context.time_base = Fraction(1, rate)
    samples = stretched(np.concatenate(pieces), rate, speed)
    for start in range(0, samples.size, _BLOCK):
        frame = _frame(samples[start : start + _BLOCK], rate, start)
        yield from map(_timed, stream.encode(frame))
    yield from map(_timed, stream.encode(None))


def _timed(packet: av.Packet[Any]) -> _Timed:
    assert packet.dts is not None
    return packet.dts * packet.time_base, packet


def stretched(samples: NDArray[np.float32], rate: int, speed: Fraction) -> NDArray[np.float32]:
    """Mono sound (n,) slower by ``speed`` at its own pitch: (round(n / speed),)."""
    count = round(samples.size / speed)
    if speed == 1:
        return samples
    graph = av.filter.Graph()
    last = graph.add_abuffer(
        format="flt", sample_rate=rate, layout="mono", time_base=Fraction(1, rate)
    )
    left = speed
    while left < 1:
        tempo = max(left, _LEAST_TEMPO)
        wait = graph.add("adelay", f"delays={round(_EARLY * _window(rate))}S")
        following = graph.add("atempo", f"{float(tempo):.9f}")
        last.link_to(wait)
        wait.link_to(following)
        last, left = following, left / tempo
    sink = graph.add("abuffersink")
    last.link_to(sink)
    graph.configure()
    made = []
    # The filter keeps back what is shorter than its window: silence pushes the end out.
    padded = np.concatenate([samples, np.zeros(rate // 2, np.float32)])
    for start in range(0, padded.size, _BLOCK):
        graph.push(_frame(padded[start : start + _BLOCK], rate, start))
        made += _pulled(graph)
    graph.push(None)
    made += _pulled(graph)
    found = np.concatenate([*made, np.zeros(count, np.float32)])
    return np.asarray(found[:count], np.float32)


def _window(rate: int) -> int:
    """Samples of the filter's window: a power of two that lasts 1/24 s at least."""
    return 1 << (rate // 24 - 1).bit_length()


def _frame(samples: NDArray[np.float32], rate: int, start: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
    return frame


def _pulled(graph: av.filter.Graph) -> list[NDArray[np.float32]]:
    found: list[NDArray[np.float32]] = []
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return found
        assert isinstance(frame, av.AudioFrame)
        found.append(frame.to_ndarray().reshape(-1).astype(np.float32))
