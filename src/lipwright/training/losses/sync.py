"""The sync loss: binary cross-entropy on the expert's cosine.

Gupta et al. (WACV 2023, section 3.1), after Wav2Lip (ACM MM 2020): the cosine of two non-negative
vectors is read as a probability.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def sync_loss(cosine: Tensor, in_sync: Tensor) -> Tensor:
    """BCE of (B,) cosines in [0, 1] against (B,) labels in {0, 1}; finite for 0 and 1."""
    p = cosine.float().clamp(1e-6, 1.0 - 1e-6)
    return F.binary_cross_entropy(p, in_sync.float())


def sync_accuracy(cosine: Tensor, in_sync: Tensor) -> Tensor:
    """Share of (B,) cosines on the right side of 0.5."""
    return ((cosine > 0.5) == (in_sync > 0.5)).float().mean()
