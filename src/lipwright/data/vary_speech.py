"""The same speech in another room, through another microphone, faster or slower: as a waveform.

A frozen speech encoder leaves nothing to vary behind it, so that variety has to come in before it.
Everything is a function of the random generator that is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipwright.media.mel import SAMPLE_RATE

Wave = NDArray[np.float32]

_ROOM_SECONDS = (0.1, 0.5)  # in which the reverberation falls by 60 dB


@dataclass(frozen=True)
class SpeechVariation:
    """How far speech is varied.

    Attributes:
        pace: share by which it is played faster or slower (the voice becomes higher or lower).
        noise: probability that noise is added, at a signal-to-noise ratio (dB) drawn evenly from
            ``ratios``; half of the noise is other speech, where there is some.
        ratios: see ``noise``.
        room: probability of reverberation.
        gain: deviation of the level, dB.
        tilt: deviation of the ends of a straight equaliser, dB over the band.
    """

    pace: float = 0.1
    noise: float = 0.6
    ratios: tuple[float, float] = (5.0, 35.0)
    room: float = 0.4
    gain: float = 6.0
    tilt: float = 4.0


def draw_pace(rng: np.random.Generator, variation: SpeechVariation) -> float:
    """Times as fast as it was."""
    return float(1.0 + rng.uniform(-variation.pace, variation.pace))


def at_pace(wave: Wave, pace: float) -> Wave:
    """``pace`` times as fast, (n,) -> (about n / pace,)."""
    if abs(pace - 1.0) < 1e-6 or not len(wave):
        return wave
    import soxr  # a training that varies nothing works without it

    return np.asarray(soxr.resample(wave, SAMPLE_RATE * pace, SAMPLE_RATE), np.float32)


def in_a_room(
    wave: Wave,
    rng: np.random.Generator,
    variation: SpeechVariation,
    others: Wave | None = None,
) -> Wave:
    """Reverberation, noise, equaliser, level; as long as before, and in step.

    Args:
        wave: (n,) speech.
        rng: decides.
        variation: how far.
        others: other people's speech, at least as long, for a background of voices.
    """
    if not len(wave):
        return wave
    out = wave.astype(np.float64)
    if rng.random() < variation.room:
        out = _reverberated(out, rng)
    if rng.random() < variation.noise:
        noise = _noise(len(out), rng)
        if others is not None and len(others) >= len(out) and rng.random() < 0.5:
            noise = others[: len(out)].astype(np.float64)
        ratio = rng.uniform(*variation.ratios)
        level = _level(noise)
        if level > 0.0:
            out = out + noise * (_level(out) / level * 10.0 ** (-ratio / 20.0))
    out = _tilted(out, float(rng.normal(0.0, variation.tilt)))
    out = out * 10.0 ** (float(rng.normal(0.0, variation.gain)) / 20.0)
    peak = float(np.abs(out).max())
    return np.asarray(out / max(peak, 1.0), np.float32)


def _reverberated(wave: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Convolved with decaying noise whose first sample is the direct sound."""
    seconds = rng.uniform(*_ROOM_SECONDS)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time)) * 10.0 ** (-3.0 * time / seconds)
    tail[: SAMPLE_RATE // 500] = 0.0  # nothing comes back within 2 ms
    tail *= rng.uniform(0.2, 1.0) / max(float(np.linalg.norm(tail)), 1e-9)
    tail[0] = 1.0
    size = 1 << (len(wave) + len(tail)).bit_length()
    spectrum = np.fft.rfft(wave, size) * np.fft.rfft(tail, size)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(wave)])


def _noise(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise whose power falls by 0 to 6 dB an octave."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    slope = rng.uniform(0.0, 1.0)
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** -slope
    return np.asarray(np.fft.irfft(spectrum, count))


def _tilted(wave: NDArray[np.float64], decibel: float) -> NDArray[np.float64]:
    """An equaliser that rises by ``decibel`` from 0 to half the sampling rate."""
    spectrum = np.fft.rfft(wave)
    gain = 10.0 ** (np.linspace(-0.5, 0.5, len(spectrum)) * decibel / 20.0)
    return np.asarray(np.fft.irfft(spectrum * gain, len(wave)))


def _level(wave: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(wave)))) if len(wave) else 0.0
