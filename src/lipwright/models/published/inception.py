"""Inception-v3 as FID uses it: the TensorFlow network of 2015 in its PyTorch port.

Szegedy et al. (CVPR 2016). The variant differs from the usual Inception-v3 in its pooling only:
average pooling leaves the padding out of the mean, and the last block pools by maximum. The
published file (``pt_inception-2015-12-05-6726825d.pth``) names its tensors like torchvision's
``inception_v3`` with 1008 classes; the modules here carry the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DIMENSIONS = 2048

Unit = tuple[str, int, int | tuple[int, int], int]
"""Name, output channels, kernel, stride; padded so that a stride of 1 keeps the size."""


class ConvUnit(nn.Module):
    """Convolution without bias, batch normalisation (eps 0.001), ReLU."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H', W')."""
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Parallel branches, concatenated.

    Args:
        c_in: input channels.
        branches: each a chain of units; the last element may be a list of units that fork.
        pool: ``average`` or ``max`` with a projection ``branch_pool``, or ``stride`` (max, halves).
        pool_out: channels of the projection.
    """

    def __init__(
        self,
        c_in: int,
        branches: Sequence[Sequence[Unit | list[Unit]]],
        pool: str,
        pool_out: int = 0,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.chains: list[list[list[str]]] = []
        for branch in branches:
            c = c_in
            chain: list[list[str]] = []
            for item in branch:
                forks = item if isinstance(item, list) else [item]
                for name, c_out, kernel, stride in forks:
                    k = (kernel, kernel) if isinstance(kernel, int) else kernel
                    padding = (0, 0) if stride > 1 else (k[0] // 2, k[1] // 2)
                    self.add_module(name, ConvUnit(c, c_out, kernel, stride, padding))
                chain.append([name for name, *_ in forks])
                c = forks[0][1]
            self.chains.append(chain)
        if pool_out:
            self.branch_pool = ConvUnit(c_in, pool_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> all branches in order, then the pooled one."""
        outs = []
        for chain in self.chains:
            y = [x]
            for names in chain:
                y = [self.get_submodule(name)(y[0]) for name in names]
            outs += y
        if self.pool == "stride":
            outs.append(F.max_pool2d(x, 3, 2))
        elif self.pool == "max":
            outs.append(self.branch_pool(F.max_pool2d(x, 3, 1, 1)))
        else:
            mean = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            outs.append(self.branch_pool(mean))
        return torch.cat(outs, 1)


def _a(c_in: int, pool: int) -> Mixed:
    double: list[Unit | list[Unit]] = [
        ("branch3x3dbl_1", 64, 1, 1),
        ("branch3x3dbl_2", 96, 3, 1),
        ("branch3x3dbl_3", 96, 3, 1),
    ]
    five: list[Unit | list[Unit]] = [("branch5x5_1", 48, 1, 1), ("branch5x5_2", 64, 5, 1)]
    return Mixed(c_in, [[("branch1x1", 64, 1, 1)], five, double], "average", pool)


def _b(c_in: int) -> Mixed:
    double: list[Unit | list[Unit]] = [
        ("branch3x3dbl_1", 64, 1, 1),
        ("branch3x3dbl_2", 96, 3, 1),
        ("branch3x3dbl_3", 96, 3, 2),
    ]
    return Mixed(c_in, [[("branch3x3", 384, 3, 2)], double], "stride")


def _c(c: int) -> Mixed:
    seven: list[Unit | list[Unit]] = [
        ("branch7x7_1", c, 1, 1),
        ("branch7x7_2", c, (1, 7), 1),
        ("branch7x7_3", 192, (7, 1), 1),
    ]
    double: list[Unit | list[Unit]] = [
        ("branch7x7dbl_1", c, 1, 1),
        ("branch7x7dbl_2", c, (7, 1), 1),
        ("branch7x7dbl_3", c, (1, 7), 1),
        ("branch7x7dbl_4", c, (7, 1), 1),
        ("branch7x7dbl_5", 192, (1, 7), 1),
    ]
    return Mixed(768, [[("branch1x1", 192, 1, 1)], seven, double], "average", 192)


def _d() -> Mixed:
    three: list[Unit | list[Unit]] = [("branch3x3_1", 192, 1, 1), ("branch3x3_2", 320, 3, 2)]
    seven: list[Unit | list[Unit]] = [
        ("branch7x7x3_1", 192, 1, 1),
        ("branch7x7x3_2", 192, (1, 7), 1),
        ("branch7x7x3_3", 192, (7, 1), 1),
        ("branch7x7x3_4", 192, 3, 2),
    ]
    return Mixed(768, [three, seven], "stride")


def _e(c_in: int, pool: str) -> Mixed:
    three: list[Unit | list[Unit]] = [
        ("branch3x3_1", 384, 1, 1),
        [("branch3x3_2a", 384, (1, 3), 1), ("branch3x3_2b", 384, (3, 1), 1)],
    ]
    double: list[Unit | list[Unit]] = [
        ("branch3x3dbl_1", 448, 1, 1),
        ("branch3x3dbl_2", 384, 3, 1),
        [("branch3x3dbl_3a", 384, (1, 3), 1), ("branch3x3dbl_3b", 384, (3, 1), 1)],
    ]
    return Mixed(c_in, [[("branch1x1", 320, 1, 1)], three, double], pool, 192)


class InceptionFID(nn.Module):
    """The network up to its classifier."""

    def __init__(self, classes: int = 1008) -> None:
        super().__init__()
        trunk: dict[str, nn.Module] = {
            "Conv2d_1a_3x3": ConvUnit(3, 32, 3, 2),
            "Conv2d_2a_3x3": ConvUnit(32, 32, 3),
            "Conv2d_2b_3x3": ConvUnit(32, 64, 3, padding=1),
            "pool_1": nn.MaxPool2d(3, 2),
            "Conv2d_3b_1x1": ConvUnit(64, 80, 1),
            "Conv2d_4a_3x3": ConvUnit(80, 192, 3),
            "pool_2": nn.MaxPool2d(3, 2),
            "Mixed_5b": _a(192, 32),
            "Mixed_5c": _a(256, 64),
            "Mixed_5d": _a(288, 64),
            "Mixed_6a": _b(288),
            "Mixed_6b": _c(128),
            "Mixed_6c": _c(160),
            "Mixed_6d": _c(160),
            "Mixed_6e": _c(192),
            "Mixed_7a": _d(),
            "Mixed_7b": _e(1280, "average"),
            "Mixed_7c": _e(2048, "max"),
        }
        self.order = list(trunk)
        for name, module in trunk.items():
            self.add_module(name, module)
        self.fc = nn.Linear(DIMENSIONS, classes)

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> (B, 2048): resized to 299, scaled, pooled."""
        x = F.interpolate(x, (299, 299), mode="bilinear", align_corners=False) * 2.0 - 1.0
        for name in self.order:
            x = self.get_submodule(name)(x)
        return x.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """The same as :meth:`features`."""
        return self.features(x)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names are ours; the auxiliary classifier of torchvision's file is left out."""
    return {k: v for k, v in state.items() if not k.startswith("AuxLogits.")}
