"""The landmark space as part of a network's weights.

The arithmetic is that of :mod:`lipwright.models.landmark_coordinates`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipwright.models.landmark_coordinates import MIRROR, POINTS, STABLE, LandmarkCoordinates

__all__ = ["MIRROR", "POINTS", "STABLE", "LandmarkSpace"]


class LandmarkSpace(nn.Module, LandmarkCoordinates):
    """Fixed numbers, fitted once by the stage ``landmark-space``; nothing here is learnt by
    descent.

    Args:
        components: K.
        scale: the factor 5 of the paper.
    """

    mean: Tensor
    basis: Tensor
    centre: Tensor
    deviation: Tensor
    regression: Tensor
    offset: Tensor

    def __init__(self, components: int = 6, scale: float = 5.0) -> None:
        super().__init__()
        self.components = components
        self.scale = scale
        width = 2 * POINTS
        self.register_buffer("mean", torch.zeros(POINTS, 2))
        self.register_buffer("basis", torch.eye(width)[:, :components].clone())
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(components))
        self.register_buffer("regression", torch.zeros(width, components))
        self.register_buffer("offset", torch.zeros(components))
