"""A face as it was found in one frame, and whether its mouth can be moved there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing import covering
from lipwright.dubbing.covering import outside_share
from lipwright.dubbing.hidden import Hidden, hidden_by, visible
from lipwright.dubbing.plan import OUTSIDE, SEEN, TOO_SMALL, TURNED_AWAY
from lipwright.faces import alignment, measure
from lipwright.faces.hands import Hand
from lipwright.faces.paste import OUTLINE_POINTS, outline_mask
from lipwright.faces.tracker import from_thumbnail

MIN_SIDE = 40.0
"""Crops of fewer display pixels hold no mouth worth drawing."""
TURNED_DEGREES, BACK_DEGREES = 60.0, 52.0
"""A head turned further than the first is a profile until it is back within the second."""
MOST_OUTSIDE = 0.5
"""Of the lower face: with less of it in the picture the landmarks place the lips wrongly, by a
whole lip where the chin is cut off."""


@dataclass
class Sighting:
    """A face in one frame, as found.

    Attributes:
        frame: source frame.
        crop: (2, 3) similarity from the unit square to display pixels.
        points: (K, 2) outline (``paste.OUTLINE_POINTS``) in display pixels.
        lips: (40, 2) lip contours, as ``faces.measure.lip_shape`` gives them.
        opening: of the mouth, as ``faces.measure.mouth_opening`` gives it.
        yaw: degrees.
        covered: how much of the lower face something else than a hand is held before.
        hidden: what hands hide of the face.
    """

    frame: int
    crop: alignment.Affine
    points: NDArray[np.float32]
    lips: NDArray[np.float32]
    opening: float
    yaw: float
    covered: float
    hidden: Hidden

    @property
    def side(self) -> float:
        """Of the crop, in display pixels."""
        return float(np.hypot(*self.crop[:, 0]))


def sighted(
    frame: int,
    landmarks: NDArray[np.float32],
    crop: alignment.Affine,
    hands: Sequence[Hand],
    image: NDArray[np.uint8],
    scale: float,
) -> Sighting:
    """What is measured of a face in one frame.

    Args:
        frame: source frame.
        landmarks: (478, 3) or (468, 3), in display pixels.
        crop: (2, 3) similarity from the unit square to display pixels.
        hands: of the frame.
        image: (h, w, 3) RGB, the reduced picture.
        scale: display pixels in a pixel of it.
    """
    points = np.asarray(landmarks[list(OUTLINE_POINTS), :2], np.float32)
    hidden = hidden_by(hands, crop, points)
    return Sighting(
        frame,
        crop,
        points,
        measure.lip_shape(landmarks).astype(np.float32),
        float(measure.mouth_opening(landmarks)),
        float(measure.yaw(landmarks)),
        covered_in(crop, landmarks, image, scale, hidden),
        hidden,
    )


def usability(seen: Sighting, turned: bool, size: tuple[int, int]) -> int:
    """Whether a face can be used.

    Args:
        seen: the face.
        turned: whether it was a profile just before.
        size: (width, height) of the picture in display pixels.

    Returns:
        SEEN, or the state that says why not.
    """
    if seen.side < MIN_SIDE:
        return TOO_SMALL
    if abs(seen.yaw) > (BACK_DEGREES if turned else TURNED_DEGREES):
        return TURNED_AWAY
    x, y = seen.points[-len(measure.OUTER_LIPS) :].mean(axis=0)  # the middle of the mouth
    width, height = size
    if not (0 <= x < width and 0 <= y < height):
        return OUTSIDE
    return OUTSIDE if outside_share(seen.crop, size) > MOST_OUTSIDE else SEEN


def covered_in(
    crop: alignment.Affine,
    landmarks: NDArray[np.float32],
    image: NDArray[np.uint8],
    scale: float,
    hidden: Hidden,
) -> float:
    """How much of a lower face something else than a hand is held before.

    See ``covering.covered_share``.
    """
    to_display = alignment.to_pixels(crop, covering.SIDE)
    small = from_thumbnail(image, scale, to_display, (covering.SIDE, covering.SIDE))
    points = alignment.apply(alignment.invert(to_display), landmarks[list(OUTLINE_POINTS), :2])
    mask = outline_mask(points, covering.SIDE, opening=0.0)
    height, width = (length * scale for length in image.shape[:2])
    mask *= covering.inside_mask(crop, (width, height))
    if hidden.packed:
        mask *= visible(hidden.packed, covering.SIDE)
    return covering.covered_share(small, mask)
