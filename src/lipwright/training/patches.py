"""Square parts of pictures, cut at the same places of pictures of different resolutions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Corner = tuple[int, int]
"""Row and column of a part's upper left pixel."""


def patch_corners(rng: np.random.Generator, count: int, side: int, patch: int) -> list[Corner]:
    """Where random parts of ``patch`` pixels a side begin in pictures of ``side``; even numbers."""
    last = (side - patch) // 2
    return [(2 * int(y), 2 * int(x)) for y, x in rng.integers(0, last + 1, (count, 2))]


def cut_patches(pictures: Tensor, corners: list[Corner], patch: int, scale: int = 1) -> Tensor:
    """The parts of pictures.

    Args:
        pictures: (B, ..., k S, k S); B may be 1, the same picture for all.
        corners: B, for pictures of S pixels.
        patch: P, side of a part there.
        scale: k.

    Returns:
        (B, ..., k P, k P).
    """
    side = scale * patch
    several = pictures.expand(len(corners), *pictures.shape[1:])
    return torch.stack(
        [
            picture[..., scale * y : scale * y + side, scale * x : scale * x + side]
            for picture, (y, x) in zip(several, corners, strict=True)
        ]
    )
