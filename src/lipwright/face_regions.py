"""Where the parts of a face lie in the aligned crop: one place for all boxes and ellipses.

The alignment (:mod:`lipwright.faces.alignment`) puts the eyes and the mouth of every face at the
same place of a square crop, so a region is a constant: its edges in parts of the side, origin at
the upper left. Boxes are (left, top, right, bottom).

This module imports nothing of the package; arrays and tensors alike may be cut with its functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Picture = TypeVar("Picture", Tensor, NDArray[np.float32], NDArray[np.uint8])
else:
    Picture = TypeVar("Picture")

Box = tuple[float, float, float, float]
Ellipse = tuple[float, float, float, float]
"""Centre (x, y) and half axes (across, down), in parts of the side."""

MOUTH_BOX: Box = (0.24, 0.50, 0.76, 0.94)
"""Lips, teeth and chin; the mouth's centre lies near 0.64 of the height. Losses weigh it and
metrics measure in it."""

HIDDEN_MOUTH_BOX: Box = (0.22, 0.50, 0.78, 0.94)
"""What is blanked in a reference frame of which only the identity may be seen; a little wider than
:data:`MOUTH_BOX`. Checkpoints of the memory method were trained with these numbers."""

MOUTH_PICTURE_BOX: Box = (0.18, 0.50, 0.82, 1.0)
"""What a picture of a mouth shows people: the lower half without its outer edges."""

DRAWN_BOX: Box = (0.1875, 0.46875, 0.8125, 1.0)
"""What is decoded of a speaking face: all that moves with speech. Of nose and cheeks, as far as the
mask and the comparison of light need them, the pictures of the reference frames are mixed."""

MOUTH_WINDOW: Box = (0.2, 0.4, 0.8, 1.0)
"""The square that stage 2 sees: what a drawn mouth may change, with the nose above it."""

LOWER_FACE: Ellipse = (0.50, 0.70, 0.36, 0.32)
"""Lips, cheeks and chin."""

MOUTH_ELLIPSE: Ellipse = (0.50, 0.71, 0.28, 0.205)
"""The part of a drawn crop that replaces the mouth of the frame."""

CODE_CELLS = 16
"""Cells along a side of a code grid."""

BLACK = -1.0
"""The value of a blanked pixel where pictures lie in [-1, 1]."""


def pixel_box(box: Box, size: int) -> tuple[int, int, int, int]:
    """A box in whole pixels (or cells) of a crop of side ``size``."""
    left, top, right, bottom = (round(v * size) for v in box)
    return left, top, right, bottom


def cut_box(picture: Picture, box: Box) -> Picture:
    """The part of (..., S, S) inside a box."""
    left, top, right, bottom = pixel_box(box, picture.shape[-1])
    return picture[..., top:bottom, left:right]


def lower_half(picture: Picture) -> Picture:
    """(..., S, W) -> (..., S - S // 2, W)."""
    return picture[..., picture.shape[-2] // 2 :, :]


def blank_lower_half(faces: Tensor, value: float = BLACK) -> Tensor:
    """(..., S, W) -> the same with rows S // 2 and below set to ``value``.

    This is all that hides the mouth from a network that is told the pose of a frame; training and
    inference call the same function (Gupta et al., WACV 2023, figure 3).
    """
    from torch.nn import functional as F

    half = faces.shape[-2] // 2
    return F.pad(faces[..., :half, :], (0, 0, 0, faces.shape[-2] - half), value=value)
