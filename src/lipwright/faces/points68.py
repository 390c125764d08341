"""The 68-point layout of face landmarks, read off our dense mesh.

The layout is that of the iBUG 300-W annotations (Sagonas et al., "300 Faces in-the-Wild Challenge",
ICCV workshops 2013), which dlib's predictor made common and in which Chen et al. (CVPR 2019) think:
the outline of the face from one ear by way of the chin to the other, brows, nose, eyes, lips,
always from the left of the picture to the right. The mesh of 468 or 478 points has a vertex close
to each of them; the map is fixed and symmetric. It was checked by eye on photographs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOUTH = slice(48, 68)
OUTER_LIPS = slice(48, 60)
INNER_UPPER, INNER_LOWER = (60, 61, 62, 63, 64), (60, 67, 66, 65, 64)
"""Edges of the inner lips from corner to corner; the third point of each is its middle."""

MESH_TO_68: tuple[int, ...] = (
    *(127, 234, 93, 58, 172, 136, 150, 176, 152),  # outline, left half with the chin
    *(400, 379, 365, 397, 288, 323, 454, 356),  # outline, right half
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),  # bridge of the nose, its base
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91),  # outer lips
    *(78, 81, 13, 311, 308, 402, 14, 178),  # inner lips
)
"""Vertex of the mesh for each of the 68 points."""


def points_68(mesh: NDArray[np.floating]) -> NDArray[np.float64]:
    """The 68 points of a mesh.

    Args:
        mesh: (..., 468 or 478, 2 or 3) landmarks in any unit.

    Returns:
        (..., 68, 2) in the same unit.

    Raises:
        ValueError: it is no such mesh.
    """
    if mesh.ndim < 2 or mesh.shape[-2] not in (468, 478) or mesh.shape[-1] < 2:
        raise ValueError(f"a mesh has (468 or 478, 2 or 3) numbers, not {mesh.shape}")
    return np.asarray(mesh[..., list(MESH_TO_68), :2], np.float64)


def opening_68(points: Any) -> Any:
    """The gap between the inner lips of (..., 68, 2) points, arrays or tensors, in their unit."""
    return points[..., INNER_LOWER[2], 1] - points[..., INNER_UPPER[2], 1]
