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
from lipwright.media.flow import move

DARK = 0.22
"""The dark of a mouth, as a share of the colour of its lips."""
TINT = np.array([1.0, 0.55, 0.55], np.float32)
"""It is reddish."""
LEAST_GAP = 0.004
"""Lips that part by less than this share of the crop show nothing new."""

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
    inside = share * _filled(there[:_INNER], size)
    flow += inside[:, :, None] * (lip_field(there[upper], -by[upper], size) - flow)
    moved = move(picture, flow, how=cv2.INTER_LINEAR)
    seen = move(_filled(here[:_INNER], size)[:, :, None], flow, how=cv2.INTER_LINEAR)
    ring = there[_INNER:] * size - 0.5
    at = np.clip(np.rint(ring).astype(int), 0, size - 1)
    dark = DARK * TINT * moved[at[:, 1], at[:, 0]].mean(axis=0)
    hole = inside[:, :, None] * (1.0 - seen.reshape(size, size, 1))
    return np.asarray(moved + hole * (dark - moved), np.float32)


def _filled(ring: NDArray[np.float64], size: int) -> Array:
    """(size, size) in [0, 1]: the inside of a contour, with a soft edge.

    It is drawn in a box about the contour only, wide enough that nothing reaches its border.
    """
    fine, blur = 4, max(0.6, 0.006 * size)
    margin = int(np.ceil(5.0 * blur)) + 2
    points = np.rint(ring * size * fine).astype(np.int32)
    low = np.clip(points.min(axis=0) // fine - margin, 0, size - 1)
    high = np.clip(points.max(axis=0) // fine + margin + 1, low + 1, size)
    width, height = high - low
    mask = np.zeros((height * fine, width * fine), np.float32)
    cv2.fillPoly(mask, [points - (low * fine).astype(np.int32)], (1.0,))
    small = cv2.resize(mask, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    filled = np.zeros((size, size), np.float32)
    filled[low[1] : high[1], low[0] : high[0]] = cv2.GaussianBlur(small, (0, 0), blur)
    return filled


def _height(ring: NDArray[np.float64]) -> float:
    """Mean gap between the upper and the lower edge of the inner ring, lips crossed: negative."""
    half = len(ring) // 2
    upper, lower = ring[1:half], ring[half + 1 :][::-1]
    return float((lower[:, 1] - upper[:, 1]).mean())
