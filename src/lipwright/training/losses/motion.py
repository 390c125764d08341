"""Losses on sequences of lip motions (B, n, K); frames that do not exist are left out."""

from __future__ import annotations

import torch
from torch import Tensor

STILL = 0.5
"""Added to the power of a sequence: noise about a mouth that hardly moves is not to be learned."""


def motion_loss(predicted: Tensor, real: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error of the motions, and of their steps from one frame to the next.

    Args:
        predicted: (B, n, K).
        real: (B, n, K).
        valid: (B, n) bool.
    """
    error = (predicted - real).square().mean(2)
    steps = (predicted.diff(dim=1) - real.diff(dim=1)).square().mean(2)
    both = valid[:, 1:] & valid[:, :-1]
    return _mean(error, valid), _mean(steps, both)


def correlation_loss(predicted: Tensor, real: Tensor, valid: Tensor) -> Tensor:
    """One minus the correlation over time, mean over sequences and components.

    With ``a`` and ``b`` the sequences about their means: ``1 - sum(a b) / sqrt((sum(a a) + e)
    (sum(b b) + e))``, e = :data:`STILL`.
    """
    there = valid.unsqueeze(2).to(predicted.dtype)
    count = there.sum(1, keepdim=True).clamp_min(1.0)
    a, b = ((x - (x * there).sum(1, keepdim=True) / count) * there for x in (predicted, real))
    power = (a.square().sum(1) + STILL) * (b.square().sum(1) + STILL)
    return (1.0 - (a * b).sum(1) / power.sqrt()).mean()


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    picked = torch.where(valid, values, torch.zeros_like(values))
    return picked.sum() / valid.sum().clamp_min(1)
