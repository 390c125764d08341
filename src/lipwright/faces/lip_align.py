"""A mouth window whose lips are brought onto other ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.face_regions import MOUTH_WINDOW
from lipwright.faces.lip_field import lip_field
from lipwright.media.flow import move

CORNER, EXTENT = np.array(MOUTH_WINDOW[:2]), MOUTH_WINDOW[2] - MOUTH_WINDOW[0]


def align_window(
    picture: NDArray[np.uint8], lips: NDArray[np.floating], wanted: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Move the lips of a window.

    Args:
        picture: (S, S, 3) of ``face_regions.MOUTH_WINDOW``.
        lips: (40, 2) its contours in parts of the aligned crop.
        wanted: (40, 2) where they are to lie.

    Returns:
        (S, S, 3).
    """
    to, by = (np.asarray(wanted, np.float64) - CORNER) / EXTENT, np.asarray(lips, np.float64)
    flow = lip_field(to, (by - CORNER) / EXTENT - to, len(picture), EXTENT)
    return move(picture, flow)
