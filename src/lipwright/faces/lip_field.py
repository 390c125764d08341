"""A smooth field of displacements around the lips that takes one contour to another."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

REACH = 0.045
"""Width of a lip point's influence, as a share of the crop."""
FADE = 0.11
"""How far from the lips the warp fades out, as a share of the crop."""
GRID = 64
"""The warp is computed on so many points a side and enlarged."""

Array = NDArray[np.float32]


def lip_field(
    points: NDArray[np.float64], steps: NDArray[np.float64], size: int, extent: float = 1.0
) -> Array:
    """The steps of the nearest lip points everywhere, fading with distance.

    Args:
        points: (P, 2) in parts of the picture's side.
        steps: (P, 2) how far they go, in the same unit.
        size: side of the picture in pixels.
        extent: side of the picture in parts of the aligned crop.

    Returns:
        (size, size, 2) pixels (x, y).
    """
    centres = ((np.arange(GRID) + 0.5) / GRID).astype(np.float32)
    places, steps = points.astype(np.float32), steps.astype(np.float32)
    across = (centres - places[:, :1]) ** 2  # one row per point: reducing over rows is fast
    down = (centres - places[:, 1:]) ** 2
    squared = (down[:, :, None] + across[:, None, :]).reshape(len(places), -1)
    nearest = squared.min(axis=0)
    # Relative to the nearest point, so that weights do not vanish far from all of them.
    weights = np.exp((nearest - squared) / np.float32(2 * (REACH / extent) ** 2))
    weights *= np.exp(-nearest / np.float32(2 * (FADE / extent) ** 2)) / weights.sum(axis=0)
    field = (weights.T @ steps).reshape(GRID, GRID, 2) * np.float32(size)
    return np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)
