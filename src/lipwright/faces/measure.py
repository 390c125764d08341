"""Numbers read off landmarks, all free of scale, place and in-plane rotation of the face.

Every function takes one face (P, 2 or 3) or a sequence (..., P, 2 or 3), P = 478 or 468, in any
unit, and returns arrays of the leading shape (a float for one face).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.faces.alignment import STABLE_POINTS, TEMPLATE
from lipwright.geometry import similarity, transform

INNER_LIPS = (
    *(78, 191, 80, 81, 82, 13, 312, 311, 310, 415),  # upper edge, picture left to right
    *(308, 324, 318, 402, 317, 14, 87, 178, 88, 95),  # lower edge, back again
)
OUTER_LIPS = (
    *(61, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
)
LIP_POINTS = INNER_LIPS + OUTER_LIPS

FOREHEAD, CHIN = 10, 152
_NOSE_TIP, _CHEEK_RIGHT, _CHEEK_LEFT = 1, 234, 454

Points = NDArray[np.floating]
Measure = Any  # float for one face, NDArray[np.float64] for several


def _distance(points: Points, first: int, second: int, axes: int = 2) -> NDArray[np.float64]:
    step = points[..., first, :axes].astype(np.float64) - points[..., second, :axes]
    return np.asarray(np.linalg.norm(step, axis=-1))


def mouth_opening(landmarks: Points) -> Measure:
    """Gap between the inner lips over the height of the face (forehead to chin), about 0 to 0.2."""
    gap = _distance(landmarks, 13, 14)
    return _plain(gap / np.maximum(_distance(landmarks, FOREHEAD, CHIN), 1e-9))


def face_height(landmarks: Points) -> Measure:
    """Forehead to chin, in the unit of the landmarks."""
    return _plain(_distance(landmarks, FOREHEAD, CHIN))


def lip_shape(landmarks: Points) -> NDArray[np.float64]:
    """Lip contours in the coordinates of the aligned crop.

    Returns:
        (..., 40, 2): the points of :data:`LIP_POINTS` (inner ring, then outer) after the similarity
        that takes the stable points to the template, in parts of the crop's side.
    """
    points = np.asarray(landmarks, np.float64)
    stable = points[..., list(STABLE_POINTS), :2]
    lips = points[..., list(LIP_POINTS), :2]
    return np.asarray(transform(similarity(stable, TEMPLATE[:, :2]), lips))


def yaw(landmarks: Points) -> Measure:
    """How far the head is turned, degrees; positive towards the right of the picture.

    With depth (third column) from the slant of the line between the outer eye corners; without it
    from the place of the nose tip between the cheeks.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape[-1] >= 3:
        step = points[..., 263, :3] - points[..., 33, :3]
        across = np.hypot(step[..., 0], step[..., 1])
        return _plain(np.degrees(np.arctan2(step[..., 2], across)))
    right = _distance(points, _NOSE_TIP, _CHEEK_RIGHT)
    left = _distance(points, _NOSE_TIP, _CHEEK_LEFT)
    balance = (right - left) / np.maximum(right + left, 1e-9)
    return _plain(np.degrees(np.arcsin(np.clip(balance, -1.0, 1.0))))


def _plain(value: NDArray[np.float64]) -> Measure:
    return float(value) if np.ndim(value) == 0 else value
