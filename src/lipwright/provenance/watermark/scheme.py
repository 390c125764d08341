"""The published mark of one plane: quantised singular values of the U channel.

Gupta et al. (WACV 2023), section 3.3, mark their data with the scheme "DWT + DCT + SVD" of the
library ``invisible-watermark``. What that scheme does comes down to this: the U channel is
averaged over 2x2 pixels (the low band of a Haar wavelet, times 2), cut into 4x4 blocks (8x8
pixels), and the largest singular value s of each block is moved to

    s = 36 k + 9   for a bit 0,        s = 36 k + 27   for a bit 1.

The cosine transform in between is orthonormal and leaves singular values as they are, so neither
side needs it. A reader looks at ``s mod 36`` (see ``reading``).

Four things differ from the published embedder; its reader reads ours all the same:

- s goes to the *nearest* value that carries the bit, not to the one in the same interval of 36,
  which halves the squared error (2.4 dB);
- the published inverse wavelet swaps two detail bands; here the change of the low band is added
  to the pixels, which is the inverse wavelet with the detail bands in place;
- results are clipped to 0..255, where the published embedder wraps around;
- nothing but the first singular triple is computed, by a few power iterations on all blocks
  together; the rare block whose two largest singular values lie close together is handed to the
  exact decomposition.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Bits = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.uint8]

SIDE = 4
"""Side of a block, in samples of 2x2 pixels."""
STEP = 36.0
"""Distance of two singular values that mean the same."""
BLOCK = 8
"""Side of the square of pixels that carries one bit."""
U_GAIN = 0.492
"""U = 0.492 (B - Y) + 128, as OpenCV and the published scheme have it."""
LUMA = (0.299, 0.587, 0.114)
_HAAR = 2.0  # low band of the wavelet over the mean of 2x2 pixels
_CLEAR = 2.0  # s stays at least so far above the second singular value

_FEW = 1  # iterations of the power method, enough for most blocks: skin is even
_ITERATIONS = 4  # for the others
_TOLERANCE = 2e-4  # of the singular value; leaves it wrong by far less than its square


def strengths(half: Array) -> Array:
    """Largest singular values of the blocks of a plane.

    Args:
        half: (H, W) the U channel in 0..255, averaged over 2x2 pixels.

    Returns:
        (H // 4, W // 4), in the units of ``STEP``; for an even block it is 8 U.
    """
    value, _, _ = leading_triple(split_blocks(half))
    return value * _HAAR


def mark_plane(half: Array, bits: Bits) -> Array:
    """The change that makes the blocks of a plane carry bits.

    Args:
        half: (H, W) the U channel in 0..255, averaged over 2x2 pixels.
        bits: (H // 4, W // 4), 0 or 1 per block.

    Returns:
        (H // 4 * 4, W // 4 * 4) float, to be added to ``half``.
    """
    blocks = split_blocks(half)
    value, left, right = leading_triple(blocks)
    strength = value * _HAAR
    target = (0.25 + 0.5 * bits.astype(blocks.dtype)) * STEP
    target += np.rint((strength - target) / STEP) * STEP
    # The other singular values together: s must stay above them, or it is not the largest.
    rest = np.maximum(_energy(blocks) - value * value, 0.0)
    floor = np.sqrt(rest) * _HAAR + _CLEAR
    target = np.where(target < floor, target + np.ceil((floor - target) / STEP) * STEP, target)
    change = (target - strength) / _HAAR
    return join_blocks((left * change)[:, None] * right[None])


def mark_blocks(rgb: Picture, bits: Bits) -> Picture:
    """Mark a picture with one bit per 8x8 pixels: (H, W, 3) uint8 and (H // 8, W // 8) bits."""
    change = mark_plane(half_of_rgb(rgb), bits)
    full = change.repeat(2, axis=0).repeat(2, axis=1).astype(np.float32)
    result = rgb.copy()
    area = result[: full.shape[0], : full.shape[1]]
    blue = full / U_GAIN
    # R, Y and with them V stay; G makes up for what B adds to Y.
    area[..., 2] = _rounded(area[..., 2] + blue)
    area[..., 1] = _rounded(area[..., 1] - blue * (LUMA[2] / LUMA[1]))
    return result


def half_of_rgb(rgb: Picture) -> npt.NDArray[np.float32]:
    """(H, W, 3) uint8 -> (H // 2, W // 2) float32: U in 0..255, averaged over 2x2 pixels."""
    height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
    if not height or not width:
        return np.zeros((height // 2, width // 2), np.float32)
    weights = -U_GAIN * np.array([LUMA[0], LUMA[1], LUMA[2] - 1.0, -128.0 / U_GAIN])
    plane = cv2.transform(rgb[:height, :width].astype(np.float32), weights[None])
    small = cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _rounded(values: Array) -> npt.NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def split_blocks(plane: Array) -> Array:
    """Cut a plane into 4x4 blocks.

    Args:
        plane: (H, W) floats; rows and columns beyond a multiple of 4 are left out.

    Returns:
        (4, 4, H // 4, W // 4): element (i, j) of all blocks is one contiguous picture.
    """
    rows, columns = plane.shape[0] // SIDE, plane.shape[1] // SIDE
    cut = plane[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    return np.ascontiguousarray(cut.transpose(1, 3, 0, 2))


def join_blocks(blocks: Array) -> Array:
    """Undo :func:`split_blocks`: (4, 4, R, C) -> (4 R, 4 C)."""
    _, _, rows, columns = blocks.shape
    return blocks.transpose(2, 0, 3, 1).reshape(rows * SIDE, columns * SIDE)


def leading_triple(blocks: Array) -> tuple[Array, Array, Array]:
    """First singular value and vectors of every block.

    Args:
        blocks: (4, 4, ...) floats, as :func:`split_blocks` gives them.

    Returns:
        (...) singular values, (4, ...) left and (4, ...) right unit vectors, so that
        ``left[:, None] * right[None] * value`` is the best approximation of rank one.
    """
    shape = blocks.shape[2:]
    flat = blocks.reshape(SIDE, SIDE, -1)
    value, left, right, open_ = _iterated(flat, _FEW)
    unsure = np.flatnonzero(open_)
    if unsure.size:
        rest = np.ascontiguousarray(flat[:, :, unsure])
        again = _iterated(rest, _ITERATIONS)
        value[unsure], left[:, unsure], right[:, unsure] = again[:3]
        slow = unsure[again[3]]
        if slow.size:
            u, s, vt = np.linalg.svd(np.nan_to_num(flat[:, :, slow]).transpose(2, 0, 1))
            value[slow], left[:, slow], right[:, slow] = s[:, 0], u[:, :, 0].T, vt[:, 0, :].T
    return value.reshape(shape), left.reshape(SIDE, *shape), right.reshape(SIDE, *shape)


def _iterated(flat: Array, count: int) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    """The first triples of (4, 4, N) after some iterations, and which of them are not certain."""
    right = np.full((SIDE, flat.shape[2]), 0.5, flat.dtype)
    value = left = right
    for _ in range(count):
        left, _length = _unit(_times(flat, right))
        right, value = _unit(_transposed_times(flat, left))
    residual = _times(flat, right) - value * left
    error = np.einsum("in,in->n", residual, residual)
    # A pair is the first one for certain if it holds more than half of the block's energy. (NaN
    # compares false: what did not converge for any reason goes to the exact decomposition.)
    power, energy = value * value, _energy(flat)
    certain = (error <= _TOLERANCE**2 * power) & (2.0 * power > energy)
    return value, left, right, ~certain & (energy != 0)


def _energy(blocks: Array) -> Array:
    """Sum of the squares of each block."""
    flat = blocks.reshape(SIDE * SIDE, *blocks.shape[2:])
    return np.asarray(np.einsum("i...,i...->...", flat, flat))


def _times(blocks: Array, vectors: Array) -> Array:
    """Blocks @ vectors, element pictures times element pictures."""
    result: Array = blocks[:, 0] * vectors[0]
    for j in range(1, SIDE):
        result += blocks[:, j] * vectors[j]
    return result


def _transposed_times(blocks: Array, vectors: Array) -> Array:
    result: Array = blocks[0] * vectors[0]
    for i in range(1, SIDE):
        result += blocks[i] * vectors[i]
    return result


def _unit(vectors: Array) -> tuple[Array, Array]:
    length = np.sqrt(np.einsum("in,in->n", vectors, vectors))
    safe = np.maximum(length, np.finfo(vectors.dtype).tiny)
    return vectors / safe, length
