"""The votes of one frame: what its blocks say about the bits of the grid, heard in three ways.

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

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lipwright.provenance.watermark.alignment import Alignment, FloatBox, Way
from lipwright.provenance.watermark.chroma import Half
from lipwright.provenance.watermark.grid import CHIPS, chips
from lipwright.provenance.watermark.scheme import SIDE, STEP, Array, strengths

Sums = npt.NDArray[np.float64]

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


class PlacedFrame:
    """Votes of one frame on the grid, to be summed over any window."""

    def __init__(
        self, half: Half, alignment: Alignment, readings: Sequence[Reading] = PLAIN
    ) -> None:
        """Read the blocks of a U plane.

        Args:
            half: (H, W) U in 0..255, averaged over 2x2 pixels.
            alignment: where the grid lies.
            readings: ways to read, each on top of the alignment's own gain; where the alignment has
                a way of its own, that is taken.
        """
        self._alignment = alignment
        self._shape = (half.shape[0], half.shape[1])
        strength = strengths(alignment.place(half))
        every = []
        for reading in readings:
            way = reading.way if alignment.way == "plain" else alignment.way
            value = strength
            if way == "sharp":
                scale = (alignment.scale_x + alignment.scale_y) / 2
                value = strengths(alignment.place(sharpened(half, scale)))
            wanted = Reading(alignment.gain * reading.gain, way)
            every.append(votes(value, wanted, alignment.tint))
        self.votes: Array = np.stack(every)
        self._chips = chips(0, 0, *strength.shape)

    def whole(self) -> Sums:
        """(G + 1, 160) sums of votes over the picture; the last row counts the votes."""
        height, width = self._shape
        box = (0.0, 0.0, float(width), float(height))
        return self._sums(self._alignment.place_box(box, self._shape))

    def face(self, face: FloatBox) -> Sums:
        """The same around a face, given in 2-pixel samples of the file."""
        return self._sums(self._alignment.marked_window(face, self._shape))

    def _sums(self, window: FloatBox) -> Sums:
        """Over the blocks that lie inside a window wholly."""
        rows, columns = self._chips.shape
        x0, y0 = (max(0, int(np.ceil(v / SIDE - 1e-6))) for v in window[:2])
        x1 = min(columns, int(np.floor(window[2] / SIDE + 1e-6)))
        y1 = min(rows, int(np.floor(window[3] / SIDE + 1e-6)))
        if x0 >= x1 or y0 >= y1:
            return np.zeros((len(self.votes) + 1, CHIPS))
        index = self._chips[y0:y1, x0:x1].ravel()
        sums = [np.bincount(index, v[y0:y1, x0:x1].ravel(), CHIPS) for v in self.votes]
        return np.stack([*sums, np.bincount(index, minlength=CHIPS)])
