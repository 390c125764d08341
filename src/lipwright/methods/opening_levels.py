"""References with a mouth at rest, a middling and an open one, mixed by what speech asks for.

For methods that move a reference picture. A picture can be moved so far only: a mouth that is open
in it is never quite closed by moving, and a closed one has no inside. So a frame is drawn from the
two references between which the opening lies that speech asks for, each moved there, and both
pictures are mixed. What the source's own mouth does is not looked at: references that went along
with it would bring its speech back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVELS = ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0))
"""Mouths at rest, middling and open: those whose openings rank between these shares."""
MIDDLE = 1


def by_level(openings: Sequence[float]) -> list[list[int]]:
    """Indices of (R,) openings by level, in rising order; those of few references may be empty."""
    order = np.argsort(openings, kind="stable")
    ranks = np.arange(len(order)) / max(1, len(order) - 1)
    return [
        [int(i) for i, rank in zip(order, ranks, strict=True) if low <= rank <= high]
        for low, high in LEVELS
    ]


def shares(opening: NDArray[np.floating], known: NDArray[np.floating]) -> NDArray[np.float32]:
    """How much each reference counts.

    Args:
        opening: (B,) that speech asks for.
        known: (B, L) rising openings of the references that serve for each.

    Returns:
        (B, L) weights in [0, 1] that sum to 1: linear between neighbours, so that nothing jumps.
    """
    levels = known.shape[1]
    at = [np.interp(o, row, np.arange(levels)) for o, row in zip(opening, known, strict=True)]
    distance = np.abs(np.array(at)[:, None] - np.arange(levels))
    return np.asarray(np.maximum(0.0, 1.0 - distance), np.float32)
