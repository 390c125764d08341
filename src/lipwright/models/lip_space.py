"""The space of lip motions as part of a network's weights.

The arithmetic is that of :class:`lipwright.lip_motion.LipMotions`. The space joins the two halves
of the generator: see :mod:`lipwright.models.gallery_generator` and
:mod:`lipwright.models.speech_lips`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipwright.lip_motion import Array, LipMotions, NeutralMouth


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

    @property
    def motions(self) -> LipMotions:
        """The same in NumPy."""
        return LipMotions(self.basis.double().numpy(), self.scale.double().numpy())

    def fit(self, opening: Array, shape: Array) -> None:
        """See :meth:`LipMotions.fit`."""
        found = LipMotions.fit(opening, shape, self.dim)
        self.basis.copy_(torch.from_numpy(found.basis.copy()))
        self.scale.copy_(torch.from_numpy(found.scale.copy()))

    def encode(self, opening: Array, shape: Array, rest: NeutralMouth) -> NDArray[np.float32]:
        """See :meth:`LipMotions.encode`."""
        return self.motions.encode(opening, shape, rest)

    def contours(self, motion: Array) -> NDArray[np.float64]:
        """See :meth:`LipMotions.contours`."""
        return self.motions.contours(motion)
