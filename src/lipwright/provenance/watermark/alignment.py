"""Where the grid of the mark lies in a file that may have been scaled, cropped or turned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from lipwright.provenance.watermark.chroma import Half
from lipwright.provenance.watermark.grid import TILE
from lipwright.provenance.watermark.marker import grown_span
from lipwright.provenance.watermark.scheme import SIDE

FloatBox = tuple[float, float, float, float]
Way = Literal["plain", "local", "sharp"]

PERIOD = TILE * SIDE
"""The grid repeats after so many samples of 2x2 pixels."""


@dataclass(frozen=True)
class Alignment:
    """How a file's picture is brought onto the grid: turned, mirrored, scaled, then shifted.

    Attributes:
        scale_x, scale_y: pixels of the marked original per pixel of the file.
        shift_x, shift_y: where the file's corner lies on the grid, in steps of 2 pixels.
        turns: quarter turns counter-clockwise, done first.
        mirrored: left and right exchanged, done second.
        gain: factor on the distance of U from grey, undoing a change of contrast or brightness.
        tint: radians by which the votes are turned back, undoing a shift of hue.
        way: how blocks are read, see :mod:`reading`.
        matrix: name of the colour matrix, empty for that which the file's tags or size suggest.
    """

    scale_x: float = 1.0
    scale_y: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    turns: int = 0
    mirrored: bool = False
    gain: float = 1.0
    tint: float = 0.0
    way: Way = "plain"
    matrix: str = ""

    def place(self, half: Half, interpolation: int = cv2.INTER_CUBIC) -> Half:
        """The file's U plane on the grid: row 0, column 0 begins a tile; edges are repeated."""
        half = turned(half, self.turns, self.mirrored)
        shift_x, shift_y = self.shift_x % PERIOD, self.shift_y % PERIOD
        if (self.scale_x, self.scale_y, shift_x, shift_y) == (1.0, 1.0, 0.0, 0.0):
            return half
        height, width = half.shape
        if min(self.scale_x, self.scale_y) < 0.75:  # shrinking: every sample must count
            size = (max(1, round(width * self.scale_x)), max(1, round(height * self.scale_y)))
            half = cv2.resize(half, size, interpolation=cv2.INTER_AREA)
            scale_x, scale_y = size[0] / width, size[1] / height
        else:
            scale_x, scale_y = 1.0, 1.0
        left_x, left_y = self.scale_x / scale_x, self.scale_y / scale_y
        out = (
            int(np.ceil(width * self.scale_x + shift_x)),
            int(np.ceil(height * self.scale_y + shift_y)),
        )
        # Edges scale with the factor, centres of samples lie half a sample further in.
        matrix = np.array(
            [
                [left_x, 0.0, shift_x + 0.5 * left_x - 0.5],
                [0.0, left_y, shift_y + 0.5 * left_y - 0.5],
            ]
        )
        return np.asarray(
            cv2.warpAffine(half, matrix, out, flags=interpolation, borderMode=cv2.BORDER_REPLICATE),
            np.float32,
        )

    def place_box(self, box: FloatBox, shape: tuple[int, int]) -> FloatBox:
        """A box x0, y0, x1, y1 of the file's 2-pixel samples, on the grid.

        Args:
            box: edges, so that the first sample spans 0 to 1.
            shape: of the file's U plane, before anything is done to it.
        """
        x0, y0, x1, y1 = box
        height, width = float(shape[0]), float(shape[1])
        for _ in range(self.turns % 4):
            x0, y0, x1, y1 = y0, width - x1, y1, width - x0
            height, width = width, height
        if self.mirrored:
            x0, x1 = width - x1, width - x0
        shift_x, shift_y = self.shift_x % PERIOD, self.shift_y % PERIOD
        return (
            x0 * self.scale_x + shift_x,
            y0 * self.scale_y + shift_y,
            x1 * self.scale_x + shift_x,
            y1 * self.scale_y + shift_y,
        )

    def marked_window(self, face: FloatBox, shape: tuple[int, int]) -> FloatBox:
        """The part of the grid, in samples, that the embedder marks around a face of the file."""
        whole = self.place_box((0.0, 0.0, float(shape[1]), float(shape[0])), shape)
        x0, y0, x1, y1 = self.place_box(face, shape)
        across = grown_span(2 * x0, 2 * x1, 2 * whole[0], 2 * whole[2])
        down = grown_span(2 * y0, 2 * y1, 2 * whole[1], 2 * whole[3])
        return across[0] / 2, down[0] / 2, across[1] / 2, down[1] / 2


def turned(plane: npt.NDArray[Any], turns: int, mirrored: bool) -> npt.NDArray[Any]:
    """Quarter turns counter-clockwise, then left and right exchanged."""
    plane = np.rot90(plane, turns)
    return np.ascontiguousarray(plane[:, ::-1] if mirrored else plane)
