"""FID: Fréchet distance of Inception features (Heusel et al., NeurIPS 2017).

pytorch-fid's definition: the TensorFlow-ported Inception-v3, 2048 features after the last pooling,
RGB pictures in [0, 1] resized to 299 x 299 (bilinear, corners not aligned), then to [-1, 1]. P1
(WACV 2023) measures face crops only; here: the aligned 224 px crop of the real video's face, the
same crop in real and result, all matched frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.metrics.base import MetricInfo, same_images
from lipwright.evaluation.metrics.frechet import FrechetMetric
from lipwright.evaluation.without_gradients import without_gradients

if TYPE_CHECKING:
    from torch import Tensor

DIMENSIONS = 2048
INFO = MetricInfo(
    "fid",
    "FID",
    "Heusel et al. 2017; pytorch-fid",
    "adapted",
    "low",
    "aligned 224 px face crops, same crop in both; no 1e-6 on singular covariances (the trace is "
    "computed exactly); biased upwards below 2048 frames, the count is in the result",
    digits=2,
    needs=("inception",),
    protocols=("reconstruction", "unpaired", "silent"),
)


class PictureFeatures(Protocol):
    """A network of pictures."""

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> (B, 2048)."""
        ...


@without_gradients
def fid_features(network: PictureFeatures, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(B, S, S, 3) uint8 crops -> (B, 2048)."""
    import torch

    same_images(crops, crops)
    x = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float() / 255.0
    return network.features(x).float().numpy()


class Fid(FrechetMetric):
    """FID of all matched frames of all clips."""

    infos = (INFO,)

    def embed(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See :func:`fid_features`."""
        return fid_features(self.clip.networks.loaded["inception"], pictures)

    @classmethod
    def limits(cls, count: int) -> list[str]:
        """See :meth:`FrechetMetric.limits`."""
        if count > DIMENSIONS:
            return []
        return [f"FID from {count} frames: {DIMENSIONS} dimensions need more, so it reads high"]
