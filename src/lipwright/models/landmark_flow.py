"""Where a picture has to come from, so that its landmarks come to lie elsewhere.

A smooth interpolation between 68 points: near a point everything moves as the point does, between
points by a softmax of the distances, and far from all of them nothing moves. It is what
:mod:`lipwright.dubbing.lip_warp` does to lips, for a whole face and in tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

REACH = 0.09
"""Width of a point's influence, in half sides of the picture."""
FADE = 0.22
"""How far from the points the movement fades out."""
GRID = 32
"""The flow is computed on so many places a side and enlarged."""


def centres(size: int) -> Tensor:
    """(size, size, 2) x and y of pixel centres in [-1, 1]."""
    middle = (torch.arange(size) + 0.5) * (2.0 / size) - 1.0
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    return torch.stack([x, y], dim=-1)


def landmark_flow(here: Tensor, there: Tensor, places: Tensor, size: int) -> Tensor:
    """The flow f with ``moved(x) = picture(x + f(x))``.

    Args:
        here: (N, P, 2) points in the picture, [-1, 1] from border to border.
        there: (N, P, 2) where they are to lie.
        places: (G, G, 2) of :func:`centres`.
        size: S.

    Returns:
        (N, 2, S, S) in half sides.
    """
    grid = places.flatten(0, 1)
    squared = (grid[None, :, None] - there[:, None]).square().sum(-1)  # (N, G^2, P)
    nearest = squared.amin(-1, keepdim=True)
    # Relative to the nearest point, so that weights do not vanish far from all of them.
    weight = torch.softmax((nearest - squared) / (2 * REACH**2), dim=-1)
    flow = (weight @ (here - there)) * torch.exp(-nearest / (2 * FADE**2))
    coarse = flow.transpose(1, 2).reshape(-1, 2, *places.shape[:2])
    return F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
