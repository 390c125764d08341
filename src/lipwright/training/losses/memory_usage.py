"""Usage balance of a memory: all slots should have work, and one frame few of them.

Ours, after the load-balancing losses of sparse mixtures; no source reached of SyncTalkFace has one.
A sharp address lets a few slots win everything early on, and slots that nobody addresses are never
moved. The entropy of the *mean* address is highest when all slots are used alike, whatever a single
address looks like; the mean entropy of single addresses is lowest when each has one slot. Together
they are the information that a slot carries about the frame (Krause, Perona, Gomes, "Discriminative
Clustering by Regularized Information Maximization", NIPS 2010).
"""

from __future__ import annotations

import torch
from torch import Tensor


def usage_loss(address: Tensor) -> Tensor:
    """In nats, log S - H(mean address): 0 when all slots are used alike, log S when one is.

    Args:
        address: (..., S), rows sum to 1.
    """
    mean = address.float().flatten(0, -2).mean(0)
    entropy = -(mean * (mean + 1e-8).log()).sum()
    return torch.log(torch.tensor(float(len(mean)))) - entropy


def entropy_loss(address: Tensor) -> Tensor:
    """Mean entropy of the rows of (..., S), in nats: 0 when every address is a single slot."""
    rows = address.float()
    return -(rows * (rows + 1e-8).log()).sum(-1).mean()
