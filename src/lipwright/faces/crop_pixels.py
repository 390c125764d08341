"""Pixels of an aligned crop out of a whole upright picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]


def finer(to_display: Affine, times: float) -> Affine:
    """The same crop with ``times`` as many pixels along each axis."""
    fine = to_display.copy()
    fine[:, :2] /= times
    fine[:, 2] -= to_display[:, :2] @ np.full(2, 0.5 - 0.5 / times)
    return fine


def warp(image: NDArray[np.uint8], to_display: Affine, side: int) -> NDArray[np.uint8]:
    """Sample a (side, side, 3) crop; much smaller crops go through an area average first."""
    shrink = float(np.sqrt(abs(np.linalg.det(to_display[:, :2]))))
    k = int(shrink // 1.5)
    if k >= 2:
        # Warp at k times the size, then average k x k blocks: an exact box prefilter.
        big = warped(image, finer(to_display, k), side * k, cv2.INTER_LINEAR)
        return np.asarray(cv2.resize(big, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(warped(image, to_display, side, cv2.INTER_LINEAR), np.uint8)


def warped(
    image: NDArray[np.uint8] | NDArray[np.float32], matrix: Affine, side: int, method: int
) -> NDArray[np.generic]:
    """Sample a (side, side) crop by one of OpenCV's interpolations; edges are repeated."""
    return np.asarray(
        cv2.warpAffine(
            image,
            matrix,
            (side, side),
            flags=method | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
