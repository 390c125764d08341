"""A small space for what lips do, the same for all people.

A mouth is described by what it does *beside its rest*: how much further the inner lips are apart,
and where the lip contours went, both measured against the same person's resting mouth and put
through principal components that were fitted on many people. Speech can tell this much; how
somebody's mouth looks at rest it cannot tell, and need not.

ATVGnet (Chen et al., CVPR 2019, section 3.1) predicts principal components of landmarks from speech
for the same reason. Here they join the two halves of the generator: see
:mod:`lipwright.models.gallery_generator` and :mod:`lipwright.models.speech_lips`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

REST_SHARE = 0.2
"""A mouth rests in the frames whose opening is among the lowest such share."""
BOUND = 5.0
"""Motions are clipped to so many standard deviations: a failed landmark must not shout."""

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


class LipSpace(nn.Module):
    """Opening and contours to ``dim`` numbers of unit variance, and what they are at rest: 0.

    Args:
        dim: length K of a motion: the opening, then K - 1 components.
        points: P lip points.
    """

    basis: Tensor
    scale: Tensor

    def __init__(self, dim: int = 8, points: int = 40) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("basis", torch.zeros(2 * points, dim - 1))
        self.register_buffer("scale", torch.ones(dim))

    def fit(self, opening: Array, shape: Array) -> None:
        """Fit to deviations from rest: (N,) openings and (N, P, 2) shapes of many people."""
        flat = _centred(np.asarray(shape, np.float64))
        values, vectors = np.linalg.eigh(flat.T @ flat / max(1, len(flat)))
        order = np.argsort(values)[::-1][: self.dim - 1]
        basis = vectors[:, order]
        # The sign of an eigenvector is chance; let it grow with the opening, so that fits agree.
        basis = basis * np.where(np.asarray(opening) @ (flat @ basis) < 0, -1, 1)
        spread = np.sqrt(np.concatenate([[np.mean(np.square(opening))], values[order]]))
        self.basis.copy_(torch.from_numpy(basis.copy()))
        self.scale.copy_(torch.from_numpy(np.maximum(spread, 1e-9)))

    def encode(self, opening: Array, shape: Array, rest: NeutralMouth) -> NDArray[np.float32]:
        """(N,) openings and (N, P, 2) shapes of one person -> (N, K) motions."""
        flat = _centred(np.asarray(shape, np.float64) - rest.shape)
        scores = flat @ self.basis.double().numpy()
        apart = np.asarray(opening, np.float64) - rest.opening
        motion = np.concatenate([apart[:, None], scores], axis=1) / self.scale.double().numpy()
        return np.asarray(motion.clip(-BOUND, BOUND), np.float32)

    def contours(self, motion: Array) -> NDArray[np.float64]:
        """(N, K) motions -> (N, P, 2): how far every lip point is from where it rests."""
        parts = np.asarray(motion, np.float64)[:, 1:] * self.scale.double().numpy()[1:]
        return np.asarray((parts @ self.basis.double().numpy().T).reshape(len(parts), -1, 2))


def compensate_dead_zone(lack: Array) -> NDArray[np.float64]:
    """What of a lack of motion (N, K) is worth a warp: shrunk towards 0, bounded."""
    lack = np.asarray(lack, np.float64)
    return np.asarray(np.sign(lack) * np.clip(np.abs(lack) - DEAD_ZONE, 0.0, MAX_MOTION))


def _centred(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, P, 2) -> (N, 2 P) about each shape's centre, which follows the head, not the lips."""
    centred = shape - shape.mean(axis=1, keepdims=True)
    return np.asarray(centred.reshape(len(shape), -1))
