"""Who speaks, by lips and voices together: a voice mostly belongs to one face.

Lips tell nothing for seconds at a time: the head is turned, a hand is before the mouth, it hardly
moves. The voice goes on, and whoever it belonged to before and after speaks meanwhile, too; a voice
that no lips follow is somebody's off screen. So a stretch of a film is a sequence of hidden states
(voice, choice): which of some voices is heard, and which choice holds, a face, two faces, or
nobody. A voice is a Gaussian of cepstra; what a choice is worth in a frame comes from the lips
(:mod:`lipwright.faces.speaker`); and every voice has its shares of the choices in a shot, which
count as a prior. Voices and shares are found by expectation maximisation (Rabiner, Proc. IEEE 1989,
section III.C) from several starts: agglomerations of pieces of a second by the Bayesian information
criterion (Chen and Gopalakrishnan, DARPA Broadcast News Workshop 1998), cut with and without a look
at the lips. The likeliest result, less what its voices cost, counts; with one voice it is what the
lips say.

All constants were chosen on scenes of training people, ``benchmarks/speaker.py --split train``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

PER_FRAME = 4
"""Cepstra per frame at 25 a second."""
LOUDER = 30.0
"""Per cent of the cepstra, the softest, that tell nothing of a voice: closures and the room."""
WEIGHT = 0.06
"""Log-likelihood of a cepstrum counts so much: neighbours, 10 ms apart, tell the same."""
PIECE = 100
"""Cepstra of a piece from which voices are put together."""
MOST_VOICES = 5
VOICE_COSTS = 0.1
"""What a voice more has to bring, in parts of the Bayesian information criterion."""
FEW = 8.0
"""Independent cepstra by which a voice of few is drawn to that of all."""
CHANGE = 6.0
"""Log-odds that it takes to change voice or choice."""
PRIOR_WEIGHT = 0.5
"""The prior of a choice under a voice counts so much in every frame."""
PSEUDO_FRAMES = 12.0
"""Pseudo-counts: frames that are added, spread over all choices, to those in which a voice had
each of them."""
ROUNDS = 5
ENOUGH = 2 * PIECE
"""With fewer cepstra there are no voices to tell apart."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shot:
    """Frames ``first`` to ``stop - 1`` and what each choice is worth there.

    Attributes:
        first: number of a frame.
        scores: (T, C) log-likelihood ratios of the choices to the first, nobody, which is 0;
            -inf where a choice is not to be had.
    """

    first: int
    scores: Array

    @property
    def stop(self) -> int:
        """Number of the frame after the last."""
        return self.first + len(self.scores)


def decide(
    shots: Sequence[Shot], cepstra: Array, levels: Array, active: NDArray[np.bool_]
) -> list[NDArray[np.int64]]:
    """The choice of every frame.

    Args:
        shots: of a minute or so, one after another, none empty, gaps allowed.
        cepstra: (PER_FRAME N, K) of the film's sound; row j belongs to frame j // PER_FRAME.
        levels: (PER_FRAME N,) of the same, in decibels.
        active: (N,) whether there is speech; elsewhere no voice is looked for.

    Returns:
        Per shot (T,) indices of its choices.
    """
    if not shots:
        return []
    first, stop = shots[0].first, shots[-1].stop
    inside = np.repeat(active[first:stop], PER_FRAME)
    there = slice(PER_FRAME * first, PER_FRAME * stop)
    vectors, frames = _loud(cepstra[there], levels[there], inside)
    search = _Search(shots, vectors, frames, active)
    best = alone = search.run(np.zeros(len(vectors), np.int64), 1)
    if len(vectors) >= ENOUGH:
        labelled = np.concatenate([path + 1000 * n for n, path in enumerate(alone.choices)])
        times = np.concatenate([np.arange(shot.first, shot.stop) for shot in shots]) - first
        at = labelled[np.clip(np.searchsorted(times, frames), 0, len(times) - 1)]
        for cuts in (np.zeros(0, np.int64), np.flatnonzero(np.diff(at)) + 1):
            for count, labels in _agglomerated(vectors, _pieces(cuts, len(vectors))).items():
                if count > 1:
                    best = max(best, search.run(labels, count), key=lambda found: found.worth)
    return best.choices


