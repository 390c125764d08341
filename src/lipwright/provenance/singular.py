"""The largest singular value of many 4x4 blocks at once, with its two vectors.

The watermark needs nothing but the first singular triple, so the full decomposition is not done:
a few power iterations run on all blocks together, and the rare block whose two largest singular
values lie close together is handed to the exact decomposition.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

SIDE = 4
_ITERATIONS = 4
_TOLERANCE = 2e-4  # of the singular value; leaves it wrong by far less than its square


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
    right = np.full((SIDE, flat.shape[2]), 0.5, flat.dtype)
    value = left = right
    for _ in range(_ITERATIONS):
        left, _length = _unit(_times(flat, right))
        right, value = _unit(_transposed_times(flat, left))
    residual = _times(flat, right) - value * left
    error = np.sqrt((residual * residual).sum(axis=0))
    # A pair is the first one for certain if it holds more than half of the block's energy. (NaN
    # compares false: what did not converge for any reason goes to the exact decomposition.)
    energy = (flat * flat).sum(axis=(0, 1))
    certain = (error <= _TOLERANCE * value) & (2.0 * value * value > energy)
    slow = np.flatnonzero(~certain & (energy != 0))
    if slow.size:
        u, s, vt = np.linalg.svd(np.nan_to_num(flat[:, :, slow]).transpose(2, 0, 1))
        value[slow], left[:, slow], right[:, slow] = s[:, 0], u[:, :, 0].T, vt[:, 0, :].T
    return value.reshape(shape), left.reshape(SIDE, *shape), right.reshape(SIDE, *shape)


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
    length = np.sqrt((vectors * vectors).sum(axis=0))
    safe = np.maximum(length, np.finfo(vectors.dtype).tiny)
    return vectors / safe, length
