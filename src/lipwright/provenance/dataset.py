"""The mark of a dataset: every training frame carries the same id.

Gupta et al. (WACV 2023, section 3.3) mark the whole dataset with one random string before any
training, by the library ``invisible-watermark``, and expect the outputs of the trained networks to
carry it. Here the frames that training reads are marked the same way: block n of a frame, in
reading order, carries bit n mod 32. (Outputs are marked on another grid, see ``lattice``; crops of
128 pixels are too narrow for it to hold every bit.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lipwright.provenance.lattice import ID_BITS, Index, id_bits
from lipwright.provenance.singular import Array
from lipwright.provenance.watermark import (
    BLOCK,
    Picture,
    half_of_rgb,
    mark_blocks,
    strengths,
    votes,
)

_AT_ONCE = 64  # frames marked together; bounds memory


def frame_bits(height: int, width: int) -> Index:
    """(height // 8, width // 8) which of the 32 bits each block of a frame carries."""
    rows, columns = height // BLOCK, width // BLOCK
    return (np.arange(rows * columns) % ID_BITS).reshape(rows, columns)


def mark_frames(frames: Picture, mark_id: int) -> Picture:
    """Mark frames of a dataset.

    Args:
        frames: (N, H, W, 3) uint8 RGB.
        mark_id: 32-bit id, the same for the whole dataset.

    Returns:
        (N, H, W, 3) uint8, a copy.

    Raises:
        LipwrightError: an id beyond 32 bits.
    """
    bits = id_bits(mark_id)
    marked = frames.copy()
    height, width = frames.shape[1] // BLOCK * BLOCK, frames.shape[2]
    pattern = bits[frame_bits(height, width)]
    if not pattern.size:
        return marked
    for start in range(0, len(frames), _AT_ONCE):
        # Whole rows of blocks, so frames can be stacked into one tall picture.
        part = frames[start : start + _AT_ONCE, :height]
        tall = np.ascontiguousarray(part).reshape(-1, width, 3)
        done = mark_blocks(tall, np.tile(pattern, (len(part), 1)))
        marked[start : start + _AT_ONCE, :height] = done.reshape(part.shape)
    return marked


def block_votes(frames: Picture) -> Array:
    """What each block of some pictures says about its bit.

    Args:
        frames: (N, H, W, 3) uint8 RGB; pictures cut out of marked frames must be cut at multiples
            of 8 pixels.

    Returns:
        (N, H // 8, W // 8) in [-1, 1], positive for 1.
    """
    return np.stack([votes(strengths(half_of_rgb(frame))) for frame in frames])


def sum_votes(block_votes: Array, bits: Index) -> npt.NDArray[np.float64]:
    """Votes of every bit, summed over the blocks of each picture.

    Args:
        block_votes: (N, R, C) as :func:`block_votes` gives them.
        bits: (R, C) which bit each block carries, a part of :func:`frame_bits`.

    Returns:
        (N, 32).
    """
    index = bits.ravel()
    return np.stack([np.bincount(index, v.ravel(), ID_BITS) for v in block_votes])