@dataclass(frozen=True)
class _Found:
    worth: float
    choices: list[NDArray[np.int64]]


class _Search:
    """Expectation maximisation over one stretch."""

    def __init__(
        self,
        shots: Sequence[Shot],
        vectors: Array,
        frames: NDArray[np.int64],
        active: NDArray[np.bool_],
    ) -> None:
        """``vectors`` (n, K) are white; ``frames`` (n,) count from the first shot's first."""
        self._shots, self._vectors, self._frames, self._active = shots, vectors, frames, active
        self._first = shots[0].first

    def run(self, labels: NDArray[np.int64], count: int) -> _Found:
        """From a first guess of the voice of every vector to the choices of every frame."""
        size = self._vectors.shape[1]
        share = np.eye(count)[labels]
        prior_weight = PRIOR_WEIGHT if count > 1 else 0.0
        length = self._shots[-1].stop - self._first
        shares = [np.full((count, s.scores.shape[1]), 1 / s.scores.shape[1]) for s in self._shots]
        total = 0.0
        choices: list[NDArray[np.int64]] = []
        for _ in range(ROUNDS if count > 1 else 1):
            voices = [_Voice.of(self._vectors, column) for column in share.T]
            sounds = np.zeros((length, count))
            plain = -0.5 * (self._vectors**2).sum(axis=1)
            for k, voice in enumerate(voices):
                found = WEIGHT * (voice.likelihood(self._vectors) - plain)
                sounds[:, k] = np.bincount(self._frames, found, length)
            of_frame = np.full((length, count), 1.0 / count)
            total, choices = 0.0, []
            for n, shot in enumerate(self._shots):
                part = slice(shot.first - self._first, shot.stop - self._first)
                active = self._active[shot.first : shot.stop, None, None]
                options = shot.scores.shape[1]
                prior = prior_weight * np.log(shares[n] * options) * active
                score = sounds[part, :, None] + shot.scores[:, None, :] + prior
                known, likelihood = _forward_backward(score.reshape(len(shot.scores), -1))
                known = known.reshape(score.shape)
                total += likelihood
                choices.append(np.asarray(known.sum(axis=1).argmax(axis=1), np.int64))
                of_frame[part] = known.sum(axis=2)
                counts = (known * active).sum(axis=0) + PSEUDO_FRAMES / options
                shares[n] = counts / counts.sum(axis=1, keepdims=True)
            share = of_frame[self._frames]
        numbers = size + size * (size + 1) / 2
        cost = 0.5 * numbers * np.log(max(WEIGHT * len(self._vectors), 3.0))
        return _Found(total - VOICE_COSTS * count * cost, choices)


@dataclass(frozen=True)
class _Voice:
    """A Gaussian, drawn to the standard normal of all voices together."""

    mean: Array
    covariance: Array

    @classmethod
    def of(cls, vectors: Array, weights: Array) -> _Voice:
        """Of vectors (n, K) that count by weights (n,)."""
        weighed = vectors * weights[:, None]
        return cls.from_sums(float(weights.sum()), weighed.sum(axis=0), weighed.T @ vectors)

    @classmethod
    def from_sums(cls, count: float, total: Array, squares: Array) -> _Voice:
        """Of the number, sum (K,) and outer products (K, K) of vectors."""
        more, mean = FEW / WEIGHT, total / max(count, 1e-9)
        covariance = squares - count * np.outer(mean, mean) + more * np.eye(len(total))
        return cls(mean * count / (count + 0.2 * more), covariance / (count + more))

    def likelihood(self, vectors: Array) -> Array:
        """(n,) logarithms, less those constants that all voices share."""
        root = np.linalg.cholesky(self.covariance)
        white = np.linalg.solve(root, (vectors - self.mean).T)
        return np.asarray(-0.5 * (white**2).sum(axis=0) - np.log(np.diag(root)).sum())


