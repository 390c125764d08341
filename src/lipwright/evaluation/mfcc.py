"""MFCCs as SyncNet hears them: the defaults of python_speech_features 0.6.

The spectra and bands are those of :mod:`lipwright.media.mfcc`. SyncNet keeps all 13 coefficients,
the first of them replaced by the log energy, hears samples in the range of 16-bit integers, and its
last window is filled with silence.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from lipwright.media.mel import HOP
from lipwright.media.mfcc import N_MFCC, WINDOW, cepstrum, emphasised, log_bands, power_spectra


def to_int16(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    """Speech in [-1, 1] -> 16-bit samples, as a WAV file holds them."""
    return np.asarray(np.clip(np.round(wave * 32768.0), -32768, 32767), np.int16)


def mfcc(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """(n,) 16-bit samples at 16 kHz -> (steps, 13), 100 steps a second, at least one."""
    wave = torch.from_numpy(np.asarray(samples, np.float64))
    wave = wave if wave.numel() else torch.zeros(1, dtype=torch.float64)
    steps = 1 + max(0, math.ceil((wave.numel() - WINDOW) / HOP))
    filled = F.pad(emphasised(wave), (0, (steps - 1) * HOP + WINDOW - wave.numel()))
    power = power_spectra(filled, steps)
    energy = power.sum(dim=1)
    energy = torch.where(energy == 0.0, torch.full_like(energy, np.finfo(float).eps), energy)
    out = np.empty((steps, N_MFCC + 1))
    out[:, 0] = energy.log().numpy()
    out[:, 1:] = (log_bands(power) @ cepstrum().T).numpy()
    return out
