"""Bootstrap intervals over clips: percentile method (Efron, 1979), seeded, so repeatable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number of a table: value, 95 % interval (NaN with fewer than two clips), clips."""

    value: float
    low: float
    high: float
    n: int


def bootstrap_mean(values: Sequence[float]) -> Estimate:
    """Mean over clips; clips without a value (NaN) are left out and not counted."""
    x = np.asarray([v for v in values if np.isfinite(v)], np.float64)
    if len(x) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    if len(x) == 1:
        return Estimate(float(x[0]), float("nan"), float("nan"), 1)
    rng = np.random.default_rng(0)
    means = x[rng.integers(0, len(x), (RESAMPLES, len(x)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(x.mean()), float(low), float(high), len(x))


def bootstrap_pairs(
    real: Sequence[NDArray[np.floating]],
    result: Sequence[NDArray[np.floating]],
    distance: Callable[[NDArray[np.floating], NDArray[np.floating]], float],
    resamples: int = 100,
) -> Estimate:
    """A distance of two pooled sets, with clips (and not their frames) drawn anew.

    Args:
        real: (n_i, D) features of each clip.
        result: the same clips of the method, same order.
        distance: of two pooled sets.
        resamples: draws of clips.
    """
    n = len(real)
    value = distance(np.concatenate(list(real)), np.concatenate(list(result)))
    if n < 2:
        return Estimate(value, float("nan"), float("nan"), n)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(resamples):
        index = rng.integers(0, n, n)
        a = np.concatenate([real[i] for i in index])
        b = np.concatenate([result[i] for i in index])
        drawn.append(distance(a, b))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high), n)
