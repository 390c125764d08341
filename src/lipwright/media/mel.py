"""Log-mel spectrogram of speech and the windows of it that one video frame sees.

The recipe is that of Wav2Lip (Prajwal et al., ACM MM 2020) with the hop of Gupta et al. (WACV
2023): 16 kHz mono, 50 ms Hann window, 80 Slaney bands from 55 to 7600 Hz, pre-emphasis 0.97,
magnitude (not power), decibels, scaled to [-4, 4]; the hop is 10 ms, so that a frame at 25 fps
lasts exactly four columns. Digital silence is exactly -4.

Training and inference call the same :func:`window`; a window differs between the two only by the
time that is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLE_RATE = 16_000
"""Samples per second."""
STEPS_PER_SECOND = 100
"""Columns of the spectrogram per second."""
HOP = SAMPLE_RATE // STEPS_PER_SECOND
"""Samples between two columns (160 = 10 ms)."""
N_FFT = SAMPLE_RATE // 20
"""Length of the Hann window and of the transform (800 = 50 ms)."""
N_MELS = 80
F_MIN = 55.0
F_MAX = 7_600.0
PRE_EMPHASIS = 0.97
MODEL_FPS = 25
"""The frame rate that the networks think in."""
STEPS_PER_FRAME = STEPS_PER_SECOND // MODEL_FPS
SAMPLES_PER_FRAME = SAMPLE_RATE // MODEL_FPS

REFERENCE_DB = 20.0
"""Subtracted from every level."""
FLOOR_DB = -100.0
"""This level and all below it map to ``SILENCE``."""
LIMIT = 4.0
SILENCE = -LIMIT
"""What digital silence looks like, and what windows see outside the recording."""
_SMALLEST = 1e-5  # magnitude floor: -100 dB, below FLOOR_DB once REFERENCE_DB is subtracted
_BLOCK = 4096  # columns transformed at a time, which bounds memory for long recordings


@dataclass(frozen=True)
class AudioSpec:
    """Which columns of the spectrogram belong to one video frame.

    Attributes:
        steps: width of the window in columns.
        before: columns of the window that lie before the frame's own time.

    The window of model frame n (25 fps) is columns ``[4n - before, 4n - before + steps)``.
    """

    steps: int = 20
    before: int = 8


def hz_to_mel(hertz: float) -> float:
    """Slaney's mel scale: linear (3/200 mel per Hz) to 1 kHz, then 27 mel per factor of 6.4."""
    if hertz < 1000.0:
        return hertz * 3.0 / 200.0
    return 15.0 + 27.0 * math.log(hertz / 1000.0) / math.log(6.4)


def mel_to_hz(mel: float) -> float:
    """Inverse of :func:`hz_to_mel`."""
    if mel < 15.0:
        return mel * 200.0 / 3.0
    return 1000.0 * math.exp((mel - 15.0) * math.log(6.4) / 27.0)


@lru_cache(maxsize=4)
def mel_filters(device: torch.device | None = None) -> Tensor:
    """Triangular filters of equal area (Slaney normalisation), (80, 401) float32."""
    low, high = hz_to_mel(F_MIN), hz_to_mel(F_MAX)
    corners = torch.tensor(
        [mel_to_hz(low + (high - low) * i / (N_MELS + 1)) for i in range(N_MELS + 2)],
        dtype=torch.float64,
    )
    bins = torch.arange(N_FFT // 2 + 1, dtype=torch.float64) * (SAMPLE_RATE / N_FFT)
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0.0)
    return (triangles * 2.0 / (right - left)).float().to(device or torch.device("cpu"))


