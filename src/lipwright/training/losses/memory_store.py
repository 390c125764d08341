"""Storing: the value memory should give back the lip feature it was asked for.

Park et al. (AAAI 2022): ``L_store = ||f_lip - f_lip_val||_2^2``, here the mean over a batch.
"""

from __future__ import annotations

from torch import Tensor


def store_loss(recalled: Tensor, target: Tensor) -> Tensor:
    """Mean over rows of the squared length of (N, C) differences."""
    return (recalled.float() - target.float()).square().sum(-1).mean()
