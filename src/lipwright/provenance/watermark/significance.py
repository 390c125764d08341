r"""How sure a detection is: a bound on the probability that an unmarked file looks like this.

The file says V_i (a sum of votes) about bit i; a code word s with s_i = -1 or +1 is found if
S = sum s_i V_i is large. Ids are drawn at random when a file is marked, and the pilot was drawn at
random once, both without regard to the file in question. So for a file that does not carry the
mark, *whatever its content*, V is fixed and the s_i are independent fair coins. Chernoff's bound
then holds for every lambda >= 0:

    P(sum s_i V_i >= S) <= exp(-lambda S) prod cosh(lambda V_i).

For equal |V_i| it is Chernoff's bound of the binomial distribution; in general it is the same
bound for bits of unequal weight, and it never falls below 2^-(number of bits). No distribution of
picture content, no independence of blocks or frames and no tuned number goes into it. Trying N
ids at H alignments multiplies the probability by at most N H (union bound).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lipwright.provenance.watermark.grid import ID_BITS, signs

FALSE_ALARM = 1e-6
"""Largest accepted probability that a detector calls an unmarked file marked."""

Floats = npt.NDArray[np.float64]
_LAMBDAS = np.logspace(-3.0, 2.5, 56)  # any value gives a valid bound; these come close to the best


def log10_tail(values: Floats, scores: Floats) -> Floats:
    """Bound on log10 P(sum of s_i V_i >= score) for fair coins s_i.

    Args:
        values: (B,) or (H, B) the sums of votes V.
        scores: (N,) or (H, N) scores to be judged.

    Returns:
        same shape as ``scores``; 0 (no evidence) for scores <= 0 and where all votes are zero.
    """
    values = np.atleast_2d(np.asarray(values, np.float64))
    shape = np.shape(scores)
    scores = np.atleast_2d(np.asarray(scores, np.float64))
    largest = np.abs(values).max(axis=1, initial=0.0)[:, None]
    scale = np.where(largest > 0, largest, 1.0)
    values, scores = values / scale, scores / scale
    best = np.zeros(np.broadcast_shapes(scores.shape, (len(values), 1)))
    for rate in _LAMBDAS:
        product = rate * np.abs(values)
        log_cosh = (product + np.log1p(np.exp(-2.0 * product)) - math.log(2.0)).sum(axis=1)
        np.minimum(best, log_cosh[:, None] - rate * scores, out=best)
    return (best / math.log(10.0)).reshape(shape)


def log10_binomial(trials: int, errors: int) -> float:
    """log10 of P(at most ``errors`` of ``trials`` fair coins fall wrong), exactly."""
    ways = sum(math.comb(trials, k) for k in range(max(0, errors + 1)))
    return math.log10(ways) - trials * math.log10(2.0) if ways else -math.inf


def errors_allowed(trials: int, attempts: float) -> int:
    """Most wrong bits of ``trials`` at which ``attempts`` guesses stay below ``FALSE_ALARM``.

    -1 if not even an exact match would be evidence enough.
    """
    limit = math.log10(FALSE_ALARM) - math.log10(attempts)
    errors = -1
    while errors < trials and log10_binomial(trials, errors + 1) <= limit:
        errors += 1
    return errors


class Judge:
    """Judges sums of votes against the pilot and against N ids at once."""

    def __init__(self, mark_ids: list[int]) -> None:
        """Prepare code words."""
        self.mark_ids = mark_ids
        self._words = signs(mark_ids).T
        self._pilot = signs([0])[0, ID_BITS:, None]

    def __call__(self, sums: Floats) -> Floats:
        """(H, 160) sums -> (H, 1 + N) bounds on log10 P, column 0 for the pilot alone.

        That there were N ids to choose from, and the pilot besides, is counted; that there were H
        hypotheses is not.
        """
        by_pilot = log10_tail(sums[:, ID_BITS:], sums[:, ID_BITS:] @ self._pilot)
        if not self.mark_ids:
            return by_pilot
        by_id = log10_tail(sums, sums @ self._words) + math.log10(2.0 * len(self.mark_ids))
        return np.concatenate([by_pilot + math.log10(2.0), by_id], axis=1)
