"""Which reference frames give a frame its detail, without looking at other frames.

A choice that depends on the frame before it would differ when a job is resumed in the middle, and
one that jumps would boil. Here two references share a frame, by how much nearer each is than the
third: the shares move continuously with the lips and with the pose, and one that enters or leaves
does so at 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LIP_SPREAD = 0.006
"""Distance of lip points, in parts of the crop, that counts as 1 ..."""
POSE_SPREAD = 0.02
"""... and of the outline of the face."""
LEAST_SHARE = 0.01
"""A reference with less is left out."""

Array = NDArray[np.floating]


def distances(lips: Array, outline: Array, of_lips: Array, of_outline: Array) -> Array:
    """(R,) how far references are from a frame, root of the sum of squares.

    Args:
        lips: (P, 2) wanted contours.
        outline: (K, 2) of the face in the frame.
        of_lips: (R, P, 2) contours of the references.
        of_outline: (R, K, 2).
    """
    apart = np.square(of_lips - lips).sum(axis=2).mean(axis=1) / LIP_SPREAD**2
    held = np.square(of_outline - outline).sum(axis=2).mean(axis=1) / POSE_SPREAD**2
    return np.asarray(np.sqrt(apart + held))


def shares(distance: Array) -> list[tuple[int, float]]:
    """Up to two references and how much each counts, sum 1, nearest first."""
    order = np.argsort(distance, kind="stable")
    if len(order) < 3:
        return [(int(order[0]), 1.0)]
    first, second, third = (float(distance[i]) for i in order[:3])
    # Squares favour the nearer one: of two mixed textures less is left than of one.
    near, far = (third - first) ** 2, (third - second) ** 2
    if near <= 0.0:
        return [(int(order[0]), 1.0)]
    share = near / (near + far)
    if share > 1.0 - LEAST_SHARE:
        return [(int(order[0]), 1.0)]
    return [(int(order[0]), share), (int(order[1]), 1.0 - share)]
