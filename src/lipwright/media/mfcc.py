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

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from lipwright.media.mel import HOP, PRE_EMPHASIS, SAMPLE_RATE, SILENCE

N_MFCC = 12
"""Coefficients that are left: 1 to 12."""
WINDOW = SAMPLE_RATE // 40
"""Samples per window (400 = 25 ms)."""
N_FFT = 512
N_BANDS = 26
LIFTER = 22
_Doubles = NDArray[np.float64]
_EPS = 2.0**-52  # what the package puts in the place of 0 before the logarithm
_BLOCK = 4096


def hz_to_mel(hertz: float) -> float:
    """O'Shaughnessy's mel scale."""
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def mel_to_hz(mel: float) -> float:
    """Inverse of :func:`hz_to_mel`."""
    return 700.0 * (math.pow(10.0, mel / 2595.0) - 1.0)


@lru_cache(maxsize=1)
def filters() -> _Doubles:
    """(26, 257) triangles of height one with corners on whole bins, float64."""
    high = hz_to_mel(SAMPLE_RATE / 2)
    corners = [
        math.floor((N_FFT + 1) * mel_to_hz(high * i / (N_BANDS + 1)) / SAMPLE_RATE)
        for i in range(N_BANDS + 2)
    ]
    bank = np.zeros((N_BANDS, N_FFT // 2 + 1))
    for band in range(N_BANDS):
        left, centre, right = corners[band : band + 3]
        for k in range(left, centre):
            bank[band, k] = (k - left) / (centre - left)
        for k in range(centre, right):
            bank[band, k] = (right - k) / (right - centre)
    return bank


@lru_cache(maxsize=1)
def cepstrum() -> _Doubles:
    """(12, 26) rows 1 to 12 of the orthonormal DCT-II, times the lifter, float64."""
    n = np.arange(N_BANDS)
    k = np.arange(1, N_MFCC + 1)[:, None]
    cosines = math.sqrt(2.0 / N_BANDS) * np.cos(math.pi * k * (2.0 * n + 1.0) / (2.0 * N_BANDS))
    return np.asarray(cosines * (1.0 + (LIFTER / 2.0) * np.sin(math.pi * k / LIFTER)), np.float64)


def emphasised(wave: _Doubles) -> _Doubles:
    """(n,) -> (n,) with 0.97 of each sample's predecessor taken away."""
    return np.concatenate([wave[:1], wave[1:] - PRE_EMPHASIS * wave[:-1]])


def power_spectra(wave: _Doubles, columns: int) -> _Doubles:
    """(m,) pre-emphasised -> (columns, 257), one every 10 ms.

    ``wave`` must hold all windows, ``m >= 160 (columns - 1) + 400``.
    """
    frames = sliding_window_view(wave, WINDOW)[::HOP][:columns]
    spectrum = np.fft.rfft(frames, N_FFT, axis=1)
    return np.asarray((np.square(spectrum.real) + np.square(spectrum.imag)) / N_FFT)


def log_bands(power: _Doubles) -> _Doubles:
    """(columns, 257) -> (columns, 26) logarithms of the mel bands."""
    bands = power @ filters().T
    return np.asarray(np.log(np.where(bands == 0.0, _EPS, bands)))


def mfcc(wave: ArrayLike) -> NDArray[np.float32]:
    """Coefficients 1 to 12 of a whole recording.

    Args:
        wave: (n,) float in [-1, 1] at 16 kHz, n >= 0.

    Returns:
        (12, 1 + n // 160) float32, as many columns as the mel spectrogram has; beyond the end of
        the recording there is silence.

    Raises:
        ValueError: ``wave`` is not one-dimensional.
    """
    samples = np.asarray(wave, np.float64)
    if samples.ndim != 1:
        raise ValueError(f"mfcc wants a mono wave (n,), got {samples.shape}")
    samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    columns = 1 + samples.size // HOP
    x = np.pad(emphasised(samples), (0, WINDOW + HOP))
    result = np.empty((N_MFCC, columns), np.float32)
    for first in range(0, columns, _BLOCK):
        count = min(_BLOCK, columns - first)
        part = x[first * HOP : (first + count - 1) * HOP + WINDOW]
        result[:, first : first + count] = cepstrum() @ log_bands(power_spectra(part, count)).T
    return result


def shifted_mfcc(wave: ArrayLike) -> NDArray[np.float32]:
    """:func:`mfcc` moved so that silence is where the mel spectrogram has it, at ``SILENCE``.

    The pipeline pads windows, and fades them in pauses, with that one value; the method that asked
    for MFCC takes the shift off again.
    """
    return mfcc(wave) + np.float32(SILENCE)
