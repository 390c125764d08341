"""How surely two small pictures of a mouth show the same, place by place.

They are compared without their light: a drawn face is soft and another frame may be darker, but
the same lips have the same structure. Four things speak against it: brightness that differs by
more than the contrast of the place explains; narrow structures, as the seam of closed lips, that
do not lie on each other; highlights, as of wet lips, that are not in the first; and another colour
than the change of light of the whole picture explains.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.enhance.smoothing import in_blocks, smoothed
from lipwright.geometry import smoothstep

Array = NDArray[np.float32]

LIGHT_SIGMA = 10.0
"""What is coarser than this, in pixels of the pictures, is light."""
COMPARED = 1.5
"""Standard deviation of the neighbourhood in which two pictures are compared, in the same unit."""
AT_EDGES = 3.0
"""The same for what counts as the contrast of a place."""
NEAR, FAR = (0.01, 0.4), (0.03, 1.0)
"""Difference of brightness up to which two pictures agree, and from which they do not: so much
anywhere, and such a part of the contrast."""
SOFTER = (0.01, 1.5)
"""The drawn face is soft, so the contrast of the other picture counts, but no more of it than this
and so many times that of the drawn one: or the border of an open mouth, strong as it is, would
excuse itself beside lips that were drawn closed."""
LINE = 2.5
"""Structures narrower than this, in the same unit, have to lie on each other ..."""
ALONG = (0.4, 0.85)
"""... with a correlation of more than the first, and enough is the second ..."""
FAINT = 0.006
"""... where they stand out by more than this."""
HIGHLIGHT = (0.02, 2.0)
"""What is narrow and bright counts in full as long as it is no stronger than this and so many times
what is bright in the drawn face; beyond that it is the highlight of another moment. These and
:data:`SOFTER` were chosen by looking at people of the training set."""
CONTRAST = 0.5
"""The logarithm of the contrast of a reference is changed by no more than this."""
OTHER = (0.25, 0.5)
"""A place whose light, as a logarithm, differs from the first on beside that of the whole window
is another thing in another colour; from the second on surely."""


class LayeredPicture:
    """A small picture split into light, shape and lines, to be compared with others.

    Attributes:
        blocks: the light, (s, s): one number for every block of some pixels a side.
        shape: (S, S) what is finer than the light.
        lines: (S, S) what is narrow in it.
        strength: (S, S) how strong that is, its square in a neighbourhood.
    """

    def __init__(self, picture: Array) -> None:
        self.blocks = in_blocks(picture, LIGHT_SIGMA)
        self.shape = cv2.subtract(picture, _enlarged(self.blocks, len(picture)))
        self.lines = cv2.subtract(picture, smoothed(picture, LINE))
        self.strength = smoothed(cv2.multiply(self.lines, self.lines), LINE)

    @cached_property
    def contrast(self) -> Array:
        """(S, S) standard deviation of the shape in a neighbourhood."""
        return _contrast(self.shape)


def correspondence(drawn: LayeredPicture, picture: Array) -> tuple[Array, Array]:
    """How surely two small pictures show the same.

    Args:
        drawn: the first, of S pixels a side.
        picture: (S, S) brightness in [0, 1], the second.

    Returns:
        (S, S) in [0, 1]; and (S, S) the light of the first over that of the second, bounded.
    """
    side = len(picture)
    other = LayeredPicture(picture)
    ratio = np.log((drawn.blocks + np.float32(0.02)) / (other.blocks + np.float32(0.02)))
    gain = _enlarged(np.exp(np.clip(ratio, -CONTRAST, CONTRAST)), side)
    shown = cv2.multiply(gain, other.shape)
    # Squares: a line of teeth between lips is narrow, and must not pass as a small mean difference.
    off = cv2.subtract(drawn.shape, shown)
    off = np.sqrt(smoothed(cv2.multiply(off, off), COMPARED))
    # The drawn face is soft, so at edges it differs though it shows the same.
    edge = _contrast(shown)
    edge = np.minimum(edge, np.float32(SOFTER[0]) + np.float32(SOFTER[1]) * drawn.contrast)
    near = np.float32(NEAR[0]) + np.float32(NEAR[1]) * edge
    wide = np.float32(FAR[0] - NEAR[0]) + np.float32(FAR[1] - NEAR[1]) * edge
    alike = _falling((off - near) / wide) * _same_lines(drawn, other)
    alike *= _no_highlight(drawn.lines, cv2.multiply(gain, other.lines))
    # Light changes a face as a whole: the dark of an open mouth is another thing.
    apart = _enlarged(np.abs(ratio - np.median(ratio)), side) - np.float32(OTHER[0])
    alike *= _falling(apart / np.float32(OTHER[1] - OTHER[0]))
    return np.asarray(alike, np.float32), gain


def _same_lines(drawn: LayeredPicture, other: LayeredPicture) -> Array:
    """(S, S) in [0, 1]: low where narrow structures of two pictures do not lie on each other.

    The seam of closed lips is a line: beside its place, another one's would be a second seam.
    """
    aa, bb = drawn.strength, other.strength
    ab = smoothed(cv2.multiply(drawn.lines, other.lines), LINE)
    like = ab / np.sqrt(aa * bb + np.float32(1e-12))
    unlike = _falling((like - np.float32(ALONG[0])) / np.float32(ALONG[1] - ALONG[0]))
    strong = np.maximum(aa, bb)
    strong = strong / (strong + np.float32(FAINT**2))
    return np.asarray(1.0 - strong * unlike, np.float32)


def _no_highlight(drawn: Array, shown: Array) -> Array:
    """(S, S) in [0, 1]: low at what is narrow and bright in the second, and hardly in the first."""
    here = cv2.dilate(np.maximum(drawn, 0.0), _AROUND)  # it may lie a pixel aside
    most = np.float32(HIGHLIGHT[0]) + np.float32(HIGHLIGHT[1]) * here
    share = np.minimum(np.float32(1.0), most / np.maximum(shown, np.float32(HIGHLIGHT[0])))
    # Steep, and its flanks belong to it.
    return np.asarray(cv2.erode(np.square(np.square(share)), _AROUND), np.float32)


def _contrast(shape: Array) -> Array:
    return np.asarray(np.sqrt(smoothed(cv2.multiply(shape, shape), AT_EDGES)), np.float32)


def _falling(step: Array) -> Array:
    """Smoothly from 1 at 0 to 0 at 1."""
    return np.asarray(1.0 - smoothstep(np.clip(step, 0.0, 1.0)), np.float32)


def _enlarged(blocks: Array, side: int) -> Array:
    return np.asarray(cv2.resize(blocks, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


_AROUND = np.ones((3, 3), np.uint8)
