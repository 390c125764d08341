"""Which reference frames serve for a frame, where references are moved: by pose and by speech.

A reference from another pose of the head brings another chin and background into the drawn ellipse,
so the nearest pose serves; poses are compared by the upper half of the face, which does not speak.
Of a pose there are three references, by their openings (``opening_levels``).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.methods.opening_levels import by_level

Array = NDArray[np.float32]

MOST = 4
"""So many poses serve at most."""
APART = 0.05
"""Reference frames nearer to each other than this (one minus cosine of poses) are one."""
CLEARLY = 0.6
"""Another pose serves when its distance is less than this share of the first one's."""


def pose_of(faces: Array) -> Array:
    """(B, 3, S, S) in [-1, 1] -> (B, 128) unit vectors of the upper halves, coarse and grey."""
    grey = faces[:, :, : faces.shape[2] // 2].mean(axis=1)
    coarse = [cv2.resize(row, (16, 8), interpolation=cv2.INTER_AREA).ravel() for row in grey]
    vectors = np.stack(coarse) - np.mean(coarse, axis=1, keepdims=True)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-6), np.float32)


def median_reference(openings: Sequence[float]) -> int:
    """Index of the reference frame with the median opening."""
    return int(np.argsort(openings, kind="stable")[len(openings) // 2])


def choose_references(poses: Array, openings: Sequence[float]) -> NDArray[np.int64]:
    """The reference frames that serve.

    Args:
        poses: (R, D) of :func:`pose_of`, R >= 1.
        openings: (R,) of the mouth.

    Returns:
        (P, 3) indices: for every pose a mouth at rest, a middling and an open one, by rising
        opening. The pose of the median opening comes first.
    """
    low, middling, high = by_level(openings)
    chosen = [median_reference(openings)]
    while len(chosen) < MOST:  # the one that is farthest from those there are
        away = (1.0 - poses[middling] @ poses[chosen].T).min(axis=1) if middling else poses[:0, 0]
        if not len(away) or float(away.max()) < APART:
            break
        chosen.append(middling[int(away.argmax())])
    rows = [[_nearest(poses, low, i), i, _nearest(poses, high, i)] for i in chosen]
    return np.array(rows, np.int64)


def _nearest(poses: Array, among: list[int], to: int) -> int:
    """Which of some reference frames has the pose that is nearest to another's."""
    return among[int((poses[among] @ poses[to]).argmax())] if among else to


def nearest_pose(faces: Array, poses: Array) -> NDArray[np.int64]:
    """(B,) which of (P, D) poses serves for each of (B, 3, S, S) faces."""
    away = 1.0 - pose_of(faces) @ poses.T
    best = away.argmin(axis=1)
    clearly = away[np.arange(len(away)), best] < CLEARLY * away[:, 0]
    return np.where(clearly, best, 0)
