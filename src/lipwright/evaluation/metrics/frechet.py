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

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.bootstrap import Estimate, bootstrap_pairs
from lipwright.evaluation.metrics.base import ClipPair, ClipResult, Metric, Moment, finite_features


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


class FrechetMetric(Metric):
    """The distance of a set of clips: embeds what it sees of both sides, in batches.

    Attributes:
        batch: so many are embedded at once.
        rest: whether what does not fill a batch at the end is embedded as well.
    """

    batch: ClassVar[int] = 16
    rest: ClassVar[bool] = True

    def __init__(self, clip: ClipPair) -> None:
        super().__init__(clip)
        self._waiting: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
        self._done: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def embed(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, S, S, 3) pictures -> (N, D) features."""
        raise NotImplementedError

    def add(self, moment: Moment) -> None:
        """Keep the moment, embed if the batch is full."""
        self._waiting.append((moment.crops.real, moment.crops.result))
        if len(self._waiting) == self.batch:
            self.flush()

    def flush(self) -> None:
        """Embed what waits."""
        if self._waiting:
            real, result = (np.stack(side) for side in zip(*self._waiting, strict=True))
            self._done.append((self.embed(real), self.embed(result)))
            self._waiting.clear()

    def finish(self, out: ClipResult) -> None:
        """Features of both sides."""
        if self.rest:
            self.flush()
        if self._done:
            real, result = (np.concatenate(side) for side in zip(*self._done, strict=True))
            name = self.infos[0].name
            out.features |= {f"{name}.real": real, f"{name}.result": result}

    @classmethod
    def over_clips(
        cls, names: Sequence[str], features: Mapping[str, list[NDArray[np.float32]]]
    ) -> tuple[dict[str, Estimate], list[str]]:
        """The distance, with an interval over clips."""
        name = cls.infos[0].name
        real, result = (features.get(f"{name}.{side}", []) for side in ("real", "result"))
        estimate = distance_of_clips(real, result)
        if estimate is None:
            return {}, []
        return {name: estimate}, cls.limits(sum(len(x) for x in real))

    @classmethod
    def limits(cls, count: int) -> list[str]:
        """Notes on a distance of so many real features."""
        raise NotImplementedError
