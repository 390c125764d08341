"""How large a network is."""

from __future__ import annotations

from torch import nn


def count_parameters(module: nn.Module) -> int:
    """Number of trainable and frozen parameters (buffers not counted)."""
    return sum(p.numel() for p in module.parameters())
