"""What shows between lips that part: an area, and the dark of a mouth.

A picture of closed lips has no inside of the mouth. A method that moves them apart by geometry
would draw there what lay on them: skin.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.faces.points68 import INNER_LOWER, INNER_UPPER

Array = NDArray[np.float32]

DARK = 0.22
"""The dark of a mouth, as a share of the colour of its lips."""
TINT = np.array([1.0, 0.55, 0.55], np.float32)
"""Of the dark by channel, RGB: it is reddish."""
LEAST_GAP = 0.004
"""Lips that part by less than this share of the crop show nothing new."""
LEAST_NEW = 0.015
"""The same for a whole mouth that landmarks move: in silence they leave lips apart by about so
much, and a dark slit there would be an open mouth. Chosen on three clips of held-out people."""


def filled(ring: NDArray[np.floating], size: int) -> Array:
    """(size, size) in [0, 1]: the inside of a contour (P, 2) in parts of the side, softly edged.

    It is drawn in a box about the contour only, wide enough that nothing reaches its border, with
    four times the pixels each way, and blurred by 0.6 % of the side or 0.6 pixels.
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
    inside = np.zeros((size, size), np.float32)
    inside[low[1] : high[1], low[0] : high[0]] = cv2.GaussianBlur(small, (0, 0), blur)
    return inside


def dark_of(picture: Array, ring: NDArray[np.floating]) -> Array:
    """(3,) the dark of a mouth whose outer lips are at ``ring`` (P, 2), in parts of the side.

    The picture is (S, S, 3) in [0, 1].
    """
    size = len(picture)
    at = np.clip(np.rint(ring * size - 0.5).astype(int), 0, size - 1)
    return np.asarray(DARK * TINT * picture[at[:, 1], at[:, 0]].mean(axis=0), np.float32)


def newly_open(here: NDArray[np.floating], there: NDArray[np.floating], size: int) -> Array:
    """(size, size) in [0, 1]: where inner lips that moved apart show what was hidden.

    Teeth hang from the upper lip, so that what was seen between the lips stays right below it, and
    what is new lies between that and the lower lip.

    Args:
        here: (68, 2) landmarks of the picture that is moved, in parts of the side.
        there: where they are moved to.
        size: side of the map.
    """
    upper, lower = list(INNER_UPPER), list(INNER_LOWER)
    seen = np.maximum(here[lower, 1] - here[upper, 1], 0.0)
    gap = np.maximum(there[lower, 1] - there[upper, 1], 0.0)
    new = gap - seen
    share = float(np.clip((new[1:4].mean() - LEAST_NEW) / LEAST_NEW, 0.0, 1.0))
    if share == 0.0:
        return np.zeros((size, size), np.float32)
    top = np.array(there[upper], np.float64)
    top[:, 1] += np.minimum(seen, gap)
    return share * filled(np.concatenate([top, there[lower[-2:0:-1]]]), size)
