"""Whether something new has come near a face: a cheap question before a dear search.

Two small pictures of the surroundings of a face are compared, one of when nothing was found there
and one of now. The face may have moved meanwhile, or stayed while the picture moved with it; so a
place has changed only if it differs both from what was there in the picture and from what was
there beside the face. A head that moves before a wall has not changed much, a hand that comes has.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.faces.landmarks import Region, sample_patch

SIDE = 48
"""Pixels across the surroundings; a finger is two or three wide."""
WIDER = 2
"""What is kept reaches so many times as far, for the face may move."""
LEVELS = 16
"""A place that differs by more grey levels has changed ..."""
PART, SHARE = 7, 0.35
"""... and the surroundings have if so much of a square of so many pixels has: at a finger, but
not at the edge of a head that turns."""


@dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes:
        place: the surroundings of the face, in display pixels.
        grey: (WIDER * SIDE, WIDER * SIDE) uint8 about them.
    """

    place: Region
    grey: NDArray[np.uint8]


def look(image: NDArray[np.uint8], scale: float, place: Region) -> Look:
    """Keep what is seen of some surroundings.

    Args:
        image: (H, W, 3) uint8 RGB, the frame or a thumbnail of it.
        scale: display pixels per pixel of ``image``.
        place: an upright square in display pixels.
    """
    wide, side = Region(place.centre, WIDER * place.side, 0.0), WIDER * SIDE
    matrix = wide.to_display(side)
    matrix[:, 2] += 0.5
    matrix /= scale
    matrix[:, 2] -= 0.5
    patch = sample_patch(image, matrix, (side, side))
    return Look(place, np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), np.uint8))


def changed(before: Look, now: Look) -> float:
    """The largest share of a square of ``PART`` pixels that has changed, in [0, 1]."""
    middle = (WIDER * SIDE - 1) / 2
    pixel = WIDER * before.place.side / (WIDER * SIDE)
    ratio = now.place.side / before.place.side
    moved = (np.array(now.place.centre) - np.array(before.place.centre)) / pixel
    shift = middle - ratio * (SIDE - 1) / 2 + moved
    stayed = np.array([[ratio, 0.0, shift[0]], [0.0, ratio, shift[1]]])
    there = cv2.warpAffine(
        before.grey,
        stayed,
        (SIDE, SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    part = slice((WIDER - 1) * SIDE // 2, (WIDER + 1) * SIDE // 2)
    here, beside = now.grey[part, part], before.grey[part, part]
    least = np.minimum(cv2.absdiff(here, there), cv2.absdiff(here, beside))
    return float(cv2.blur((least > LEVELS).astype(np.float32), (PART, PART)).max())
