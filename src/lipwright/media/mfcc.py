"""Mel-frequency cepstral coefficients, the front end of AT-net (Chen et al., CVPR 2019).

The recipe is that of the package python_speech_features with its defaults, which the published code
calls: pre-emphasis 0.97, windows of 25 ms every 10 ms without a taper, power spectrum of 512 points
divided by 512, 26 triangles on O'Shaughnessy's mel scale from 0 to 8 kHz with their corners rounded
to bins, logarithm, DCT-II (orthonormal), 13 coefficients, sinusoidal lifter of 22. The coefficient
of index 0 is dropped, which leaves 12 and with it most of the dependence on loudness.

Column j covers the samples from 160 j on. Digital silence is 0 in every coefficient (to rounding):
the logarithm of its bands is one constant, and the cosines of a constant vanish.

Samples are floats in [-1, 1], as in the published code, and not 16-bit integers.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from lipwright.media.mel import HOP, PRE_EMPHASIS, SAMPLE_RATE, SILENCE

N_MFCC = 12
"""Coefficients that are left: 1 to 12."""
WINDOW = SAMPLE_RATE // 40
"""Samples per window (400 = 25 ms)."""
N_FFT = 512
N_BANDS = 26
LIFTER = 22
_EPS = 2.0**-52  # what the package puts in the place of 0 before the logarithm
_BLOCK = 4096


def hz_to_mel(hertz: float) -> float:
    """O'Shaughnessy's mel scale."""
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def mel_to_hz(mel: float) -> float:
    """Inverse of :func:`hz_to_mel`."""
    return 700.0 * (math.pow(10.0, mel / 2595.0) - 1.0)


@lru_cache(maxsize=1)
def filters() -> Tensor:
    """(26, 257) triangles of height one with corners on whole bins, float64."""
    high = hz_to_mel(SAMPLE_RATE / 2)
    corners = [
        math.floor((N_FFT + 1) * mel_to_hz(high * i / (N_BANDS + 1)) / SAMPLE_RATE)
        for i in range(N_BANDS + 2)
    ]
    bank = torch.zeros(N_BANDS, N_FFT // 2 + 1, dtype=torch.float64)
    for band in range(N_BANDS):
        left, centre, right = corners[band : band + 3]
        for k in range(left, centre):
            bank[band, k] = (k - left) / (centre - left)
        for k in range(centre, right):
            bank[band, k] = (right - k) / (right - centre)
    return bank


@lru_cache(maxsize=1)
def cepstrum() -> Tensor:
    """(12, 26) rows 1 to 12 of the orthonormal DCT-II, times the lifter, float64."""
    n = torch.arange(N_BANDS, dtype=torch.float64)
    k = torch.arange(1, N_MFCC + 1, dtype=torch.float64)[:, None]
    cosines = math.sqrt(2.0 / N_BANDS) * torch.cos(math.pi * k * (2.0 * n + 1.0) / (2.0 * N_BANDS))
    return cosines * (1.0 + (LIFTER / 2.0) * torch.sin(math.pi * k / LIFTER))


def emphasised(wave: Tensor) -> Tensor:
    """(n,) -> (n,) with 0.97 of each sample's predecessor taken away."""
    return torch.cat([wave[:1], wave[1:] - PRE_EMPHASIS * wave[:-1]]) if wave.numel() else wave


def power_spectra(wave: Tensor, columns: int) -> Tensor:
    """(m,) pre-emphasised float64 -> (columns, 257), one every 10 ms.

    ``wave`` must hold all windows, ``m >= 160 (columns - 1) + 400``.
    """
    windows = wave.unfold(0, WINDOW, HOP)[:columns]
    spectrum = torch.fft.rfft(windows, N_FFT)
    power: Tensor = (spectrum.real.square() + spectrum.imag.square()) / N_FFT
    return power


def log_bands(power: Tensor) -> Tensor:
    """(columns, 257) -> (columns, 26) logarithms of the mel bands."""
    bands = power @ filters().T
    logs: Tensor = torch.where(bands == 0.0, torch.full_like(bands, _EPS), bands).log()
    return logs


@torch.no_grad()
def mfcc(wave: Tensor) -> Tensor:
    """Coefficients 1 to 12 of a whole recording.

    Args:
        wave: (n,) float in [-1, 1] at 16 kHz, n >= 0.

    Returns:
        (12, 1 + n // 160) float32, as many columns as the mel spectrogram has; beyond the end of
        the recording there is silence.

    Raises:
        ValueError: ``wave`` is not one-dimensional.
    """
    if wave.ndim != 1:
        raise ValueError(f"mfcc wants a mono wave (n,), got {tuple(wave.shape)}")
    x = torch.nan_to_num(wave.detach().cpu().double(), nan=0.0, posinf=1.0, neginf=-1.0)
    columns = 1 + wave.numel() // HOP
    x = torch.nn.functional.pad(emphasised(x), (0, WINDOW + HOP))
    pieces = []
    for first in range(0, columns, _BLOCK):
        count = min(_BLOCK, columns - first)
        part = x[first * HOP : (first + count - 1) * HOP + WINDOW]
        pieces.append((log_bands(power_spectra(part, count)) @ cepstrum().T).T)
    return torch.cat(pieces, dim=1).float().to(wave.device)


def shifted_mfcc(wave: Tensor) -> Tensor:
    """:func:`mfcc` moved so that silence is where the mel spectrogram has it, at ``SILENCE``.

    The pipeline pads windows, and fades them in pauses, with that one value; the method that asked
    for MFCC takes the shift off again.
    """
    return mfcc(wave) + SILENCE
