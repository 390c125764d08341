"""Regression of landmark coefficients.

Chen et al. (CVPR 2019) minimise the plain squared error of the PCA coefficients. The first ones,
which have the largest variance, then count most; ``weight`` can level them (1 over the variance).
"""

from __future__ import annotations

from torch import Tensor


def coefficient_loss(found: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared error of (..., K) coefficients, each times its entry of ``weight`` (K,)."""
    error = (found - target).square()
    return (error if weight is None else error * weight).mean()
