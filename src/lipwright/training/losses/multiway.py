"""Multi-way matching: among the moments of a clip, which speech belongs to these lips?

Chung et al., "Perfect Match: Improved Cross-Modal Embeddings for Audio-Visual Synchronisation"
(ICASSP 2019, section 2.2): a softmax over one matching and many mismatched pairs learns sooner and
further than single pairs do, because every batch ranks all its pairs against each other.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def multiway_loss(cosine: Tensor, pairs: Tensor, temperature: float = 0.1) -> Tensor:
    """Cross-entropy of finding the speech of the faces, and the faces of the speech.

    Args:
        cosine: (B, B), faces along rows, speech along columns; matching pairs on the diagonal.
        pairs: (B, B) bool, which pairs take part; the diagonal does.
        temperature: by which cosines are divided.

    Returns:
        The mean of both directions; ln n for n indistinguishable moments.
    """
    logits = (cosine.float() / temperature).masked_fill(~pairs, -torch.inf)
    right = torch.arange(len(logits), device=logits.device)
    return 0.5 * (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right))


def pairwise_sync_loss(cosine: Tensor, pairs: Tensor) -> Tensor:
    """The binary cross-entropy of the sync loss on all pairs, matching and mismatched alike heavy.

    Args:
        cosine: (B, B) in [0, 1], matching pairs on the diagonal.
        pairs: (B, B) bool, which pairs take part.
    """
    p = cosine.float().clamp(1e-6, 1.0 - 1e-6)
    same = torch.eye(len(p), dtype=torch.bool, device=p.device)
    wrong = pairs & ~same
    right = -p.diagonal().log().mean()
    if not wrong.any():
        return right
    return 0.5 * (right - torch.log1p(-p)[wrong].mean())


def matching_accuracy(cosine: Tensor, pairs: Tensor) -> Tensor:
    """Share of faces whose own speech fits best among those that take part."""
    best = cosine.float().masked_fill(~pairs, -torch.inf).argmax(dim=1)
    return (best == torch.arange(len(best), device=best.device)).float().mean()
