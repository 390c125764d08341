"""Plane geometry that several packages need: smooth steps and similarity transforms.

The functions take NumPy arrays and PyTorch tensors alike and give back what they were given; the
module imports nothing of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    Values = TypeVar("Values", float, NDArray[np.float32], NDArray[np.float64], Tensor)
    Points = TypeVar("Points", NDArray[np.float64], Tensor)
else:
    Values = TypeVar("Values")
    Points = TypeVar("Points")


def smoothstep(share: Values) -> Values:
    """3 s^2 - 2 s^3 for shares s in [0, 1]: from 0 to 1 with level ends. Values are not clipped."""
    return share * share * (3.0 - 2.0 * share)


def similarity(points: Points, target: Points) -> Points:
    """The similarity transform that takes points to a target with the least squared error.

    In the plane the singular value decomposition of the covariance (Umeyama, PAMI 1991, equation
    42) has a closed form: with a and b the centred points as complex numbers, rotation times scale
    is sum(conj(a) b) / sum(|a|^2).

    Args:
        points: (..., N, 2).
        target: (N, 2) or (..., N, 2).

    Returns:
        (..., 2, 3): rotation times scale, and translation. Points without extent give scale 0.
    """
    from_mean, to_mean = points.mean(-2)[..., None, :], target.mean(-2)[..., None, :]
    a, b = points - from_mean, target - to_mean
    along, across = along_across(a, b)
    power = (a * a).sum((-2, -1)).clip(1e-12, None)
    c, s = along / power, across / power
    stack = _stack(points)
    linear = stack([stack([c, -s], -1), stack([s, c], -1)], -2)
    offset = to_mean - from_mean @ linear.swapaxes(-1, -2)
    return _concatenate(points)([linear, offset.swapaxes(-1, -2)], -1)  # type: ignore[no-any-return]


def along_across(a: Any, b: Any) -> tuple[Any, Any]:
    """Real and imaginary part of sum(conj(a) b), points (..., N, 2) as complex numbers."""
    along = (a * b).sum((-2, -1))
    across = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(-1)
    return along, across


def transform(matrix: Points, points: Points) -> Points:
    """Apply (..., 2, 3) to (..., N, 2)."""
    return points @ matrix[..., :2].swapaxes(-1, -2) + matrix[..., None, :, 2]


def inverse_similarity(matrix: Points) -> Points:
    """The inverse of similarity transforms (..., 2, 3)."""
    c, s = matrix[..., 0, 0], matrix[..., 1, 0]
    power = (c * c + s * s).clip(1e-12, None)
    c, s = c / power, s / power
    stack = _stack(matrix)
    linear = stack([stack([c, s], -1), stack([-s, c], -1)], -2)
    offset = -(linear @ matrix[..., 2:])
    return _concatenate(matrix)([linear, offset], -1)  # type: ignore[no-any-return]


def _stack(like: Any) -> Any:
    """``stack`` of the library that an array is of."""
    if isinstance(like, np.ndarray):
        return np.stack
    import torch

    return torch.stack


def _concatenate(like: Any) -> Any:
    """``concatenate`` of the library that an array is of."""
    if isinstance(like, np.ndarray):
        return np.concatenate
    import torch

    return torch.cat
