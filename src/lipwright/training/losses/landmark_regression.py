"""Regression of the landmarks that a sequence of frames shows.

Chen et al. (CVPR 2019): ``L_lm = mean((W p' - W p)^2)`` with the weight 100 on the heights of the
mouth's points and 1 elsewhere. It is applied before the square and counts as 10,000, so that early
in training this term outweighs all others; the weight is in the configuration.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOUTH_Y = slice(97, 136, 2)
"""Places of y48 .. y67 among x0, y0, x1, y1, ..."""


def landmark_weights(mouth: float, device: torch.device | str = "cpu") -> Tensor:
    """(136,) weights W: ``mouth`` on the heights of the mouth's points, 1 elsewhere."""
    weight = torch.ones(136, device=device)
    weight[MOUTH_Y] = mouth
    return weight


def landmark_loss(found: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean over everything of the squared, weighted differences of (..., 136) landmarks."""
    return (weight * found - weight * target).square().mean()
