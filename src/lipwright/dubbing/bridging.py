"""A face that is lost for a moment is taken to be where its neighbours in time say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.plan import LOST, USABLE
from lipwright.runs import runs_of

HELD_SECONDS = 0.25
"""A face that is lost for longer than this is away."""


def bridge(
    states: NDArray[np.uint8], points: NDArray[np.float64], openings: NDArray[np.float64]
) -> None:
    """Give LOST rows the outline between their neighbours'.

    A gap beside an unusable face cannot be used either.
    """
    known = np.flatnonzero(states != LOST)
    rows = np.arange(states.size)
    flat = points.reshape(states.size, -1)
    for column in (*flat.T, openings):
        column[:] = np.interp(rows, known, column[known])
    for start, stop in runs_of(states == LOST).tolist():
        for neighbour in (states[start - 1], states[stop]):
            if neighbour not in USABLE:
                states[start:stop] = neighbour
