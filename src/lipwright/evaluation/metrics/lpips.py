"""LPIPS: learned perceptual distance (Zhang et al., CVPR 2018, version 0.1, VGG trunk).

Needs the published VGG-16 trunk and the published linear heads; without both it is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.metrics.base import MeanMetric, MetricInfo, Moment, same_images
from lipwright.evaluation.without_gradients import without_gradients

if TYPE_CHECKING:
    from torch import Tensor

INFO = MetricInfo(
    "lpips",
    "LPIPS",
    "Zhang et al., CVPR 2018, v0.1 VGG",
    "adapted",
    "low",
    "on the aligned 224 px face crop, every fifth frame",
    digits=3,
    needs=("vgg16", "lpips-heads"),
    protocols=("reconstruction",),
)


class PerceptualDistance(Protocol):
    """The network."""

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Two (B, 3, H, W) RGB in [-1, 1] -> (B,)."""
        ...


@without_gradients
def lpips(network: PerceptualDistance, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Distance of two (S, S, 3) uint8 RGB pictures; 0 for equal ones."""
    import torch

    same_images(a, b)
    x, y = (
        torch.from_numpy(np.ascontiguousarray(v)).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        for v in (a, b)
    )
    return float(network.distance(x, y))


class Lpips(MeanMetric):
    """LPIPS of the aligned crops of every fifth frame."""

    infos = (INFO,)
    every = 5

    def value(self, moment: Moment) -> float:
        """See :func:`lpips`."""
        network = self.clip.networks.loaded["vgg16"]
        return lpips(network, moment.crops.real, moment.crops.result)
