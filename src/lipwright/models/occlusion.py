"""The occlusion network: which places of an aligned face something lies before.

A small U-Net (Ronneberger et al., MICCAI 2015) whose skip connections are added: a crop of 128
pixels a side to a map of 64. It runs once per face and frame of a film, so it is kept at about 70
million multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.face_regions import LOWER_FACE

GROWN = 1.1
"""How much larger than :data:`~lipwright.face_regions.LOWER_FACE` the part is that is learned."""


class OcclusionNetwork(nn.Module):
    """A crop to the log-odds of something lying before the face.

    Args:
        channels: at 1/2, 1/4, 1/8, ... of the crop's side.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        first, *_, last = channels
        self.stem = _convolution(3, first, stride=2)
        self.down = nn.ModuleList()
        for narrow, wide in zip((first, *channels[:-1]), channels, strict=True):
            stride = 1 if narrow == wide == first and not len(self.down) else 2
            self.down.append(
                nn.Sequential(_convolution(narrow, wide, stride), _convolution(wide, wide))
            )
        self.bottom = _convolution(last, last)
        self.up = nn.ModuleList(
            nn.ModuleDict(
                {"narrow": nn.Conv2d(wide, narrow, 1), "merge": _convolution(narrow, narrow)}
            )
            for narrow, wide in zip(channels[-2::-1], channels[:0:-1], strict=True)
        )
        self.last = nn.Conv2d(first, 1, 1)

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, 1, S / 2, S / 2) log-odds."""
        x = self.stem(crops)
        seen = []
        for block in self.down:
            x = block(x)
            seen.append(x)
        x = x + self.bottom(x)
        for block, skip in zip(self.up, seen[-2::-1], strict=True):
            assert isinstance(block, nn.ModuleDict)
            x = F.interpolate(block["narrow"](x), scale_factor=2.0, mode="nearest")
            x = block["merge"](x + skip)
        found: Tensor = self.last(x)
        return found


def _convolution(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()
    )


def lower_face(size: int, device: torch.device | str = "cpu") -> Tensor:
    """(S, S) in [0, 1]: where a mouth may be drawn, and a little more; softly 0 beyond."""
    x, y, across, down = LOWER_FACE
    place = (torch.arange(size, dtype=torch.float32, device=device) + 0.5) / size
    u, v = (place[None, :] - x) / across, (place[:, None] - y) / down
    return (4.0 * (GROWN - torch.hypot(u, v)) + 0.5).clamp(0.0, 1.0)
