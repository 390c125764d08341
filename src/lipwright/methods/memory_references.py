"""Which reference frame serves for a frame, where references are moved: by pose, not by mouth.

A reference from another pose of the head brings another chin and background into the drawn ellipse.
Poses are compared by the upper half of the face, which does not speak. Only references with
middling mouths are taken, few of them, and the first is kept unless another is clearly nearer: one
chosen frame by frame among all would bring the source's own mouth back, and its speech with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

MIDDLE = (0.3, 0.7)
"""Reference frames whose openings rank between these shares are middling."""
MOST = 4
"""So many reference frames serve at most."""
APART = 0.05
"""Reference frames nearer to each other than this (one minus cosine of poses) are one."""
CLEARLY = 0.6
"""Another reference serves when its distance is less than this share of the first one's."""


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


def choose_references(poses: Array, openings: Sequence[float]) -> list[int]:
    """Indices of the reference frames that serve, that with the median opening first.

    Args:
        poses: (R, D) of :func:`pose_of`, R >= 1.
        openings: (R,) of the mouth.
    """
    order = np.argsort(openings, kind="stable")
    ranks = np.arange(len(order)) / max(1, len(order) - 1)
    middling = [int(i) for i, r in zip(order, ranks, strict=True) if MIDDLE[0] <= r <= MIDDLE[1]]
    chosen = [median_reference(openings)]
    while len(chosen) < MOST:  # the one that is farthest from those there are
        away = (1.0 - poses[middling] @ poses[chosen].T).min(axis=1) if middling else poses[:0, 0]
        if not len(away) or float(away.max()) < APART:
            break
        chosen.append(middling[int(away.argmax())])
    return chosen


def nearest_reference(faces: Array, poses: Array) -> NDArray[np.int64]:
    """(B,) which of (K, D) references serves for each of (B, 3, S, S) faces."""
    away = 1.0 - pose_of(faces) @ poses.T
    best = away.argmin(axis=1)
    clearly = away[np.arange(len(away)), best] < CLEARLY * away[:, 0]
    return np.where(clearly, best, 0)
