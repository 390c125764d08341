"""Log-mel spectrogram of speech and the windows of it that one video frame sees.

The recipe is that of Wav2Lip (Prajwal et al., ACM MM 2020) with the hop of Gupta et al. (WACV
2023): 16 kHz mono, 50 ms Hann window, 80 Slaney bands from 55 to 7600 Hz, pre-emphasis 0.97,
magnitude (not power), decibels, scaled to [-4, 4]; the hop is 10 ms, so that a frame at 25 fps
lasts exactly four columns. Digital silence is exactly -4.

Training and inference call the same :func:`window`, on tensors and on arrays; a window differs
between the two only by the time that is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from lipwright.media.stored_sound import release

Array = NDArray[np.float32]
Table = TypeVar("Table", bound=Any)
"""A NumPy array or a tensor of PyTorch: cutting windows out of either is the same."""

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


@lru_cache(maxsize=1)
def mel_filters() -> Array:
    """Triangular filters of equal area (Slaney normalisation), (80, 401) float32."""
    return slaney_triangles(N_MELS, F_MIN, F_MAX, N_FFT)


def slaney_triangles(bands: int, lowest: float, highest: float, n_fft: int) -> Array:
    """Triangular filters of equal area whose corners lie evenly on Slaney's mel scale.

    Args:
        bands: how many.
        lowest: corner of the first one in hertz.
        highest: corner of the last one.
        n_fft: length of the transform at 16 kHz.

    Returns:
        (bands, 1 + n_fft // 2) float32.
    """
    low, high = hz_to_mel(lowest), hz_to_mel(highest)
    corners = np.array([mel_to_hz(low + (high - low) * i / (bands + 1)) for i in range(bands + 2)])
    bins = np.arange(n_fft // 2 + 1) * (SAMPLE_RATE / n_fft)
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    triangles = np.minimum(rising, falling).clip(min=0.0)
    return np.asarray(triangles * 2.0 / (right - left), np.float32)


def mel_spectrogram(wave: ArrayLike) -> Array:
    """Log-mel spectrogram of a whole recording.

    Column j is centred at sample ``160 j``; outside the recording there is silence (zeros).

    Args:
        wave: (n,) float in [-1, 1] at 16 kHz, n >= 0.

    Returns:
        (80, 1 + n // 160) float32 in [-4, 4].

    Raises:
        ValueError: if ``wave`` is not one-dimensional.
    """
    samples = np.asarray(wave, np.float32)
    if samples.ndim != 1:
        raise ValueError(f"mel_spectrogram wants a mono wave (n,), got {samples.shape}")
    result = np.empty((N_MELS, 1 + samples.size // HOP), np.float32)
    for place, magnitude in magnitude_blocks(samples, N_FFT, _pre_emphasis, LIMIT):
        result[:, place] = _normalise(mel_filters() @ magnitude)
    return result


def magnitude_blocks(
    samples: Array,
    n_fft: int,
    shaped: Callable[[Array], Array] = lambda part: part[1:],
    loudest: float = 1.0,
    columns: tuple[int, int] | None = None,
) -> Iterator[tuple[slice, Array]]:
    """Magnitudes of windowed transforms (Hann, ``n_fft`` samples, every 10 ms), block by block.

    Args:
        samples: (n,) float32; zeros are taken to lie before and after them.
        n_fft: length of window and transform.
        shaped: (m + 1,) samples -> the last m of them, filtered by a filter of two taps.
        loudest: what stands for samples that are infinite; not a number is 0.
        columns: first column, and the one after the last; None: all 1 + n // 160.

    Yields:
        Which columns of those asked for, and (1 + n_fft // 2, so many) magnitudes.
    """
    start, stop = columns or (0, 1 + samples.size // HOP)
    # Half a window of zeros on either side. (Reflection, librosa's old default, would mirror
    # speech into the time before it starts.)
    hann = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    for first in range(start, stop, _BLOCK):
        count = min(_BLOCK, stop - first)
        begin = first * HOP - n_fft // 2
        end = begin + (count - 1) * HOP + n_fft
        part = shaped(np.nan_to_num(
            zero_padded(samples, begin - 1, end), nan=0.0, posinf=loudest, neginf=-loudest
        ))  # fmt: skip
        part[max(samples.size - begin, 0) :] = 0.0  # a filter goes on behind the end
        frames = sliding_window_view(part, n_fft)[::HOP] * hann
        magnitude = np.abs(np.fft.rfft(frames, axis=1)).astype(np.float32)
        release(samples)
        yield slice(first - start, first - start + count), magnitude.T


def zero_padded(samples: Array, begin: int, end: int) -> Array:
    """Samples ``begin`` to ``end - 1``; those that lie outside are zeros."""
    inside = samples[max(begin, 0) : max(end, 0)]
    before = min(max(-begin, 0), end - begin)
    return np.pad(inside, (before, end - begin - before - inside.size))


def _pre_emphasis(part: Array) -> Array:
    """Raise the treble: y[n] = x[n] - 0.97 x[n-1] for n >= 1."""
    return part[1:] - np.float32(PRE_EMPHASIS) * part[:-1]


def _normalise(magnitude: Array) -> Array:
    """Magnitude -> decibels -> [-4, 4]; 0 maps to exactly -4."""
    level = 20.0 * np.log10(np.maximum(magnitude, _SMALLEST)) - REFERENCE_DB
    scaled = 2.0 * LIMIT * (level - FLOOR_DB) / -FLOOR_DB - LIMIT
    return np.asarray(scaled.clip(-LIMIT, LIMIT), np.float32)


def column_at(time: Fraction) -> int:
    """Nearest column to a time in seconds (halves go up), computed in rationals."""
    return math.floor(Fraction(time) * STEPS_PER_SECOND + Fraction(1, 2))


def windows(mel: Table, times: Sequence[Fraction], spec: AudioSpec | None = None) -> Table:
    """Cut the windows that belong to several moments.

    Args:
        mel: (80, T) log-mel spectrogram.
        times: seconds from the start of the recording, rational; any values, also outside it.
        spec: width and position of the window; default :class:`AudioSpec`.

    Returns:
        (N, 80, spec.steps); columns outside the recording hold ``SILENCE``.
    """
    spec = spec or AudioSpec()
    starts = np.array([column_at(t) - spec.before for t in times], np.int64)
    picked: Table = _columns(mel, starts[:, None] + np.arange(spec.steps)).swapaxes(0, 1)
    return picked


def speech_of(mel: Table, first: int, frames: int) -> Table:
    """(80, 4 * frames) columns of 25 fps frames first .. first + frames - 1, ``SILENCE`` after the
    end of (80, T) ``mel``.
    """
    columns = np.arange(STEPS_PER_FRAME * first, STEPS_PER_FRAME * (first + frames))
    return _columns(mel, columns)


def window(mel: Table, time: Fraction, spec: AudioSpec | None = None) -> Table:
    """Cut the window of one moment, (80, spec.steps); see :func:`windows`.

    At 25 fps, ``window(mel, Fraction(n, 25))`` is columns ``[4n - 8, 4n + 12)``.
    """
    cut: Table = windows(mel, [time], spec)[0]
    return cut


def _columns(table: Table, index: NDArray[np.int64]) -> Table:
    """Columns of (C, T) by their numbers, of any shape; ``SILENCE`` outside 0 .. T - 1."""
    total = table.shape[1]
    picked: Table = table[:, index.clip(0, max(total - 1, 0))]
    picked[:, (index < 0) | (index >= total)] = SILENCE
    return picked
