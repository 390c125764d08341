"""Features about their running mean, with unit deviation.

A cosine compares directions. Features that share a large common part, as those of an untrained
encoder do, all point the same way, and a memory that is addressed by cosine then answers every
question alike. Unlike batch normalisation this uses the running numbers in training too, so that a
feature does not depend on what else is in its batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOMENTUM = 0.02


class RunningMean(nn.Module):
    """(..., C) -> (..., C): ``(x - mean) / deviation``, both followed during training.

    Args:
        dim: C.
    """

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("square", torch.ones(dim))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; in training, follow the mean and variance of this batch first."""
        x = x.float()
        if self.training:
            with torch.no_grad():
                rows = x.detach().reshape(-1, x.shape[-1])
                # Early on the plain mean over all batches so far, later an exponential one.
                self.count.add_(1.0)
                share = (1.0 / self.count).clamp_min(MOMENTUM)
                self.mean.lerp_(rows.mean(0), share)
                self.square.lerp_((rows - self.mean).square().mean(0), share)
            mean, square = self.mean.clone(), self.square.clone()
        else:
            mean, square = self.mean, self.square
        return (x - mean) / (square + 1e-4).sqrt()
