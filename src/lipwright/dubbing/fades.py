"""An edit that comes and goes: how strongly it shows, frame by frame."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipwright.geometry import smoothstep
from lipwright.runs import runs_of

FADE_SECONDS = 0.12
"""A face that comes into use or goes out of it inside a shot fades in or out."""


def fade_frames(rate: Fraction | float) -> int:
    """How many frames a fade takes at ``rate`` frames per second."""
    return max(1, math.ceil(FADE_SECONDS * rate))


def fades(
    usable: NDArray[np.bool_], frames: int, starts_with_shot: bool, ends_with_shot: bool
) -> NDArray[np.float64]:
    """How strongly the edit of each frame shows.

    Args:
        usable: (n,) whether it can be shown at all.
        frames: length of a fade.
        starts_with_shot: there is no fade after a cut.
        ends_with_shot: nor before one.

    Returns:
        (n,) in [0, 1], 0 exactly where not usable.
    """
    strength = np.zeros(usable.size)
    for start, stop in runs_of(usable).tolist():
        index = np.arange(stop - start)
        share = np.ones(index.size)
        if start > 0 or not starts_with_shot:
            share = np.minimum(share, (index + 1) / (frames + 1))
        if stop < usable.size or not ends_with_shot:
            share = np.minimum(share, (index.size - index) / (frames + 1))
        strength[start:stop] = smoothstep(share)
    return strength
