"""Exponential moving average of weights (Polyak averaging), which is what gets exported."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class AveragedWeights:
    """A shadow copy of a module.

    The decay ramps up as (1 + n) / (10 + n), so that the first steps do not linger. Buffers
    (codebook statistics, running means) are copied, not averaged.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards ``module``."""
        self.updates += 1
        d = min(self.decay, (1 + self.updates) / (10 + self.updates))
        ours: list[Tensor] = list(self.module.parameters())
        theirs = [p.detach() for p in module.parameters()]
        torch._foreach_lerp_(ours, theirs, 1.0 - d)
        for a, b in zip(self.module.buffers(), module.buffers(), strict=True):
            a.copy_(b)
