"""Which sound is speech and not music, for preparation: energy, periodicity, rhythm of syllables.

Speech against silence, for a dub, is :mod:`lipwright.media.voice_activity`. This is a detector of
its own rather than a library, for three reasons: the kept ones are a compiled wrapper of WebRTC's
detector, which takes music for speech, and neural ones, which bring another runtime and weights;
and a corpus should come out the same in every installation. It asks three things of a sound:

1. *level*: within 35 dB of the recording's loud parts and above digital silence;
2. *periodicity*: voiced speech repeats itself 70 to 400 times a second; the peak of the normalised
   autocorrelation (Boersma 1993, divided by that of the window) must reach 0.5;
3. *rhythm*: the level rises and falls by syllables, at least 6 dB within a second. A held tone or
   hum has the first two but not this.

Consonants around voiced sounds come in by widening. Rhythmic music can still pass; the audio-visual
check after it rejects what no lips go with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.media.mel import SAMPLE_RATE
from lipwright.runs import runs_of

HOP = SAMPLE_RATE // 100
WINDOW = SAMPLE_RATE // 25  # 40 ms hold at least 2.8 periods of 70 Hz
REACH_DB = 35.0
SILENCE_DB = -60.0
PERIODIC = 0.5
PITCH_HZ = (70.0, 400.0)
RHYTHM_DB = 6.0
WIDEN_SECONDS = 0.15
SHORTEST_SECONDS = 0.15
_BLOCK = 2000  # windows at a time, which bounds memory for hours of sound

Levels = NDArray[np.float64]


def speech_intervals(wave: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Stretches of speech.

    Args:
        wave: (n,) mono samples at 16 kHz, full scale is 1.

    Returns:
        (start, end) in seconds, increasing, apart from each other, inside the recording.
    """
    level, periodic = _measure(wave)
    if not level.size:
        return []
    loud = max(float(np.percentile(level, 95)) - REACH_DB, SILENCE_DB)
    voiced = (level > loud) & (periodic > PERIODIC) & (_swing(level) > RHYTHM_DB)
    steps = HOP / SAMPLE_RATE
    merged: list[list[float]] = []
    for start, end in runs_of(voiced):
        a, b = start * steps - WIDEN_SECONDS, end * steps + WIDEN_SECONDS
        if merged and a <= merged[-1][1]:
            merged[-1][1], merged[-1][2] = b, merged[-1][2] + (end - start) * steps
        else:
            merged.append([a, b, (end - start) * steps])
    length = wave.size / SAMPLE_RATE
    return [
        (round(max(a, 0.0), 3), round(min(b, length), 3))
        for a, b, heard in merged
        if heard >= SHORTEST_SECONDS
    ]


def _measure(wave: NDArray[np.float32]) -> tuple[Levels, Levels]:
    """Level in dB of full scale and periodicity in [0, 1], every 10 ms."""
    count = 1 + wave.size // HOP if wave.size else 0
    padded = np.pad(np.asarray(wave, np.float32), (WINDOW // 2, WINDOW + HOP))
    view = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:count]
    window = np.hanning(WINDOW + 2)[1:-1].astype(np.float32)
    size = 2 * WINDOW
    own = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)
    low, high = round(SAMPLE_RATE / PITCH_HZ[1]), round(SAMPLE_RATE / PITCH_HZ[0])
    level, periodic = np.empty(count), np.empty(count)
    for first in range(0, count, _BLOCK):
        part = view[first : first + _BLOCK]
        part = (part - part.mean(axis=1, keepdims=True)) * window
        power = np.abs(np.fft.rfft(part, size)) ** 2
        lags = np.fft.irfft(power)[:, : high + 1]
        energy = np.maximum(lags[:, 0], 1e-12)
        level[first : first + _BLOCK] = 10 * np.log10(energy / float((window**2).sum()) + 1e-12)
        shape = lags[:, low : high + 1] / energy[:, None] * (own[0] / own[low : high + 1])
        periodic[first : first + _BLOCK] = shape.max(axis=1)
    return level, periodic


def _swing(level: Levels) -> Levels:
    """How far the level moves within half a second on either side (10 % to 90 %), dB."""
    reach = SAMPLE_RATE // HOP // 2
    floored = np.maximum(level, SILENCE_DB - 20)
    padded = np.pad(floored, reach, mode="reflect" if level.size > reach else "edge")
    view = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    out = np.empty(level.size)
    for first in range(0, level.size, _BLOCK):
        low, high = np.percentile(view[first : first + _BLOCK, ::4], [10, 90], axis=1)
        out[first : first + _BLOCK] = high - low
    return out
