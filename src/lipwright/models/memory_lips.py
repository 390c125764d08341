"""The lip encoder of the Audio-Lip Memory: five frames of lower faces to one feature.

Park et al. (AAAI 2022): five consecutive *true* frames with the upper face hidden give ``f_lip``.
Only training needs it; at inference the memory takes its place. The size of the network is ours: no
source reached gives it. The feature is signed (no final ReLU), since it is compared by cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.face_regions import lower_half
from lipwright.models.layers import ResidualBlock, norm
from lipwright.models.running_mean import RunningMean

WINDOW = 5
"""Frames that one lip feature sees."""
GREY = (0.299, 0.587, 0.114)


class LipEncoder(nn.Module):
    """(B, 5, 3, S, S) in [-1, 1] -> (B, C); the upper halves are never looked at.

    Args:
        size: side S of the face crop.
        dim: C.
        channels: widths of the levels; each halves height and width.
        patch: side of the squares that are folded into channels first.
        grey: drop the colour: what lips do is a matter of shape, and a feature that knows no colour
            cannot sort the slots by whose skin it is.
        groups: of the normalisation.
        centred: subtract the running mean of features, see :mod:`~lipwright.models.running_mean`.
    """

    def __init__(
        self,
        size: int = 128,
        dim: int = 512,
        channels: Sequence[int] = (64, 128, 256, 512),
        patch: int = 1,
        grey: bool = False,
        groups: int = 8,
        centred: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.patch, self.grey = size, patch, grey
        planes = WINDOW * (1 if grey else 3) * patch * patch
        layers: list[nn.Module] = [nn.Conv2d(planes, channels[0], 3, padding=1)]
        rows, columns = (size - size // 2) // patch, size // patch
        for a, b in pairwise(channels):
            layers += [nn.SiLU(), nn.Conv2d(a, b, 3, stride=2, padding=1)]
            layers += [ResidualBlock(b, b, groups)]
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        self.trunk = nn.Sequential(*layers, norm(channels[-1], groups), nn.SiLU())
        self.head = nn.Linear(channels[-1] * rows * columns, dim)
        self.running_mean = RunningMean(dim) if centred else nn.Identity()

    def forward(self, frames: Tensor) -> Tensor:
        """Encode windows of whole crops (B, 5, 3, S, S) in [-1, 1]."""
        return self.encode(lower_halves(frames, self.grey))

    def encode(self, lips: Tensor) -> Tensor:
        """Encode what :func:`lower_halves` gives, (B, 5 * planes, S/2, S)."""
        x = F.pixel_unshuffle(lips, self.patch) if self.patch > 1 else lips
        out: Tensor = self.running_mean(self.head(self.trunk(x).flatten(1)))
        return out


def lower_halves(frames: Tensor, grey: bool) -> Tensor:
    """(B, T, 3, S, S) -> (B, T * planes, S/2, S); planes is 1 for grey, else 3.

    The upper half is removed, which hides it as well as blanking it would, at half the cost.
    """
    return fold_time(lower_half(frames), grey)


def fold_time(lips: Tensor, grey: bool) -> Tensor:
    """(B, T, 3, h, w) -> (B, T * planes, h, w): frames stacked as channels."""
    if grey:
        weight = torch.tensor(GREY, dtype=lips.dtype, device=lips.device).view(3, 1, 1)
        return (lips * weight).sum(-3)
    return lips.flatten(1, 2)