@torch.no_grad()
def mel_spectrogram(wave: Tensor) -> Tensor:
    """Log-mel spectrogram of a whole recording.

    Column j is centred at sample ``160 j``; outside the recording there is silence (zeros).

    Args:
        wave: (n,) float in [-1, 1] at 16 kHz, n >= 0.

    Returns:
        (80, 1 + n // 160) float32 in [-4, 4] on the device of ``wave``.

    Raises:
        ValueError: if ``wave`` is not one-dimensional.
    """
    if wave.ndim != 1:
        raise ValueError(f"mel_spectrogram wants a mono wave (n,), got {tuple(wave.shape)}")
    wave = torch.nan_to_num(wave.float(), nan=0.0, posinf=LIMIT, neginf=-LIMIT)
    columns = 1 + wave.numel() // HOP
    # Centring with pad_mode="constant", made explicit: half a window of zeros on either side.
    # (Reflection, librosa's old default, would mirror speech into the time before it starts.)
    padded = torch.nn.functional.pad(_pre_emphasis(wave), (N_FFT // 2, N_FFT // 2 + HOP))
    hann = torch.hann_window(N_FFT, periodic=True, device=wave.device)
    filters = mel_filters(wave.device)
    blocks = []
    for first in range(0, columns, _BLOCK):
        count = min(_BLOCK, columns - first)
        part = padded[first * HOP : (first + count - 1) * HOP + N_FFT]
        spectrum = torch.stft(
            part, N_FFT, HOP, window=hann, center=False, onesided=True, return_complex=True
        )
        blocks.append(_normalise(filters @ spectrum.abs()))
    return torch.cat(blocks, dim=1)


def _pre_emphasis(wave: Tensor) -> Tensor:
    """Raise the treble: y[n] = x[n] - 0.97 x[n-1], with x[-1] = 0."""
    result = wave.clone()
    result[1:] -= PRE_EMPHASIS * wave[:-1]
    return result


def _normalise(magnitude: Tensor) -> Tensor:
    """Magnitude -> decibels -> [-4, 4]; 0 maps to exactly -4."""
    level = 20.0 * torch.log10(magnitude.clamp(min=_SMALLEST)) - REFERENCE_DB
    scaled = 2.0 * LIMIT * (level - FLOOR_DB) / -FLOOR_DB - LIMIT
    return scaled.clamp(-LIMIT, LIMIT)


def column_at(time: Fraction) -> int:
    """Nearest column to a time in seconds (halves go up), computed in rationals."""
    return math.floor(Fraction(time) * STEPS_PER_SECOND + Fraction(1, 2))


def windows(mel: Tensor, times: Sequence[Fraction], spec: AudioSpec | None = None) -> Tensor:
    """Cut the windows that belong to several moments.

    Args:
        mel: (80, T) log-mel spectrogram.
        times: seconds from the start of the recording, rational; any values, also outside it.
        spec: width and position of the window; default :class:`AudioSpec`.

    Returns:
        (N, 80, spec.steps); columns outside the recording hold ``SILENCE``.
    """
    spec = spec or AudioSpec()
    total = mel.shape[1]
    starts = torch.tensor([column_at(t) - spec.before for t in times], dtype=torch.long)
    index = starts[:, None] + torch.arange(spec.steps)
    inside = ((index >= 0) & (index < total)).to(mel.device)
    picked = mel[:, index.clamp(0, max(total - 1, 0)).to(mel.device)].permute(1, 0, 2)
    return picked.masked_fill(~inside[:, None, :], SILENCE)


def speech_of(mel: Tensor, first: int, frames: int) -> Tensor:
    """(80, 4 * frames) columns of 25 fps frames first .. first + frames - 1, ``SILENCE`` after the
    end of (80, T) ``mel``.
    """
    part = mel[:, STEPS_PER_FRAME * first : STEPS_PER_FRAME * (first + frames)]
    missing = STEPS_PER_FRAME * frames - part.shape[1]
    return F.pad(part, (0, missing), value=SILENCE) if missing else part


def window(mel: Tensor, time: Fraction, spec: AudioSpec | None = None) -> Tensor:
    """Cut the window of one moment, (80, spec.steps); see :func:`windows`.

    At 25 fps, ``window(mel, Fraction(n, 25))`` is columns ``[4n - 8, 4n + 12)``.
    """
    return windows(mel, [time], spec)[0]
