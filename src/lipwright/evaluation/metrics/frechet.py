"""Fréchet distance of two sets of features, each taken as a Gaussian.

``d^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` with unbiased covariances (Heusel et al.,
NeurIPS 2017, equation 6; Dowson and Landau, 1982).

The trace of the matrix root is computed as the sum of the singular values of ``X1 X2^T`` of the
centred features: with ``S = X^T X / (n - 1)`` the eigenvalues of ``S1 S2`` are the squares of the
singular values of ``X1 X2^T / sqrt((n1 - 1)(n2 - 1))``. That is exact for any number of samples,
needs no regularisation for singular covariances (pytorch-fid adds 1e-6 then), and costs
n1 x n2 instead of D^3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.bootstrap import Estimate, bootstrap_pairs
from lipwright.evaluation.metrics.base import finite_features


def frechet_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Squared Fréchet distance of features (N, D) and (M, D); 0 for identical sets.

    Raises:
        LipwrightError: fewer than two rows, other dimensions, or values that are not finite.
    """
    x, y = finite_features(a, "the first set", 2), finite_features(b, "the second set", 2)
    if x.shape[1] != y.shape[1]:
        raise LipwrightError(
            f"features of {x.shape[1]} and {y.shape[1]} dimensions come from different networks."
        )
    mx, my = x.mean(axis=0), y.mean(axis=0)
    x, y = (x - mx) / np.sqrt(len(x) - 1), (y - my) / np.sqrt(len(y) - 1)
    if min(len(x), len(y)) > x.shape[1]:
        # More samples than dimensions: the same singular values from the triangular factors.
        x, y = (np.asarray(np.linalg.qr(v, mode="r")) for v in (x, y))
    cross = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    distance = np.sum((mx - my) ** 2) + np.sum(x**2) + np.sum(y**2) - 2.0 * cross
    return float(max(distance, 0.0))


BOOTSTRAP_LIMIT = 3000
"""Above so many rows in all the interval is left out: it would take hours."""


def distance_of_clips(
    real: Sequence[NDArray[np.float32]], result: Sequence[NDArray[np.float32]]
) -> Estimate | None:
    """The distance of two pooled sets of clips, with an interval over clips.

    Args:
        real: (n_i, D) features of each clip.
        result: the same clips of the method, same order.

    Returns:
        None with fewer than two rows.
    """
    count = sum(len(x) for x in real)
    if count < 2:
        return None
    if count <= BOOTSTRAP_LIMIT:
        return bootstrap_pairs(real, result, frechet_distance, 100)
    value = frechet_distance(np.concatenate(list(real)), np.concatenate(list(result)))
    return Estimate(value, float("nan"), float("nan"), len(real))
