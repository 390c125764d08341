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

WRONG_ID = 1e-3
"""Largest accepted probability that a mark with another id is given one of those looked for."""

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

    def correlations(self, sums: Floats) -> Floats:
        """(H, 160) sums -> (H, 1 + N) correlations with the pilot and with the ids, about N(0, 1).

        A cheap measure to choose what is worth a bound; the choice has to be counted.
        """
        parts = [sums[:, ID_BITS:] @ self._pilot / _norms(sums[:, ID_BITS:])]
        if self.mark_ids:
            parts.append(sums @ self._words / _norms(sums))
        return np.concatenate(parts, axis=1)

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

    def named(self, sums: Floats, column: int) -> int | None:
        """Which id a column of the result stands for; None if the id's own bits do not say so.

        A clear pilot with any id behind it rules out an unmarked file, but not another id: that
        takes the 32 bits of the id alone.
        """
        if not column:
            return None
        bits = sums[:ID_BITS]
        score = float(bits @ self._words[:ID_BITS, column - 1])
        chance = float(log10_tail(bits, np.array([score]))[0]) + math.log10(len(self.mark_ids))
        return column - 1 if chance <= math.log10(WRONG_ID) else None


def _norms(sums: Floats) -> Floats:
    """(H, 1) root of the sum of squares, 1 where all votes are zero."""
    length = np.sqrt((sums * sums).sum(axis=1, keepdims=True))
    return np.where(length > 0, length, 1.0)
