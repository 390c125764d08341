"""Where the small mouth window lies in a picture, and what is decided there laid into the picture.

Mouths are aligned and compared in a window of ``SIDE`` pixels; what comes of it, places and
weights, is smooth. So it is brought to the picture in two steps: sampled on a grid nearly as coarse
as the window, turned and scaled as the face is, and then enlarged by a whole factor, which is
cheap. The pixels of the picture are worked on in bands of a few rows, only where something counts:
a band stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.enhance.smoothing import block_side, enlarged, in_blocks
from lipwright.face_regions import MOUTH_WINDOW
from lipwright.faces import alignment
from lipwright.media.bands import bands, touched
from lipwright.media.warping import scale_of

SIDE = 160
"""Pixels a side of the small mouth window."""
SOME = 2, 8
"""Energies are summed in every so many-th column and row: along rows memory is read in order."""
LEAST = 1.0 / 512.0
"""A weight below this changes no pixel that could be seen: high bands are a tenth at most."""

Array = NDArray[np.float32]

INSIDE: Array = np.pad(np.ones((SIDE - 6, SIDE - 6), np.float32), 3)
"""1 inside the small window and 0 along its border, so wide that no point of a coarser grid that
counts has a neighbour beyond the window."""


@dataclass(frozen=True)
class Moved:
    """A high band that comes into the picture from elsewhere.

    Attributes:
        band: (h, w) any height and width.
        x, y: (SIDE, SIDE) which pixel of ``band`` belongs to each place of the small window.
        weight: (SIDE, SIDE) what it is multiplied by, 0 along the border (``INSIDE``).
        cubic: interpolation; else linear.
    """

    band: Array
    x: Array
    y: Array
    weight: Array
    cubic: bool = False

    def weighted(self, by: Array) -> Moved:
        """The same with its weight multiplied."""
        return replace(self, weight=np.asarray(cv2.multiply(self.weight, by), np.float32))

    def on(self, grid: _Grid) -> Moved:
        """The same with the planes on a grid."""
        x, y, weight = (grid.coarse(plane) for plane in (self.x, self.y, self.weight))
        return replace(self, x=x, y=y, weight=weight)

    def at(self, x: Array, y: Array) -> Array:
        """The band at these pixels of it, whatever their weight."""
        how = cv2.INTER_CUBIC if self.cubic else cv2.INTER_LINEAR
        band = cv2.remap(self.band, x, y, how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(band, np.float32)


@dataclass(frozen=True)
class Low:
    """A picture without its high band.

    Attributes:
        blocks: one number for each of its blocks.
        block: pixels a side of a block.
    """

    blocks: Array
    block: int

    def high(
        self, part: Array, rows: slice, columns: slice, corner: tuple[int, int] = (0, 0)
    ) -> Array:
        """The high band in rows and columns of a part of the picture that begins at (y, x)."""
        down, across = (
            slice(some.start + begin, some.stop + begin)
            for some, begin in zip((rows, columns), corner, strict=True)
        )
        low = enlarged(self.blocks, self.block, down, across)
        return np.asarray(part[rows, columns] - low, np.float32)

    def whole(self, picture: Array) -> Array:
        """The high band of all of the picture."""
        return np.concatenate(
            [self.high(picture, rows, slice(0, picture.shape[1])) for rows in bands(len(picture))]
        )


class Place:
    """The small mouth window in a picture.

    Args:
        to_picture: (2, 3) from the unit square of the aligned crop to pixels of the picture.
        shape: (H, W) of the picture.

    Attributes:
        scale: pixels of the picture per pixel of the small window.
        matrix: (2, 3) from pixels of the small window to pixels of the picture.
    """

    def __init__(self, to_picture: NDArray[np.float64], shape: tuple[int, ...]) -> None:
        self.matrix = alignment.to_pixels(alignment.part(to_picture, MOUTH_WINDOW), SIDE)
        self.scale = scale_of(self.matrix)
        self._height, self._width = shape[:2]

    def low(self, grey: Array, sigma: float) -> tuple[Low, Array]:
        """(H, W) -> what is left of it without its high band; and the same as a small window."""
        low = Low(in_blocks(grey, sigma), block_side(sigma))
        matrix = (self.matrix + np.array([[0, 0, 0.5]] * 2)) / low.block
        matrix[:, 2] -= 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        small = cv2.warpAffine(
            low.blocks, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return low, np.asarray(small, np.float32)

    def in_picture(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Places in the small window -> in the picture, x and y."""
        found = (cv2.addWeighted(x, row[0], y, row[1], row[2]) for row in self.matrix)
        across, down = found
        return np.asarray(across, np.float32), np.asarray(down, np.float32)

    def some(self, plane: Array) -> Array:
        """A plane of the small window at every ``SOME``-th pixel of the picture, 0 beyond it."""
        size = -(-self._width // SOME[0]), -(-self._height // SOME[1])
        return _warped(plane, self.matrix / np.array(SOME)[:, None], size)

    def energy(self, moved: Moved, weight: Array) -> float:
        """Energy of a moved high band, by a weight as :meth:`some` gives it, in those pixels."""
        x, y, own = (self.some(plane) for plane in (moved.x, moved.y, moved.weight))
        band = moved.at(x, y)
        band *= own
        return float(np.vdot(weight, band * band))

    def added(
        self, picture: Array, low: Low, less: Array, moved: Sequence[Moved], shown: Array | None
    ) -> Array:
        """A picture with moved high bands in it.

        Args:
            picture: (H, W).
            low: what it is without its own high band.
            less: (SIDE, SIDE) in [0, 1], how much of that is taken away.
            moved: what is added.
            shown: (H, W), where it is 0 nobody looks, and the picture may stay as it is; or None.

        Returns:
            (H, W) in [0, 1].
        """
        result = picture.copy()
        down, across = slice(0, self._height), slice(0, self._width)
        if shown is not None:
            down, across = touched(shown, 1), touched(shown)
            shown = shown[down, across]
        part = result[down, across]
        grid = _Grid(self, (across.start, down.start), part.shape)
        taken = grid.coarse(less)
        terms = [each.on(grid) for each in moved]
        for rows in bands(len(part), grid.step):
            band = part[rows]
            some = slice(0, part.shape[1]) if shown is None else touched(shown[rows])
            columns = grid.columns(taken, rows, some)
            if columns.start < columns.stop:
                own = low.high(part, rows, columns, (down.start, across.start))
                band[:, columns] -= own * grid.fine(taken, rows, columns)
            for each in terms:
                columns = grid.columns(each.weight, rows, some)
                if columns.start < columns.stop:
                    x, y, share = (
                        grid.fine(plane, rows, columns) for plane in (each.x, each.y, each.weight)
                    )
                    band[:, columns] += each.at(x, y) * share
            np.clip(band, 0.0, 1.0, out=band)
        return result


class _Grid:
    """A grid that is coarser than a rectangle of the picture by a whole factor."""

    def __init__(self, place: Place, corner: tuple[int, int], shape: tuple[int, ...]) -> None:
        self.step = step = max(1, int(place.scale))  # no coarser than the window itself
        self._height, self._width = shape
        # One more point on each side, between which the first and the last pixels lie.
        self._size = -(-self._width // step) + 2, -(-self._height // step) + 2
        self._matrix = place.matrix / step
        self._matrix[:, 2] += 1.0 - (np.array(corner) + (step - 1) / 2) / step

    def coarse(self, plane: Array) -> Array:
        """A plane of the small window at the points of the grid, 0 beyond it."""
        return _warped(plane, self._matrix, self._size)

    def columns(self, weight: Array, rows: slice, within: slice) -> slice:
        """Columns of the rectangle, of some, between which a plane of weights counts in a band."""
        counts = np.flatnonzero(self._rows(weight, rows).max(axis=0) > LEAST)
        if not counts.size:
            return slice(0, 0)
        # A point of the grid counts for the pixels between its neighbours.
        first = max(0, int(counts[0]) - 2, within.start // self.step)
        last = min(self._width, within.stop, (int(counts[-1]) + 1) * self.step)
        return slice(first * self.step, max(first * self.step, last))

    def fine(self, plane: Array, rows: slice, columns: slice) -> Array:
        """A part of a plane of the grid in pixels."""
        step = self.step
        part = self._rows(plane, rows)[:, columns.start // step : -(-columns.stop // step) + 2]
        if step > 1:
            size = (part.shape[1] * step, part.shape[0] * step)
            part = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        return np.asarray(part[step : step + height, step : step + width], np.float32)

    def _rows(self, plane: Array, rows: slice) -> Array:
        return plane[rows.start // self.step : -(-rows.stop // self.step) + 2]


def _warped(plane: Array, matrix: NDArray[np.float64], size: tuple[int, int]) -> Array:
    # Repeated borders would cost three times as much, and what lies there counts nothing.
    return np.asarray(cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_LINEAR), np.float32)
