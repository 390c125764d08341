"""MFCCs as SyncNet hears them: the defaults of python_speech_features 0.6.

16 kHz, frames of 25 ms every 10 ms without a window function, FFT of 512, 26 triangular filters
from 0 to 8 kHz (mel 2595 log10(1 + f / 700)), logarithm, orthonormal DCT-II, 13 coefficients,
sinusoidal lifter 22, coefficient 0 replaced by the log energy; pre-emphasis 0.97. The samples are
in the range of 16-bit integers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

RATE, FRAME, STEP, FFT = 16_000, 400, 160, 512
FILTERS, COEFFICIENTS, LIFTER, PRE_EMPHASIS = 26, 13, 22, 0.97
STEPS_PER_SECOND = RATE // STEP


def _filters() -> NDArray[np.float64]:
    """(26, 257) triangles whose corners lie on FFT bins."""
    top = 2595 * math.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0.0, top, FILTERS + 2) / 2595) - 1)
    bins = np.floor((FFT + 1) * corners / RATE).astype(int)
    bank = np.zeros((FILTERS, FFT // 2 + 1))
    for n, (left, centre, right) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        up, down = np.arange(left, centre), np.arange(centre, right)
        bank[n, up] = (up - left) / max(centre - left, 1)
        bank[n, down] = (right - down) / max(right - centre, 1)
    return bank


def _cosines() -> NDArray[np.float64]:
    """(13, 26) first rows of the orthonormal DCT-II."""
    k, n = np.mgrid[0:COEFFICIENTS, 0:FILTERS]
    table = np.cos(np.pi * k * (2 * n + 1) / (2 * FILTERS)) * math.sqrt(2.0 / FILTERS)
    table[0] /= math.sqrt(2.0)
    return np.asarray(table)


def to_int16(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    """Speech in [-1, 1] -> 16-bit samples, as a WAV file holds them."""
    return np.asarray(np.clip(np.round(wave * 32768.0), -32768, 32767), np.int16)


def mfcc(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """(n,) 16-bit samples at 16 kHz -> (steps, 13), 100 steps a second, at least one."""
    x = np.asarray(samples, np.float64)
    if x.size == 0:
        x = np.zeros(1)
    x = np.append(x[0], x[1:] - PRE_EMPHASIS * x[:-1])
    steps = 1 + max(0, math.ceil((len(x) - FRAME) / STEP))
    padded = np.zeros((steps - 1) * STEP + FRAME)
    padded[: min(len(x), len(padded))] = x[: len(padded)]
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::STEP]
    power = np.abs(np.fft.rfft(frames, FFT)) ** 2 / FFT
    tiny = np.finfo(float).eps
    energy = power.sum(axis=1)
    bands = power @ _filters().T
    cepstra = np.log(np.where(bands == 0, tiny, bands)) @ _cosines().T
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
    cepstra[:, 0] = np.log(np.where(energy == 0, tiny, energy))
    return np.asarray(cepstra)
