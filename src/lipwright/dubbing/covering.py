"""What hides a mouth: something held before it, or the border of the picture.

A microphone, a cup or a sheet of paper has another colour than the face around the nose, whatever
the light: the colour is taken as two ratios of channels (red and blue over green), which brightness
does not change. The share of the lower face that is of another colour is compared with what is
usual for the person; where much is usual, as with some beards, nothing is said. A hand has the
colour of the face and is not seen by this; nor is anything in black and white.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 32
"""Side of the small crops that are looked at."""
OTHER_COLOUR = (0.12, 0.25)
"""Distance of the logarithms of the ratios from which on a colour is another one: more than half
of the skin's own distance from grey, within these bounds ..."""
HALF = 0.6
REDDER = 0.1
"""... unless it is redder than the skin by this: lips."""
DARK = 0.06
"""Added to all channels, in [0, 1]: the ratios of dark pixels are noise."""
COVERED = 0.15
"""A mouth of which so much more is covered than usual is left as it is."""
USUAL = 0.1
"""A face that usually has more of another colour than this (a beard, coloured light) is no face
whose colour tells anything."""
HIDDEN_REFERENCE = 0.1
"""A frame of which so much more is hidden than in the person's best is no reference."""

_Y, _X = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
_LOWER = (((_X - 0.5) / 0.24) ** 2 + ((_Y - 0.7) / 0.22) ** 2 < 1.0) & (_Y > 0.52)
_NOSE = (_Y > 0.32) & (_Y < 0.54) & (_X > 0.36) & (_X < 0.64)


def covered_share(crop: NDArray[np.uint8], mask: NDArray[np.floating]) -> float:
    """How much of the lower face has another colour than the nose.

    Args:
        crop: (SIDE, SIDE, 3) RGB.
        mask: (SIDE, SIDE) in [0, 1], where the lower face lies: beside it is background.

    Returns:
        In [0, 1]; 0 where the mask is almost empty.
    """
    where = _LOWER & (mask > 0.5)
    if where.sum() < 0.2 * _LOWER.sum():
        return 0.0
    red, green, blue = np.moveaxis(np.log(crop.astype(np.float32) / 255.0 + DARK), 2, 0)
    ratios = np.stack([red - green, blue - green], axis=2)
    skin = np.median(ratios[_NOSE], axis=0)
    off = ratios[where] - skin
    far = float(np.clip(HALF * np.hypot(*skin), *OTHER_COLOUR))
    other = (np.hypot(off[:, 0], off[:, 1]) > far) & (off[:, 0] < REDDER)
    return float(other.mean())


def is_covered(share: float, usual: float) -> bool:
    """Whether a mouth is covered.

    Args:
        share: what :func:`covered_share` gives for the frame.
        usual: its median over the frames of the person.
    """
    return usual <= USUAL and share > usual + COVERED


def inside_mask(crop: NDArray[np.float64], size: tuple[float, float]) -> NDArray[np.bool_]:
    """(SIDE, SIDE) which pixels of a small crop lie inside the picture; arguments as below."""
    x, y = (crop[i, 0] * _X + crop[i, 1] * _Y + crop[i, 2] for i in range(2))
    inside = (x >= 0) & (x <= size[0] - 1) & (y >= 0) & (y <= size[1] - 1)
    return np.asarray(inside, np.bool_)


def outside_share(crop: NDArray[np.float64], size: tuple[int, int]) -> float:
    """How much of the lower face lies outside the picture.

    Args:
        crop: (2, 3) similarity from the unit square to display pixels.
        size: (width, height) of the picture.
    """
    return float(1.0 - inside_mask(crop, size)[_LOWER].mean())
