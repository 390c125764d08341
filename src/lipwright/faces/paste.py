"""Where a drawn face goes into the picture: soft masks in crop pixels.

The lower-face mask covers the lips, the chin, the jaw and the lower cheeks, so that a jaw that
drops takes its surroundings along (a mask of the lips alone leaves the old chin in place). It keeps
inside the outline of the face at the sides, fades out over the nose, and reaches below the chin, as
the spoken mouth may open wider than the source's. Masks are zero along the border of the crop.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.faces.alignment import apply, invert
from lipwright.faces.measure import CHIN, FOREHEAD, OUTER_LIPS
from lipwright.geometry import smoothstep

Float32 = NDArray[np.float32]

JAW = (  # outline of the face from ear to ear by way of the chin
    *(93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    *(377, 400, 378, 379, 365, 397, 288, 361, 323),
)
CHEEKS = (50, 280)  # below the eyes, beside the nose
NOSE_TIP, NOSE_BRIDGE = 4, 195
OUTLINE_POINTS = (*JAW, FOREHEAD, NOSE_TIP, NOSE_BRIDGE, *CHEEKS, *OUTER_LIPS)
_JAW_END = len(JAW)
_LIPS_START = len(OUTLINE_POINTS) - len(OUTER_LIPS)
OPENING = 0.06
"""How far the chin may drop below where it is, as part of the face's height."""
FEATHER = 0.05
"""Standard deviation of the soft edge as part of the crop's side."""
_SUBPIXEL = 4  # fractional bits of polygon corners


def lower_face_mask(
    landmarks: NDArray[np.floating],
    crop_to_display: NDArray[np.float64],
    size: int,
) -> Float32:
    """Soft mask of the lower face.

    Args:
        landmarks: (P, >=2) in display pixels.
        crop_to_display: 2x3, from crop pixels to display pixels.
        size: side S of the crop in pixels.

    Returns:
        (S, S) float32 in [0, 1]; all zero if the face lies outside the crop.
    """
    outline = apply(invert(crop_to_display), landmarks[list(OUTLINE_POINTS)])
    return outline_mask(outline, size)


def outline_mask(points: NDArray[np.floating], size: int, *, opening: float = OPENING) -> Float32:
    """The mask of :func:`lower_face_mask`, from the few landmarks that shape it.

    Args:
        points: (K, 2) the landmarks :data:`OUTLINE_POINTS` in crop pixels.
        size: side S of the crop in pixels.
        opening: how far the chin may drop below where it is, as part of the face's height.
    """
    points = np.asarray(points, np.float64)
    jaw, middle = points[:_JAW_END], points[_LIPS_START:].mean(axis=0)
    forehead, nose_tip, bridge = points[_JAW_END : _JAW_END + 3]
    cheeks = points[_JAW_END + 3 : _LIPS_START]
    down = jaw[JAW.index(CHIN)] - forehead
    height = max(_norm(down), 1e-6)
    # The blur spreads the edge to both sides: the outline moves in by as much, towards the mouth.
    edge = FEATHER * size
    inward = middle - jaw
    length = np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-6)
    moved = jaw + inward * np.minimum(1.2 * edge / length, 0.5)
    # Points move down the more the nearer they are to the chin, for the jaw turns about the ears.
    along = np.clip(((moved - middle) @ down) / (0.15 * height**2), 0.0, 1.0)
    moved = moved + smoothstep(along)[:, None] * down * (opening + 1.2 * edge / height)
    nose = (2.0 * nose_tip + bridge) / 3.0
    return _soft_hull(np.concatenate([moved, cheeks, nose[None]]), size, edge)


def _soft_hull(corners: NDArray[np.float64], size: int, sigma: float) -> Float32:
    """Convex hull of points, blurred, and faded out along the border of the crop."""
    mask = np.zeros((size, size), np.float32)
    if np.isfinite(corners).all():
        # Far-away corners would overflow the drawing routine's integers; nothing is lost.
        near = np.clip(corners, -8.0 * size, 9.0 * size)
        fixed = np.round(near * (1 << _SUBPIXEL)).astype(np.int32)
        cv2.fillConvexPoly(mask, cv2.convexHull(fixed[:, None]), 1.0, cv2.LINE_8, _SUBPIXEL)
        if sigma > 0.3:
            # A chin that reaches over the border is faded out there, once, not by the blur as well.
            mask = cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        mask = mask * _fade(size)
    # What is left of the blur's tail below half a level of 8 bits is cut off.
    return np.asarray(np.clip((mask - 0.002) / 0.996, 0.0, 1.0), np.float32)


@lru_cache(maxsize=8)
def _fade(size: int) -> Float32:
    """One inside, smoothly zero towards the border."""
    distance = np.minimum(np.arange(size), np.arange(size)[::-1]) / max(1.0, 0.06 * size)
    ramp = smoothstep(np.clip(distance, 0.0, 1.0))
    return np.asarray(ramp[:, None] * ramp[None, :], np.float32)


def _norm(vector: NDArray[np.float64]) -> float:
    return float(np.hypot(vector[0], vector[1]))
