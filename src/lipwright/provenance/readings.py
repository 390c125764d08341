"""What blocks say about their bits, heard in three ways.

``plain`` is the reading of the published scheme: on which side of the nearest boundary does the
block's singular value s lie? It presumes that s arrives as it was written. Scaling and strong
compression take away what is fine, so that only a part of each block's change arrives, and s stays
nearer to what it was before. But the neighbourhood still tells what that was, and with it which way
a 1 would have moved the block: the two targets around any value are ``STEP / 2`` apart, and the one
above is a 1 where the value lies between 9 and 27 of 36. So ``local`` takes the deviation of s from
its neighbourhood, with that sign, and adds a little of the plain reading of the neighbourhood.
``sharp`` does the same after sharpening the picture.

All three look at the file and never at an id or at the pilot, so what ``significance`` says holds
for each of them; trying several is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from lipwright.provenance.singular import SIDE, Array
from lipwright.provenance.watermark import STEP

Way = Literal["plain", "local", "sharp"]
Half = npt.NDArray[np.float32]

GREY = 128.0 * 2 * SIDE
"""Singular value of a block without colour."""
_NEAR = 0.7  # blocks: width of the neighbourhood, the block itself included
_PLAIN_PART = 0.3
_REACH = STEP / 2  # the embedder moves s no further
_SHARPER = 0.5
_FINE = 3.0  # samples of the marked picture


@dataclass(frozen=True)
class Reading:
    """One way to read, with a factor on the distance of s from grey.

    Attributes:
        gain: undoes a change of contrast or brightness.
        way: see above.
    """

    gain: float = 1.0
    way: Way = "plain"


PLAIN = (Reading(),)
WAYS = (Reading(), Reading(way="local"), Reading(way="sharp"))
GAINS = (1.0, 0.8, 0.85, 0.9, 0.95, 1.05, 1.1, 1.15, 1.2)
"""Changes of contrast that are tried at once."""
READINGS = (*(Reading(gain) for gain in GAINS), *WAYS[1:])
"""Everything that is tried where the grid is known to lie in place."""


def votes(strength: Array, reading: Reading, tint: float = 0.0) -> Array:
    """Votes of blocks: negative for 0, positive for 1, about -1 to 1.

    Args:
        strength: (R, C) singular values of the blocks.
        reading: how.
        tint: radians by which the votes are turned back.
    """
    value = (GREY + (strength - np.float32(GREY)) * np.float32(reading.gain)).astype(np.float32)
    turn = np.float32(2.0 * np.pi / STEP)
    if reading.way == "plain" or not value.size:
        result: Array = -np.sin(value * turn - np.float32(tint))
        return result
    before = np.asarray(cv2.GaussianBlur(value, (0, 0), _NEAR), np.float32)
    angle = before * turn - np.float32(tint)
    moved = np.clip(value - before, -_REACH, _REACH) / np.float32(STEP / 4)
    local: Array = -np.cos(angle) * moved - np.float32(_PLAIN_PART) * np.sin(angle)
    return local


def sharpened(half: Half, scale: float) -> Half:
    """A U plane with its fine detail raised.

    Args:
        half: (H, W) U in 0..255, averaged over 2x2 pixels.
        scale: pixels of the marked original per pixel of the file.
    """
    if not half.size:
        return half
    smooth = cv2.GaussianBlur(half, (0, 0), _FINE / max(1.0, scale))
    return np.asarray(half + np.float32(_SHARPER) * (half - smooth), np.float32)
