"""Power of a sound around given times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.media.mel import SAMPLE_RATE


def power_around(
    wave: NDArray[np.float32], times: NDArray[np.float64], width: float, later: int = 0
) -> NDArray[np.float64]:
    """(T,) mean square over ``width`` seconds about each time; 0 where there is no sound.

    Args:
        wave: (n,) at 16 kHz.
        times: (T,) seconds.
        width: seconds.
        later: samples by which all stretches are moved back in the recording.
    """
    half = round(width * SAMPLE_RATE / 2)
    power = np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])
    centre = np.round(times * SAMPLE_RATE).astype(int) + later
    first, last = (np.clip(centre + s, 0, len(wave)) for s in (-half, half))
    return np.asarray(np.maximum(power[last] - power[first], 0.0) / np.maximum(last - first, 1))
