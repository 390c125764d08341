"""Losses on sequences of lip motions (B, n, K); frames that do not exist are left out."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from lipwright.training.config import Section

STILL = 0.5
"""Added to the power of a sequence: noise about a mouth that hardly moves is not to be learned."""


SHUT, APART = 0.35, 1.0
"""Openings, in standard deviations beside rest, of closed and of speaking lips ..."""
SHORTLY = 5
"""... so many frames before or after."""


class SpeechLoss(Section):
    """Weights: squared error, squared error of steps between frames, one minus correlation.

    Attributes:
        closing: by so much more the squared error counts where lips close in the midst of speech.
    """

    motion: float = 1.0
    velocity: float = 1.0
    correlation: float = 1.0
    closing: float = Field(default=0.0, ge=0.0)


def motion_loss(
    predicted: Tensor, real: Tensor, valid: Tensor, closing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Mean squared error of the motions, and of their steps from one frame to the next.

    Args:
        predicted: (B, n, K), first the opening.
        real: (B, n, K).
        valid: (B, n) bool.
        closing: by so much more the first error counts in :func:`closings`.
    """
    error = (predicted - real).square().mean(2)
    if closing > 0:
        error = error * (1.0 + closing * closings(real[..., 0], valid))
    steps = (predicted.diff(dim=1) - real.diff(dim=1)).square().mean(2)
    both = valid[:, 1:] & valid[:, :-1]
    return _mean(error, valid), _mean(steps, both)


def speech_losses(
    predicted: Tensor, real: Tensor, valid: Tensor, loss: SpeechLoss
) -> dict[str, Tensor]:
    """The terms of a speech network and their weighted sum, ``loss``.

    Args:
        predicted: (B, n, K), first the opening.
        real: (B, n, K).
        valid: (B, n) bool.
        loss: the weights.
    """
    errors = motion_loss(predicted, real, valid, loss.closing)
    out = dict(zip(("motion", "velocity"), errors, strict=True))
    out["correlation"] = correlation_loss(predicted, real, valid)
    total = sum((getattr(loss, name) * value for name, value in out.items()), torch.zeros(()))
    return {**out, "loss": total}


def closings(opening: Tensor, valid: Tensor) -> Tensor:
    """Which frames (B, n) of an opening (B, n) show lips that close in the midst of speech."""
    known = torch.where(valid, opening, torch.zeros_like(opening))
    near = F.max_pool1d(known[:, None], 2 * SHORTLY + 1, 1, SHORTLY)[:, 0]
    return (opening < SHUT) & (near > APART) & valid


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
