"""MFCCs as SyncNet and LR-ASD hear them: the defaults of python_speech_features 0.6.

The spectra and bands are those of :mod:`lipwright.media.mfcc`. Both networks keep all 13
coefficients, the first of them replaced by the log energy, hear samples in the range of 16-bit
integers, and the last window is filled with silence.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lipwright.media.mel import HOP
from lipwright.media.mfcc import N_MFCC, WINDOW, cepstrum, emphasised, log_bands, power_spectra


def to_int16(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    """Speech in [-1, 1] -> 16-bit samples, as a WAV file holds them."""
    return np.asarray(np.clip(np.round(wave * 32768.0), -32768, 32767), np.int16)


def mfcc13(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """(n,) 16-bit samples at 16 kHz -> (steps, 13), 100 steps a second, at least one."""
    wave = np.asarray(samples, np.float64)
    wave = wave if wave.size else np.zeros(1)
    steps = 1 + max(0, math.ceil((wave.size - WINDOW) / HOP))
    filled = np.pad(emphasised(wave), (0, (steps - 1) * HOP + WINDOW - wave.size))
    power = power_spectra(filled, steps)
    energy = power.sum(axis=1)
    out = np.empty((steps, N_MFCC + 1))
    out[:, 0] = np.log(np.where(energy == 0.0, np.finfo(float).eps, energy))
    out[:, 1:] = log_bands(power) @ cepstrum().T
    return out
