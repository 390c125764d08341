"""Does the mouth move as it should: opening, its correlation, rest in silence, lip landmarks.

The correlation of mouth opening with the real video's is the cheapest honest measure of lip-sync
that needs no network trained for the purpose; it is a measure of this project, not of the papers.
LMD is the landmark distance of ATVGnet (Chen et al., CVPR 2019) on the 40 lip points of our mesh,
per point, after removing each frame's mean as there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.media.mel import SAMPLE_RATE

Series = NDArray[np.float64]


def correlation(a: Series, b: Series) -> float:
    """Pearson correlation over the frames where both are known; NaN with fewer than 10 such
    frames or when one does not vary.
    """
    known = np.isfinite(a) & np.isfinite(b)
    if int(known.sum()) < 10:
        return float("nan")
    x, y = a[known], b[known]
    if x.std() < 1e-9 or y.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def best_lag(a: Series, b: Series, longest: int = 15) -> int:
    """Shift of ``a`` against ``b`` in frames, within +-``longest``, of the largest correlation.

    Positive: ``a`` comes later than ``b``. 0 when no shift can be judged.
    """
    best, best_r = 0, -2.0
    for lag in sorted(range(-longest, longest + 1), key=abs):
        x = a[max(0, lag) : len(a) + min(0, lag)]
        y = b[max(0, -lag) : len(b) + min(0, -lag)]
        r = correlation(x, y)
        if np.isfinite(r) and r > best_r + 1e-9:
            best, best_r = lag, r
    return best


def speech_envelope(wave: NDArray[np.float32], times: Series, width: float = 0.08) -> Series:
    """Loudness at each time: square root of the RMS over ``width`` seconds centred there."""
    half = round(width * SAMPLE_RATE / 2)
    power = np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])
    centre = np.round(times * SAMPLE_RATE).astype(int) + SAMPLE_RATE // 50
    first = np.clip(centre - half, 0, len(wave))
    last = np.clip(centre + half, 0, len(wave))
    mean = (power[last] - power[first]) / np.maximum(last - first, 1)
    return np.asarray(np.maximum(mean, 0.0) ** 0.25)


def spread_ratio(a: Series, b: Series) -> float:
    """Standard deviation of ``a`` over that of ``b``, known frames only; NaN when b is still."""
    x, y = a[np.isfinite(a)], b[np.isfinite(b)]
    if len(x) < 2 or len(y) < 2 or y.std() < 1e-9:
        return float("nan")
    return float(x.std() / y.std())


def lip_distance(
    a: NDArray[np.float64], b: NDArray[np.float64], face_height: float = 0.80
) -> float:
    """LMD per point in percent of the face's height.

    Args:
        a: (T, 40, 2) lip contours in parts of the aligned crop.
        b: the same of the other video.
        face_height: height of the face in parts of the crop (forehead to chin in the template).
    """
    known = np.isfinite(a[:, 0, 0]) & np.isfinite(b[:, 0, 0])
    if not known.any():
        return float("nan")
    x = a[known] - a[known].mean(axis=1, keepdims=True)
    y = b[known] - b[known].mean(axis=1, keepdims=True)
    return float(100.0 * np.linalg.norm(x - y, axis=2).mean() / face_height)
