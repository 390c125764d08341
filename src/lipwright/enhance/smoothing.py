"""Wide Gaussian smoothing at the cost of a narrow one.

A picture without fine structures needs few pixels: it is averaged over blocks, smoothed there, and
enlarged again, the first step of a pyramid (Burt and Adelson, "The Laplacian Pyramid as a Compact
Image Code", 1983). Averaging and enlarging smooth by themselves; the Gaussian between them makes up
what is missing of the variance.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

LEAST = 0.75
"""Standard deviation that is left for the Gaussian, in blocks; with less, blocks would be seen."""


def gaussian(picture: Array, sigma: float) -> Array:
    """An exact Gaussian of this standard deviation; edges are repeated."""
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def block_side(sigma: float) -> int:
    """Pixels a side of the blocks that are averaged for this standard deviation, a power of 2."""
    block = 1
    while sigma**2 - _variance(2 * block) >= (2 * block * LEAST) ** 2:
        block *= 2
    return block


def smoothed(picture: Array, sigma: float) -> Array:
    """Nearly a Gaussian of this standard deviation, (H, W) or (H, W, C)."""
    block = block_side(sigma)
    if block == 1:
        return gaussian(picture, sigma)
    height, width = picture.shape[:2]
    blocks = in_blocks(picture, sigma)
    whole = (blocks.shape[1] * block, blocks.shape[0] * block)
    large = cv2.resize(blocks, whole, interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[:height, :width], np.float32)


def in_blocks(picture: Array, sigma: float) -> Array:
    """What :func:`smoothed` enlarges: one number per block of :func:`block_side` pixels a side."""
    block = block_side(sigma)
    height, width = picture.shape[:2]
    below, beside = -height % block, -width % block
    if below or beside:
        picture = cv2.copyMakeBorder(picture, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    size = (picture.shape[1] // block, picture.shape[0] // block)
    means = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return gaussian(means, float(np.sqrt(sigma**2 - _variance(block))) / block)


def enlarged(blocks: Array, block: int, rows: slice, columns: slice) -> Array:
    """A part of what blocks are enlarged to, without the rest."""
    if block == 1:
        return blocks[rows, columns]
    # One block more on each side, between which the first and the last pixels lie.
    first = [max(0, part.start // block - 1) for part in (rows, columns)]
    some = blocks[
        first[0] : (rows.stop - 1) // block + 2, first[1] : (columns.stop - 1) // block + 2
    ]
    size = (some.shape[1] * block, some.shape[0] * block)
    large = cv2.resize(some, size, interpolation=cv2.INTER_LINEAR)
    top, left = rows.start - first[0] * block, columns.start - first[1] * block
    height, width = rows.stop - rows.start, columns.stop - columns.start
    return np.asarray(large[top : top + height, left : left + width], np.float32)


def _variance(block: int) -> float:
    """Variance that averaging blocks and enlarging them linearly adds, in pixels squared."""
    if block == 1:
        return 0.0
    return (block**2 - 1) / 12 + block**2 / 6
