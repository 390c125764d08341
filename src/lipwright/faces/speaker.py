"""How much speaks for each of several faces being the one that is heard: evidence from their lips.

Speech tells what the lips of its speaker do (:mod:`lipwright.methods.expected_lips`). For every
face and frame the log-likelihood ratio of two hypotheses is taken: it speaks, and its lips follow
what the speech tells; or it does not, and its lips do as much as they do around it, whatever
is heard. How far this person's lips go when they speak, how closely they follow, and by how many
frames the sound is behind them are not known beforehand: of :data:`GAINS`, :data:`CORRELATIONS` and
:func:`lateness` those are taken that make speaking most likely. The lateness belongs to the face:
shots of one film come from different cameras and cuts, and a few frames too many or too few take
most of the evidence away. Nobody (a voice off screen, music) and two at once are answers, too.
What holds when is decided with the voices that are heard (:mod:`lipwright.faces.voices`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lipwright.lip_agreement import MEASURES, detrended, moving_mean

RATE = 25
"""Frames per second of everything here."""
CORRELATIONS = (0.5, 0.65, 0.8)
"""Of a speaker's lips with what the speech tells."""
OF_TWO = (0.45,)
"""The same where two speak at once, and the speech tells the lips of both in one."""
GAINS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""How far a speaker's lips go, in parts of what the speech tells."""
INDEPENDENT = 2.0
"""Frames after which lips tell something new."""
AROUND = 75
"""Frames around one that say how much the lips move there."""
STILL = 0.1
"""Least variance of lips, in parts of that of speaking lips: landmarks are not quite still."""
LEAST = 0.002
"""Standard deviation up to which speech tells nothing of a measure; a tenth of what is usual."""
TWO = 0.02
"""Log-odds per frame against two speaking at once."""
MOST_LATE = 8
"""Sound that is late or early by up to so many frames is noticed."""
LATENESS_COST = 1.0
"""Log-odds against each frame by which it is, in a film, and in a face beside its film."""
BRIDGED = 25
"""Pauses of so many frames between words of one speaker belong to the speaker."""
STRETCH = 50
"""Frames of which the evidence is taken together when a gain is chosen."""

NOBODY, SEVERAL = -1, -2
Array = NDArray[np.float64]


def spread(expected: Array, active: NDArray[np.bool_]) -> Array:
    """(3,) standard deviations of expected lips (T, 3) where speech is heard (T,)."""
    if not active.any():
        return np.full(expected.shape[1], LEAST)
    return np.asarray(np.maximum(detrended(expected)[active].std(axis=0), LEAST))


def evidence(
    measured: Array,
    expected: Array,
    active: NDArray[np.bool_],
    usual: Array,
    correlations: Sequence[float] = CORRELATIONS,
) -> Array:
    """How much more likely every frame is if this face speaks than if it does not.

    Args:
        measured: (T, 3) opening, width and height of its mouth.
        expected: (T, 3) the same of the mouth that speaks.
        active: (T,) whether there is speech; elsewhere nothing is evidence.
        usual: (3,) as :func:`spread` gives it, of the whole recording.
        correlations: of lips and speech, to choose from.

    Returns:
        (T,) log-likelihood ratios; those of successive frames may be added.
    """
    lips, speech = detrended(measured) / usual, detrended(expected) / usual
    weights = np.where(usual > LEAST, MEASURES, 0.0) / INDEPENDENT
    best, most = np.zeros(len(lips)), -1.0
    for gain in GAINS:
        moved = lips / gain
        around = np.clip(moving_mean(moved**2, AROUND), STILL, 1.0)
        silent = -0.5 * np.log(around) - moved**2 / (2.0 * around)
        for correlation in correlations:
            rest = 1.0 - correlation**2
            speaks = -0.5 * np.log(rest) - (moved - correlation * speech) ** 2 / (2.0 * rest)
            found = np.where(active, (speaks - silent) @ weights, 0.0)
            total = favourable(found)
            if total > most:
                best, most = found, total
    return best


def favourable(found: Array) -> float:
    """What speaks for a face in evidence (T,): of stretches of two seconds, those that do."""
    return float(np.maximum(moving_mean(found[:, None], STRETCH), 0.0).sum())


def lateness(favour: Mapping[int, Array]) -> tuple[int, dict[int, int]]:
    """By how many frames the sound is behind the lips: of the film, and of each of its faces.

    Args:
        favour: what speaks for each face (:func:`favourable`) at ``-MOST_LATE`` .. ``MOST_LATE``.
    """
    frames = np.arange(-MOST_LATE, MOST_LATE + 1)
    order = np.argsort(np.abs(frames), kind="stable")  # of equals the nearest to 0

    def best(found: Array, from_frame: int) -> int:
        worth = found - LATENESS_COST * np.abs(frames - from_frame)
        return int(frames[order[int(worth[order].argmax())]])

    film = best(np.sum([np.zeros(len(frames)), *favour.values()], axis=0), 0)
    return film, {face: best(found, film) for face, found in favour.items()}


def choices(
    alone: Sequence[Array], together: Sequence[Array], active: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.int64]]:
    """What may hold in the frames of a shot: nobody speaks, one of the faces, or two of them.

    Args:
        alone: evidence of each face, (T,); NaN where the face is not to be seen.
        together: the same at the correlation ``OF_TWO``.
        active: (T,) whether there is speech at all.

    Returns:
        (T, C) what each choice is worth, -inf where it is not to be had, and (C,) their labels:
        ``NOBODY``, the index of a face, or ``SEVERAL``.
    """
    faces = [np.where(np.isnan(each), -np.inf, each) for each in alone]
    pairs = list(combinations(range(len(faces)), 2))
    both = []
    for a, b in pairs:
        sum_of_two = together[a] + together[b] - TWO
        both.append(np.where(active & ~np.isnan(sum_of_two), sum_of_two, -np.inf))
    scores = np.column_stack([np.zeros(len(active)), *faces, *both])
    return scores, np.array([NOBODY, *range(len(faces)), *[SEVERAL] * len(pairs)])


def without_pauses(found: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Long stretches without speech are nobody's."""
    out = found.copy()
    quiet = np.flatnonzero(np.diff(np.concatenate(([0], (~active).astype(np.int8), [0]))))
    for start, stop in quiet.reshape(-1, 2):
        if stop - start > BRIDGED:
            out[start:stop] = NOBODY
    return out
