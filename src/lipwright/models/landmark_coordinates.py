"""The landmark space: motion of the face without its identity and pose, in a few numbers.

Chen et al. (CVPR 2019), after the published code: a face's 68 points are brought to a mean shape by
a similarity transform (Procrustes), the identity is taken off, what is left is multiplied by 5 and
projected on the first K = 6 principal components,

    h = (5 m - c) U,        5 m = h U^T + c,        U: (136, K) orthonormal.

Here the transform is fitted to the points that speech does not move (nose, corners of the eyes), so
that an opening mouth does not shift the rest. The identity is the face's *neutral* shape: the mean
over a clip in training. A single picture has no mean; its coefficients are estimated by a linear
regression R on the shape, and its neutral shape is what remains when that motion is taken off:

    h' = (5 (s - mean)) R + b,        neutral = s - (h' U^T + c) / 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.geometry import inverse_similarity, similarity, transform

POINTS = 68
STABLE: tuple[int, ...] = (*range(27, 36), 36, 39, 42, 45)
"""Points of the 68 that speech does not move: the nose and the corners of the eyes."""

MIRROR: tuple[int, ...] = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)
"""Which point takes the place of each in a mirrored picture."""


class LandmarkCoordinates:
    """The arithmetic of the space, on the numbers of whoever inherits it: arrays or tensors.

    Attributes:
        components: K.
        scale: the factor 5 of the paper.
        mean: (68, 2).
        basis: U, (136, K).
        centre: c, (136,).
        regression: R, (136, K), and ``offset``: b, (K,).
    """

    components: int
    scale: float
    mean: Any
    basis: Any
    centre: Any
    regression: Any
    offset: Any

    def align(self, points: Any) -> tuple[Any, Any]:
        """Bring faces to the mean shape.

        Args:
            points: (..., 68, 2) in any unit.

        Returns:
            The shapes (..., 68, 2), free of place, size and turn in the plane, and the transforms
            (..., 2, 3) that made them.
        """
        index = list(STABLE)
        matrix = similarity(points[..., index, :], self.mean[index])
        return transform(matrix, points), matrix

    def encode(self, motion: Any) -> Any:
        """Motion (..., 68, 2), shape minus neutral shape, to coefficients (..., K)."""
        return (self.scale * _flat(motion) - self.centre) @ self.basis

    def decode(self, coefficients: Any) -> Any:
        """Coefficients (..., K) to motion (..., 68, 2)."""
        flat = (coefficients @ self.basis.T + self.centre) / self.scale
        return flat.reshape(*flat.shape[:-1], POINTS, 2)

    def estimate(self, shape: Any) -> Any:
        """Coefficients (..., K) of single aligned shapes (..., 68, 2) whose neutral is unknown."""
        return (self.scale * _flat(shape - self.mean)) @ self.regression + self.offset

    def neutral(self, shapes: Any) -> Any:
        """The neutral shape (68, 2) of one face from R >= 1 aligned frames of it (R, 68, 2)."""
        return (shapes - self.decode(self.estimate(shapes))).mean(0)

    def normalised(self, motion: Any) -> Any:
        """What VG-net sees: motion about the mean shape, (..., 68, 2) -> (..., 136)."""
        return self.scale * _flat(self.mean + motion)

    def place(self, motion: Any, neutral: Any, matrix: Any) -> Any:
        """Back into the picture, with the face's own identity and pose.

        Args:
            motion: (..., 68, 2).
            neutral: (68, 2) of this face.
            matrix: (..., 2, 3) from :meth:`align`.

        Returns:
            (..., 68, 2) in the unit of the points that were aligned.
        """
        return transform(inverse_similarity(matrix), neutral + motion)


@dataclass(frozen=True)
class LandmarkArrays(LandmarkCoordinates):
    """The space as arrays, for use without PyTorch."""

    components: int
    scale: float
    mean: NDArray[np.float32]
    basis: NDArray[np.float32]
    centre: NDArray[np.float32]
    regression: NDArray[np.float32]
    offset: NDArray[np.float32]


NUMBERS = ("mean", "basis", "centre", "regression", "offset")
"""Names of the arrays in it and in checkpoints."""


def _flat(points: Any) -> Any:
    """(..., 68, 2) -> (..., 136)."""
    return points.reshape(*points.shape[:-2], 2 * POINTS)
