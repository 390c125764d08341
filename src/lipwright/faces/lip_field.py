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
"""The warp is computed on so many points a side of the crop and enlarged."""

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
    grid = round(GRID * extent)
    centres = (np.arange(grid) + 0.5) / grid
    across, down = (np.square(centres - points[:, axis : axis + 1]) for axis in (0, 1))
    # A Gaussian of a distance is a product of two, so that the sums over the points are products
    # of matrices. In 64 bits nothing vanishes before the fade has: 38 standard deviations away.
    width = -0.5 * (extent / REACH) ** 2
    rows, columns = np.exp(width * down), np.exp(width * across)
    weights = np.stack([rows, rows * steps[:, :1], rows * steps[:, 1:]])
    total, *sums = weights.transpose(0, 2, 1) @ columns
    squared = down.astype(np.float32)[:, :, None] + across.astype(np.float32)[:, None, :]
    nearest = squared.min(axis=0)
    fade = np.exp(nearest * np.float32(-0.5 * (extent / FADE) ** 2)) * np.float32(size)
    fade = fade / np.maximum(total, np.finfo(np.float64).tiny)
    field = np.stack([fade * part for part in sums], axis=-1).astype(np.float32)
    return np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)
