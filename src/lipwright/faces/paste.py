"""Where a drawn face goes into the picture: soft masks in crop pixels, and the colour at the edge.

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
_SUBPIXEL = 4  # fractional bits of polygon corners

# BT.601 weights: any opponent space separates brightness from tint well enough for a seam.
_TO_OPPONENT = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
_FROM_OPPONENT = np.linalg.inv(_TO_OPPONENT).astype(np.float32)


def lower_face_mask(
    landmarks: NDArray[np.floating],
    crop_to_display: NDArray[np.float64],
    size: int,
    *,
    opening: float = OPENING,
    feather: float = 0.05,
) -> Float32:
    """Soft mask of the lower face.

    Args:
        landmarks: (P, >=2) in display pixels.
        crop_to_display: 2x3, from crop pixels to display pixels.
        size: side S of the crop in pixels.
        opening: how far the chin may drop below where it is, as part of the face's height.
        feather: standard deviation of the soft edge as part of S.

    Returns:
        (S, S) float32 in [0, 1]; all zero if the face lies outside the crop.
    """
    outline = apply(invert(crop_to_display), landmarks[list(OUTLINE_POINTS)])
    return outline_mask(outline, size, opening=opening, feather=feather)


def outline_mask(
    points: NDArray[np.floating], size: int, *, opening: float = OPENING, feather: float = 0.05
) -> Float32:
    """The mask of :func:`lower_face_mask`, from the few landmarks that shape it.

    Args:
        points: (K, 2) the landmarks :data:`OUTLINE_POINTS` in crop pixels.
        size: side S of the crop in pixels.
        opening: as there.
        feather: as there.
    """
    points = np.asarray(points, np.float64)
    jaw, middle = points[:_JAW_END], points[_LIPS_START:].mean(axis=0)
    forehead, nose_tip, bridge = points[_JAW_END : _JAW_END + 3]
    cheeks = points[_JAW_END + 3 : _LIPS_START]
    down = jaw[JAW.index(CHIN)] - forehead
    height = max(_norm(down), 1e-6)
    # The blur spreads the edge to both sides: the outline moves in by as much, towards the mouth.
    edge = feather * size
    inward = middle - jaw
    length = np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-6)
    moved = jaw + inward * np.minimum(1.2 * edge / length, 0.5)
    # Points move down the more the nearer they are to the chin, for the jaw turns about the ears.
    along = np.clip(((moved - middle) @ down) / (0.15 * height**2), 0.0, 1.0)
    along = along * along * (3.0 - 2.0 * along)
    moved = moved + along[:, None] * down * (opening + 1.2 * edge / height)
    nose = (2.0 * nose_tip + bridge) / 3.0
    return _soft_hull(np.concatenate([moved, cheeks, nose[None]]), size, edge)


def lips_mask(
    landmarks: NDArray[np.floating],
    crop_to_display: NDArray[np.float64],
    size: int,
    *,
    other: NDArray[np.floating] | None = None,
    margin: float = 0.07,
) -> Float32:
    """Soft mask of the lips only: the outer lip contour, widened and feathered alike.

    Args:
        landmarks: (P, >=2) in display pixels, of the source face.
        crop_to_display: 2x3, from crop pixels to display pixels.
        size: side S of the crop in pixels.
        other: landmarks of the drawn face in display pixels; the mask then covers both mouths,
            so that an open mouth of the source does not show around a closed drawn one.
        margin: widening, and standard deviation of the edge, as part of the mouth's width.

    Returns:
        (S, S) float32 in [0, 1].
    """
    to_crop = invert(crop_to_display)
    ring = apply(to_crop, landmarks)[list(OUTER_LIPS)]
    width = _norm(ring[0] - ring[len(ring) // 2])
    if other is not None:
        ring = np.concatenate([ring, apply(to_crop, other)[list(OUTER_LIPS)]])
    outward = ring - ring.mean(axis=0)
    length = np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    return _soft_hull(ring + outward / length * 2.0 * margin * width, size, margin * width)


def seam_ring(mask: Float32) -> Float32:
    """(S, S) float32 in [0, 1]: one where the mask is one half, zero where it is 0 or 1."""
    return np.asarray(4.0 * mask * (1.0 - mask), np.float32)


def colour_match(
    generated: Float32,
    source: Float32,
    ring: Float32,
    *,
    spread: bool = False,
    limit: float = 0.12,
) -> Float32:
    """Shift the colour of a drawn face so that it meets the source along the seam.

    Brightness and the two tints are matched in their mean over the ring, brightness on request in
    its standard deviation too.

    Args:
        generated: (S, S, 3) RGB in [0, 1].
        source: (S, S, 3) RGB in [0, 1], the same crop of the source.
        ring: (S, S) weights >= 0, for example :func:`seam_ring`.
        spread: also match the contrast, by a factor between 0.8 and 1.25.
        limit: no channel is shifted by more.

    Returns:
        (S, S, 3) float32 in [0, 1]; unchanged if the ring is empty.
    """
    total = float(ring.sum(dtype=np.float64))
    if total <= 1e-6:
        return np.asarray(generated, np.float32)
    drawn = generated @ _TO_OPPONENT.T
    real = source @ _TO_OPPONENT.T
    weight = (ring / total)[..., None].astype(np.float32)
    mean_drawn, mean_real = (drawn * weight).sum(axis=(0, 1)), (real * weight).sum(axis=(0, 1))
    shift = np.clip(mean_real - mean_drawn, -limit, limit)
    if spread:
        deviation = [
            float(np.sqrt((((x[..., 0] - m[0]) ** 2) * weight[..., 0]).sum()))
            for x, m in ((drawn, mean_drawn), (real, mean_real))
        ]
        gain = float(np.clip((deviation[1] + 1e-3) / (deviation[0] + 1e-3), 0.8, 1.25))
        drawn[..., 0] = mean_drawn[0] + gain * (drawn[..., 0] - mean_drawn[0])
    return np.asarray(np.clip((drawn + shift) @ _FROM_OPPONENT.T, 0.0, 1.0), np.float32)


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
    ramp = np.clip(distance, 0.0, 1.0)
    ramp = ramp * ramp * (3.0 - 2.0 * ramp)
    return np.asarray(ramp[:, None] * ramp[None, :], np.float32)


def _norm(vector: NDArray[np.float64]) -> float:
    return float(np.hypot(vector[0], vector[1]))