def _loud(
    cepstra: Array, levels: Array, active: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.int64]]:
    """White cepstra (n, K) of the louder part of speech, and their frames (n,)."""
    active = active[: len(cepstra)] & np.isfinite(levels)
    if active.sum() < ENOUGH:
        return np.zeros((0, cepstra.shape[1])), np.zeros(0, np.int64)
    rows = np.flatnonzero(active & (levels >= np.percentile(levels[active], LOUDER)))
    found = cepstra[rows]
    covariance = np.cov(found.T) + 1e-3 * np.eye(found.shape[1])
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    return (found - found.mean(axis=0)) @ root.T, rows // PER_FRAME


def _pieces(cuts: NDArray[np.int64], count: int) -> list[tuple[int, int]]:
    """Cut ``count`` vectors at some places, and into pieces of about ``PIECE``."""
    found: list[tuple[int, int]] = []
    edges = [0, *cuts.tolist(), count]
    for start, stop in pairwise(edges):
        inner = np.linspace(start, stop, max(1, round((stop - start) / PIECE)) + 1).astype(int)
        for low, high in pairwise(inner):
            if found and high - low < PIECE // 4:
                found[-1] = (found[-1][0], int(high))
            elif high > low:
                found.append((int(low), int(high)))
    return found


def _agglomerated(vectors: Array, pieces: list[tuple[int, int]]) -> dict[int, NDArray[np.int64]]:
    """Labels (n,) for every number of voices up to ``MOST_VOICES``.

    The two groups are joined that lose least of the likelihood of one voice for each.
    """
    sums = [
        (float(high - low), part.sum(axis=0), part.T @ part)
        for low, high in pieces
        for part in (vectors[low:high],)
    ]

    def spread(group: tuple[float, Array, Array]) -> float:
        return 0.5 * group[0] * float(np.linalg.slogdet(_Voice.from_sums(*group).covariance)[1])

    def joined(a: int, b: int) -> tuple[float, Array, Array]:
        return sums[a][0] + sums[b][0], sums[a][1] + sums[b][1], sums[a][2] + sums[b][2]

    count = len(pieces)
    own = [spread(group) for group in sums]
    loss = np.full((count, count), np.inf)
    for a in range(count):
        for b in range(a + 1, count):
            loss[a, b] = spread(joined(a, b)) - own[a] - own[b]
    owner = np.arange(count)
    lengths = [high - low for low, high in pieces]
    found = {}
    for groups in range(count, 0, -1):
        if groups <= MOST_VOICES:
            found[groups] = np.repeat(np.unique(owner, return_inverse=True)[1], lengths)
        if groups == 1:
            break
        a, b = (int(i) for i in np.unravel_index(int(loss.argmin()), loss.shape))
        sums[a] = joined(a, b)
        own[a] = spread(sums[a])
        owner[owner == b] = a
        loss[b, :] = loss[:, b] = np.inf
        for other in np.unique(owner):
            if other != a:
                low, high = min(a, other), max(a, other)
                loss[low, high] = spread(joined(low, high)) - own[low] - own[high]
    return found


def _forward_backward(score: Array) -> tuple[Array, float]:
    """Posterior of states, (T, S), and the log-likelihood; a change costs ``CHANGE``."""
    count, states = score.shape
    change = float(np.exp(-CHANGE))
    highest = score.max(axis=1)
    likely = np.exp(score - highest[:, None])
    forward, backward = np.empty((count, states)), np.ones((count, states))
    scale = np.empty(count)
    for t in range(count):
        before = (1 - change) * forward[t - 1] + change / states if t else 1 / states
        forward[t] = likely[t] * before
        scale[t] = forward[t].sum()
        forward[t] /= scale[t]
    for t in range(count - 2, -1, -1):
        after = backward[t + 1] * likely[t + 1]
        backward[t] = ((1 - change) * after + change / states * after.sum()) / scale[t + 1]
    known = forward * backward
    known /= known.sum(axis=1, keepdims=True)
    return known, float(np.log(scale).sum() + highest.sum())
