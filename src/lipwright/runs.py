"""Runs of true values: where they begin and where they end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs_of(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) flags -> (k, 2), the first place of every run of True and the one behind its last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], np.asarray(flags, np.int8), [0]))))
    return np.asarray(edges.reshape(-1, 2), np.int64)
