"""Sampling a plane of a frame along an affine map."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lipwright.media.info import Affine
from lipwright.media.planes import Plane

Picture = npt.NDArray[np.float32]

_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_CUBIC = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP


def warped(
    plane: Plane, to_plane: Affine, size: tuple[int, int], *, sharp: bool = False
) -> Picture:
    """Sample a plane at the points that a (2, 3) map gives for every pixel of a crop (w, h).

    ``sharp``: cubic instead of bilinear.
    """
    width, height = size
    corners = np.array([[0.0, 0.0], [width - 1, 0.0], [0.0, height - 1], [width - 1, height - 1]])
    points = corners @ to_plane[:, :2].T + to_plane[:, 2]
    # How many samples lie between two neighbouring pixels of the crop, along each axis.
    steps = np.hypot(to_plane[:, 0], to_plane[:, 1])
    shrink = np.maximum(np.floor(steps + 1e-6), 1.0).astype(int)
    (low_x, high_x), (low_y, high_y) = (
        _span(points[:, axis], int(shrink[axis]), plane.shape[1 - axis]) for axis in (0, 1)
    )
    patch = plane[low_y:high_y, low_x:high_x]
    if shrink.max() > 1:
        patch = group_mean(patch, int(shrink[0]), int(shrink[1]))
    matrix = to_plane.copy()
    # Sample x of the plane is (x - low + 0.5) / shrink - 0.5 of the patch.
    for axis, low in ((0, low_x), (1, low_y)):
        matrix[axis, 2] += 0.5 - low
        matrix[axis] /= shrink[axis]
        matrix[axis, 2] -= 0.5
    return np.asarray(
        cv2.warpAffine(
            np.ascontiguousarray(patch, dtype=np.float32),
            matrix,
            (width, height),
            flags=_CUBIC if sharp else _LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _span(points: npt.NDArray[np.float64], step: int, length: int) -> tuple[int, int]:
    """Range of samples needed for points, in whole groups of ``step`` counted from sample 0.

    Starting groups at sample 0 keeps the averages still while the crop moves.
    """
    low = int(np.clip(np.floor(points.min()) - step, 0, length - 1)) // step * step
    high = int(np.clip(np.ceil(points.max()) + step + 1, low + 1, length))
    return low, min(length, -(-high // step) * step)


def group_mean(samples: Plane, across: int, down: int) -> Picture:
    """Mean over groups of ``across`` x ``down`` samples; the last ones repeat the edge."""
    height, width = samples.shape[:2]
    missing_x, missing_y = -width % across, -height % down
    if missing_x or missing_y:
        samples = cv2.copyMakeBorder(samples, 0, missing_y, 0, missing_x, cv2.BORDER_REPLICATE)
    size = (samples.shape[1] // across, samples.shape[0] // down)
    return np.asarray(cv2.resize(samples, size, interpolation=cv2.INTER_AREA), np.float32)


def scale_of(matrix: Affine) -> float:
    """How many pixels of its target one pixel of a picture becomes under a (2, 3) affine map."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def softened(picture: Picture, scale: float) -> Picture:
    """Without what is finer than a pixel of its target, for a picture scaled by ``scale``."""
    if scale >= 1.0 or scale <= 0.0:
        return picture
    sigma = 0.5 * float(np.sqrt(1.0 / scale**2 - 1.0))
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)
