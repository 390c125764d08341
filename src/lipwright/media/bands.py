"""A picture in bands of a few rows, so that what is made of one stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

ROWS = 48
"""Height of a band in pixels, nearly."""


def bands(height: int, step: int = 1) -> Iterator[slice]:
    """All rows, some at a time; each band but the last one has a multiple of ``step``."""
    rows = max(1, ROWS // step) * step
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def touched(weight: npt.NDArray[Any], axis: int = 0) -> slice:
    """The columns (or the rows: axis 1) between which something is not 0."""
    counts = np.flatnonzero(weight.any(axis=axis))
    return slice(int(counts[0]), int(counts[-1]) + 1) if counts.size else slice(0, 0)
