"""What lips do, as a few numbers that are the same for all people; without any network.

A mouth is described by what it does *beside its rest*: how much further the inner lips are apart,
and where the lip contours went, both measured against the same person's resting mouth and put
through principal components that were fitted on many people. This much follows from speech;
how somebody's mouth looks at rest does not, and need not.

ATVGnet (Chen et al., CVPR 2019, section 3.1) predicts principal components of landmarks from speech
for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REST_SHARE = 0.2
"""A mouth rests in the frames whose opening is among the lowest such share."""
BOUND = 5.0
"""Motions are clipped to so many standard deviations: a wrong landmark must not dominate."""

DEAD_ZONE = 0.6
"""Between a wanted motion and a drawn one so many standard deviations do not matter ..."""
MAX_MOTION = 1.5
"""... and more than this is not made up for."""

Array = NDArray[np.floating]


@dataclass(frozen=True)
class NeutralMouth:
    """A person's resting mouth.

    Attributes:
        opening: of the inner lips, in parts of the face's height.
        shape: (P, 2) lip contours in the aligned crop.
    """

    opening: float
    shape: Array

    @classmethod
    def of(cls, openings: Array, shapes: Array) -> NeutralMouth:
        """From (N,) openings and (N, P, 2) shapes of one person, N >= 1."""
        resting = openings <= np.quantile(openings, REST_SHARE)
        opening = float(np.median(openings[resting]))
        return cls(opening, np.asarray(shapes[resting], np.float64).mean(axis=0))


@dataclass(frozen=True)
class LipMotions:
    """Opening and contours to K numbers of unit variance, and back; at rest all are 0.

    Attributes:
        basis: (2 P, K - 1) principal components of the contours of P lip points.
        scale: (K,) standard deviations of the opening and of the components.
    """

    basis: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, opening: Array, shape: Array, dim: int) -> LipMotions:
        """Fit K = ``dim`` numbers to deviations from rest: (N,) openings and (N, P, 2) shapes of
        many people.
        """
        flat = _centred(np.asarray(shape, np.float64))
        values, vectors = np.linalg.eigh(flat.T @ flat / max(1, len(flat)))
        order = np.argsort(values)[::-1][: dim - 1]
        basis = vectors[:, order]
        # The sign of an eigenvector is chance; let it grow with the opening, so that fits agree.
        basis = basis * np.where(np.asarray(opening) @ (flat @ basis) < 0, -1, 1)
        spread = np.sqrt(np.concatenate([[np.mean(np.square(opening))], values[order]]))
        return cls(basis, np.maximum(spread, 1e-9))

    @property
    def dim(self) -> int:
        """K."""
        return len(self.scale)

    def encode(self, opening: Array, shape: Array, rest: NeutralMouth) -> NDArray[np.float32]:
        """(N,) openings and (N, P, 2) shapes of one person -> (N, K) motions."""
        scores = _centred(np.asarray(shape, np.float64) - rest.shape) @ self.basis
        apart = np.asarray(opening, np.float64) - rest.opening
        motion = np.concatenate([apart[:, None], scores], axis=1) / self.scale
        return np.asarray(motion.clip(-BOUND, BOUND), np.float32)

    def contours(self, motion: Array) -> NDArray[np.float64]:
        """(N, K) motions -> (N, P, 2): how far every lip point is from where it rests."""
        parts = np.asarray(motion, np.float64)[:, 1:] * self.scale[1:]
        return np.asarray((parts @ self.basis.T).reshape(len(parts), -1, 2))


def compensate_dead_zone(lack: Array) -> NDArray[np.float64]:
    """What of a lack of motion (N, K) is worth a warp: shrunk towards 0, bounded."""
    lack = np.asarray(lack, np.float64)
    return np.asarray(np.sign(lack) * np.clip(np.abs(lack) - DEAD_ZONE, 0.0, MAX_MOTION))


def _centred(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, P, 2) -> (N, 2 P) about each shape's centre, which follows the head, not the lips."""
    centred = shape - shape.mean(axis=1, keepdims=True)
    return np.asarray(centred.reshape(len(shape), -1))
