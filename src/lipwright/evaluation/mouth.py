"""Mouth measures, gathered for the quality table (benchmarks/quality.py)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.metrics.opening import (
    best_lag,
    correlation,
    speech_envelope,
    spread_ratio,
)

__all__ = ["best_lag", "correlation", "lip_distance", "speech_envelope", "spread_ratio"]


def lip_distance(
    a: NDArray[np.float64], b: NDArray[np.float64], face_height: float = 0.80
) -> float:
    """Distance per lip point in percent of the face's height, all 40 points of our mesh.

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
