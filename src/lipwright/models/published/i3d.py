"""I3D on Kinetics-400, RGB stream (Carreira and Zisserman, CVPR 2017), 400 logits, for FVD.

Layers and names as in the widely used PyTorch conversion of DeepMind's checkpoint
(``rgb_imagenet.pt``): convolutions and pools pad as TensorFlow's SAME, normalisation eps 0.001.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_BLOCKS: dict[str, tuple[int, tuple[int, ...]]] = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}


def same_padding(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Pad (B, C, T, H, W) with zeros as TensorFlow does: half in front, the odd one behind."""
    pads: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(k - s, 0) if size % s == 0 else max(k - size % s, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class Unit3d(nn.Module):
    """Convolution, and unless it is the last one batch normalisation and ReLU."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1, last: bool = False
    ) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv3d = nn.Conv3d(c_in, c_out, kernel, stride, bias=last)
        self.bn = None if last else nn.BatchNorm3d(c_out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, T, H, W) -> (B, c_out, T', H', W')."""
        y: Tensor = self.conv3d(same_padding(x, self.kernel, self.stride))
        return y if self.bn is None else F.relu(self.bn(y))


class Pool3d(nn.Module):
    """Max pooling with SAME padding (inputs are not negative, so zeros do no harm)."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C, T', H', W')."""
        return F.max_pool3d(same_padding(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed3d(nn.Module):
    """Four branches: 1x1, two of 1x1 and 3x3, pool and 1x1."""

    def __init__(self, c_in: int, c: Sequence[int]) -> None:
        super().__init__()
        self.b0 = Unit3d(c_in, c[0])
        self.b1a, self.b1b = Unit3d(c_in, c[1]), Unit3d(c[1], c[2], 3)
        self.b2a, self.b2b = Unit3d(c_in, c[3]), Unit3d(c[3], c[4], 3)
        self.b3a, self.b3b = Pool3d((3, 3, 3), (1, 1, 1)), Unit3d(c_in, c[5])

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, T, H, W) -> (B, sum of branches, T, H, W)."""
        parts = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(parts, dim=1)


class I3D(nn.Module):
    """The whole network."""

    def __init__(self, classes: int = 400) -> None:
        super().__init__()
        mixed = {name: Mixed3d(c_in, c) for name, (c_in, c) in _BLOCKS.items()}
        trunk: dict[str, nn.Module] = {
            "Conv3d_1a_7x7": Unit3d(3, 64, 7, 2),
            "pool_2a": Pool3d((1, 3, 3), (1, 2, 2)),
            "Conv3d_2b_1x1": Unit3d(64, 64),
            "Conv3d_2c_3x3": Unit3d(64, 192, 3),
            "pool_3a": Pool3d((1, 3, 3), (1, 2, 2)),
            "Mixed_3b": mixed["Mixed_3b"],
            "Mixed_3c": mixed["Mixed_3c"],
            "pool_4a": Pool3d((3, 3, 3), (2, 2, 2)),
            **{n: m for n, m in mixed.items() if n.startswith("Mixed_4")},
            "pool_5a": Pool3d((2, 2, 2), (2, 2, 2)),
            **{n: m for n, m in mixed.items() if n.startswith("Mixed_5")},
        }
        self.order = list(trunk)
        for name, module in trunk.items():
            self.add_module(name, module)
        self.logits = Unit3d(1024, classes, last=True)

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, T, 224, 224) RGB in [-1, 1], T >= 9 -> (B, classes) logits, mean over time."""
        for name in self.order:
            x = self.get_submodule(name)(x)
        y: Tensor = self.logits(F.avg_pool3d(x, (2, 7, 7), 1))
        return y.mean(dim=(2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        """The same as :meth:`features`."""
        return self.features(x)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names are ours."""
    return dict(state)
