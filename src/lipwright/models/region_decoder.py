"""Decoding of a part of the picture: what lies under the mask, and not the rest.

The decoder of a VQGAN (:mod:`lipwright.models.vqgan`) doubles the side level by level. Before each
doubling the maps are cut to what the box needs, with a margin in which the missing surroundings may
be felt: a convolution at the border of a cut sees zeros there. How little that changes is measured
by ``benchmarks/region_decoder.py``.

Normalisations take the statistics of reference frames (:mod:`lipwright.models.known_norms`), as a
part has others than the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor
from torch.nn import functional as F

from lipwright.face_regions import Box
from lipwright.models.layers import Normalise, SpatialAttention, Upsample, through
from lipwright.models.vqgan import Decoder

MARGIN = 1
"""Cells about the box that are kept at every level but the finest ..."""
FINEST_MARGIN = 2
"""... and at that one."""
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Cut:
    """Rows and columns of a square grid, ``[top, bottom)`` and ``[left, right)``."""

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, by: int, side: int, even: bool = True) -> Cut:
        """So many cells larger where the grid goes on; with even edges, to be halved again."""
        low = (max(0, self.top - by), max(0, self.left - by))
        high = (min(side, self.bottom + by), min(side, self.right + by))
        top, left = (v - v % 2 * even for v in low)
        bottom, right = (v + v % 2 * even for v in high)
        return Cut(top, bottom, left, right)

    def halved(self) -> Cut:
        """The same on a grid of half the side."""
        return Cut(self.top // 2, self.bottom // 2, self.left // 2, self.right // 2)

    def within(self, other: Cut) -> Cut:
        """Counted from the corner of another."""
        down, across = other.top, other.left
        return Cut(self.top - down, self.bottom - down, self.left - across, self.right - across)

    def of(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, bottom - top, right - left)."""
        return maps[:, :, self.top : self.bottom, self.left : self.right]


def box_cells(box: Box, side: int) -> Cut:
    """The cells of a grid that a box touches."""
    left, top, right, bottom = (v * side for v in box)
    low = (math.floor(v + _ROUNDING) for v in (top, left))
    high = (math.ceil(v - _ROUNDING) for v in (bottom, right))
    (top_row, left_column), (bottom_row, right_column) = low, high
    return Cut(top_row, bottom_row, left_column, right_column)


class RegionDecoder:
    """Draws a box of the picture with the layers of a decoder; it has no weights of its own.

    Args:
        decoder: of a VQGAN.
        box: in parts of the side.
        cells: side of the code grid.
    """

    def __init__(self, decoder: Decoder, box: Box, cells: int) -> None:
        self._decoder = decoder
        levels = sum(isinstance(layer, Upsample) for layer in decoder.up)
        side = cells * 2**levels
        self._side = side * decoder.patch
        self.box = box_cells(box, self._side)  # what is returned, in pixels
        wanted = box_cells(box, side)
        needed = wanted.grown(FINEST_MARGIN, side)
        chain = [needed]
        for level in range(levels):
            side //= 2
            chain.append(chain[-1].halved().grown(MARGIN, side, even=level < levels - 1))
        if any(isinstance(layer, SpatialAttention) for layer in decoder.modules()):
            chain[-1] = Cut(0, cells, 0, cells)  # it looks everywhere, at the coarsest level
        chain.reverse()  # coarsest first
        self._first = chain[0]
        self._cuts = [b.halved().within(a) for a, b in pairwise(chain)]
        patch = decoder.patch
        finest = chain[-1]
        drawn = Cut(*(v * patch for v in (finest.top, finest.bottom, finest.left, finest.right)))
        self._last = self.box.within(drawn)

    def __call__(self, z: Tensor, normalise: Normalise) -> Tensor:
        """(B, z, h, w) -> (B, 3, ...) the pixels of ``self.box``; not clamped."""
        decoder = self._decoder
        x = through([decoder.stem], self._first.of(z), normalise)
        x = through(decoder.middle, x, normalise)
        cuts = iter(self._cuts)
        for layer in decoder.up:
            if isinstance(layer, Upsample):
                x = next(cuts).of(x)
            x = through([layer], x, normalise)
        return self._last.of(decoder.picture(x, normalise))

    def framed(self, drawn: Tensor, times: int = 1) -> Tensor:
        """The box laid into a picture of zeros.

        Args:
            drawn: (B, 3, h, w) the box, enlarged so many times.
            times: how often the picture is larger than the decoder's.
        """
        box, side = self.box, self._side * times
        edges = (box.left * times, side - box.right * times)
        return F.pad(drawn, (*edges, box.top * times, side - box.bottom * times))
