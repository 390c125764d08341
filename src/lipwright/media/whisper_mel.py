"""Power spectrogram in the bands of Whisper, the front end of its speech encoder.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), section 2.2:
16 kHz mono, 25 ms Hann window every 10 ms, 80 Slaney bands of power from 0 to 8 kHz. Here only the
logarithm is taken; what depends on the loudest part of a window (a floor 80 dB below it) is done by
:class:`~lipwright.models.whisper_encoder.WhisperEncoder`, once the window is known.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from lipwright.media.mel import (
    HOP,
    N_MELS,
    SAMPLE_RATE,
    Array,
    magnitude_blocks,
    slaney_triangles,
)

N_FFT = SAMPLE_RATE // 40
"""Length of the Hann window and of the transform (400 = 25 ms)."""
SMALLEST_POWER = 1e-10
LOG_SILENCE = -10.0
"""log10 of the power of digital silence, and of what lies outside the recording."""


@lru_cache(maxsize=1)
def whisper_filters() -> Array:
    """Triangular filters of equal area, (80, 201) float32."""
    return slaney_triangles(N_MELS, 0.0, SAMPLE_RATE / 2.0, N_FFT)


def whisper_log_power(wave: ArrayLike, columns: tuple[int, int] | None = None) -> Array:
    """log10 of the power in every band, of a whole recording or a part of it.

    Column j is centred at sample ``160 j``; outside the recording there is silence (zeros).

    Args:
        wave: (n,) float in [-1, 1] at 16 kHz, n >= 0.
        columns: first column, and the one after the last; None: all.

    Returns:
        (80, 1 + n // 160) float32, at least -10; or those columns of it.

    Raises:
        ValueError: if ``wave`` is not one-dimensional.
    """
    samples = np.asarray(wave, np.float32)
    if samples.ndim != 1:
        raise ValueError(f"whisper_log_power wants a mono wave (n,), got {samples.shape}")
    first, last = columns or (0, 1 + samples.size // HOP)
    result = np.empty((N_MELS, last - first), np.float32)
    for place, magnitude in magnitude_blocks(samples, N_FFT, columns=(first, last)):
        power = whisper_filters() @ np.square(magnitude)
        # (the logarithm of the least float32 power is a rounding below -10)
        logarithm = np.log10(np.maximum(power, SMALLEST_POWER))
        result[:, place] = np.maximum(logarithm, LOG_SILENCE)
    return result
