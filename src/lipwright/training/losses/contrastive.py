"""LipGAN's contrastive loss on a distance (KR et al., ACM MM 2019; Hadsell et al., CVPR 2006)."""

from __future__ import annotations

from torch import Tensor


def contrastive(distance: Tensor, wrong: Tensor | float, margin: float = 1.0) -> Tensor:
    """mean((1 - y) d^2 + y max(0, margin - d)^2) of (N,) distances.

    Args:
        distance: (N,) >= 0.
        wrong: y, 0 for real synced pairs, 1 for fakes and mis-paired ones.
        margin: distance from which a wrong pair costs nothing.
    """
    d = distance.float()
    loss: Tensor = (
        (1.0 - wrong) * d.square() + wrong * (margin - d).clamp_min(0.0).square()
    ).mean()
    return loss
