"""Move lips to where no reference frame has them.

A method that draws from reference frames can only show the mouths that these show. A still picture,
or an avatar that never opens its mouth, has one mouth only. The difference between the wanted lip
motion and the drawn one is then supplied by geometry: the drawn face is warped so that its lip
contours come to lie where they should, the surroundings follow softly, and where lips part that
were closed, the gap is filled with the dark of a mouth.

Small gaps stay as they are: a drawn mouth is better than a warped one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.faces.lip_field import lip_field
from lipwright.faces.measure import INNER_LIPS
from lipwright.faces.mouth_inside import LEAST_GAP, dark_of, filled
from lipwright.media.flow import move

Array = NDArray[np.float32]
_INNER = len(INNER_LIPS)


def warp_lips(picture: Array, lips: NDArray[np.floating], step: NDArray[np.floating]) -> Array:
    """Move the lips of a drawn face.

    Args:
        picture: (S, S, 3) in [0, 1].
        lips: (40, 2) contours in the picture, in parts of S: inner ring, then outer.
        step: (40, 2) where they are to move, in parts of S.

    Returns:
        (S, S, 3); the picture itself where the lips are far.
    """
    size = len(picture)
    here, by = np.asarray(lips, np.float64), np.asarray(step, np.float64)
    there = here + by
    flow = lip_field(there, -by, size)
    gap = _height(there[:_INNER]) - max(_height(here[:_INNER]), 0.0)
    share = float(np.clip((gap - LEAST_GAP) / LEAST_GAP, 0.0, 1.0))
    if share == 0.0:
        return move(picture, flow, how=cv2.INTER_LINEAR)
    # Inside the mouth everything hangs from the upper lip: teeth are not stretched, and what
    # comes to light below them is dark.
    upper = slice(0, _INNER // 2 + 1)
    inside = share * filled(there[:_INNER], size)
    flow += inside[:, :, None] * (lip_field(there[upper], -by[upper], size) - flow)
    moved = move(picture, flow, how=cv2.INTER_LINEAR)
    seen = move(filled(here[:_INNER], size)[:, :, None], flow, how=cv2.INTER_LINEAR)
    dark = dark_of(moved, there[_INNER:])
    hole = inside[:, :, None] * (1.0 - seen.reshape(size, size, 1))
    return np.asarray(moved + hole * (dark - moved), np.float32)


def _height(ring: NDArray[np.float64]) -> float:
    """Mean gap between the upper and the lower edge of the inner ring, lips crossed: negative."""
    half = len(ring) // 2
    upper, lower = ring[1:half], ring[half + 1 :][::-1]
    return float((lower[:, 1] - upper[:, 1]).mean())
