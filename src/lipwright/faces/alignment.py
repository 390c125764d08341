"""The crop that a network sees: upright, eyes in a fixed place, still while the mouth moves.

The crop is a similarity transform, fitted by least squares to landmarks that speech does not move
(eye corners, bridge of the nose): Umeyama, "Least-Squares Estimation of Transformation Parameters
Between Two Point Patterns" (PAMI 1991), equations 38 to 43, without reflection. Rotation and place
are fitted in the picture plane. The scale is the ratio of the point sets' extents in space, depth
included: in the plane a head that turns gets narrower, and the crop would zoom in on it.

A transform is a 2x3 matrix from the unit square (0, 0) .. (1, 1) of the crop to display pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lipwright.geometry import along_across

Affine = NDArray[np.float64]

STABLE_POINTS = (33, 133, 362, 263, 168, 6, 197, 195)
# High eyes and a large face give the mouth more cells of the code grid. The lips come to lie near
# 0.64 and the chin near 0.90, which leaves room for a dropped jaw; the blanked lower half of the
# pose path begins just above the base of the nose.
EYE_LINE = 0.26  # height of the eyes in the crop
EYE_DISTANCE = 0.48  # between the outer eye corners

SPREAD_468 = 1.037  # the 468-point network sets these points so much wider than the 478-point one
JUMP = 0.2  # a step by more than this part of the crop's side is no motion of a head
NOISE = 0.001  # what landmark noise moves the crop by, as part of its side

# Mean shape of frontal faces in units of the distance between the outer eye corners, origin midway
# between them, y down, z away from the viewer; made symmetric.
_SHAPE = np.array(
    [
        [-0.500, 0.000, 0.000],
        [-0.192, 0.018, -0.060],
        [0.192, 0.018, -0.060],
        [0.500, 0.000, 0.000],
        [0.000, -0.050, -0.250],
        [0.000, 0.040, -0.300],
        [0.000, 0.120, -0.360],
        [0.000, 0.190, -0.420],
    ]
)
TEMPLATE: NDArray[np.float64] = _SHAPE * EYE_DISTANCE + np.array([0.5, EYE_LINE, 0.0])
"""(8, 3) where the stable points lie in the unit square; z in the same unit."""


def estimate(landmarks: NDArray[np.floating]) -> Affine:
    """The crop of one face.

    Args:
        landmarks: (478 or 468, 2 or 3) display pixels. Without a third column the scale is
            fitted in the plane as well.

    Returns:
        2x3 similarity from the unit square to display pixels.

    Raises:
        ValueError: the stable points coincide or are not finite.
    """
    points = np.asarray(landmarks, np.float64)[list(STABLE_POINTS)]
    if len(landmarks) == 468:
        middle = points.mean(axis=0)
        points = middle + (points - middle) / SPREAD_468
    return fit_similarity(TEMPLATE[:, : points.shape[1]], points)


def fit_similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> Affine:
    """Similarity that takes ``source`` to ``target`` with the least squared error.

    Args:
        source: (N, 2 or 3).
        target: the same shape. A third column enters the scale only.

    Returns:
        2x3: rotation times scale, and translation.

    Raises:
        ValueError: a point set has no extent or is not finite.
    """
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - from_mean, target - to_mean
    extent_a, extent_b = float((a**2).sum()), float((b**2).sum())
    if not (np.isfinite(extent_b) and np.isfinite(extent_a)) or min(extent_a, extent_b) <= 1e-12:
        raise ValueError("points without extent have no similarity transform")
    # In the plane the singular value decomposition of the covariance has a closed form: the angle
    # that maximises the correlation is the argument of sum(conj(a) b) as complex numbers.
    along, across = (float(v) for v in along_across(a[:, :2], b[:, :2]))
    length = float(np.hypot(along, across))
    if length <= 1e-12 * np.sqrt(extent_a * extent_b):
        raise ValueError("points without common direction have no similarity transform")
    # In the plane equation 42, trace(DS) / variance; in space the ratio of the extents.
    scale = length / extent_a if source.shape[1] == 2 else float(np.sqrt(extent_b / extent_a))
    linear = scale / length * np.array([[along, -across], [across, along]])
    return np.column_stack([linear, to_mean[:2] - linear @ from_mean[:2]])


def parameters(transforms: Sequence[Affine]) -> NDArray[np.float64]:
    """(T, 4) log scale, angle in radians without jumps, x and y of the crop's centre."""
    stack = np.asarray(transforms, np.float64).reshape(-1, 2, 3)
    centre = stack[:, :, :2] @ np.array([0.5, 0.5]) + stack[:, :, 2]
    angle = np.arctan2(stack[:, 1, 0], stack[:, 0, 0])
    scale = np.hypot(stack[:, 0, 0], stack[:, 1, 0])
    return np.column_stack([np.log(scale), np.unwrap(angle), centre])


def from_parameters(values: NDArray[np.float64]) -> list[Affine]:
    """The inverse of :func:`parameters`."""
    scale = np.exp(values[:, 0])
    c, s = np.cos(values[:, 1]) * scale, np.sin(values[:, 1]) * scale
    linear = np.stack([np.stack([c, -s], axis=1), np.stack([s, c], axis=1)], axis=1)
    offset = values[:, 2:] - linear @ np.array([0.5, 0.5])
    return list(np.concatenate([linear, offset[:, :, None]], axis=2))


def smooth(transforms: Sequence[Affine], radius: int = 2, adaptive: bool = True) -> list[Affine]:
    """Hold the crops of consecutive frames of one shot still.

    Size, angle and place of the centre are averaged over a centred window. Near the ends the window
    shrinks on both sides alike, so that a steady motion is not delayed; a jump (a cut that went
    unnoticed) ends it.

    A plain mean makes a crop that lags behind quick nods. With ``adaptive`` it counts only as far
    as it agrees with a much narrower mean to within about a thousandth of the crop's side, that is,
    as far as what it removes can be noise of the landmarks.

    Args:
        transforms: T similarities, one per frame, without gaps (see :func:`fill_gaps`).
        radius: frames on either side; 2 gives a mean of five, 0 changes nothing.
        adaptive: False for the plain moving mean.
    """
    if not len(transforms):
        return []
    values = parameters(transforms)
    # Units in which size, angle and place move the crop's border by alike.
    side = np.exp(values[:, :1])
    steps = np.abs(np.diff(values, axis=0)) * _weights(side[1:])
    borders = np.flatnonzero(steps.max(axis=1, initial=0.0) > JUMP) + 1
    pieces = []
    for piece in np.split(values, borders):
        wide = _moving_mean(piece, radius)
        if adaptive and radius > 0:
            narrow = _narrow_mean(piece)
            off = (((wide - narrow) * _weights(np.exp(narrow[:, :1]))) ** 2).sum(axis=1)
            trust = _narrow_mean((off / (off + NOISE**2))[:, None])
            wide = trust * narrow + (1.0 - trust) * wide
        pieces.append(wide)
    return from_parameters(np.concatenate(pieces))


def _weights(side: NDArray[np.float64]) -> NDArray[np.float64]:
    half = np.full_like(side, 0.5)
    return np.concatenate([half, half, 1.0 / side, 1.0 / side], axis=1)


def _moving_mean(values: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """Mean over a window of (T, K) that shrinks on both sides alike towards the ends."""
    count = len(values)
    index = np.arange(count)
    reach = np.minimum(np.minimum(index, count - 1 - index), radius)
    first = values[:1]  # small numbers keep the running sum exact
    total = np.concatenate([np.zeros_like(first), np.cumsum(values - first, axis=0)])
    mean = (total[index + reach + 1] - total[index - reach]) / (2 * reach + 1)[:, None]
    return np.asarray(mean + first)


def _narrow_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights 1, 4, 1 over three frames; the first and the last stay as they are."""
    result = values.copy()
    result[1:-1] = (values[:-2] + 4.0 * values[1:-1] + values[2:]) / 6.0
    return result


def fill_gaps(transforms: Sequence[Affine | None], longest: int = 25) -> list[Affine | None]:
    """Bridge short gaps between two known crops of one shot by interpolation.

    Args:
        transforms: one per frame, None where the face was not found.
        longest: gaps of more frames stay, as do gaps at either end.
    """
    filled = list(transforms)
    known = [i for i, t in enumerate(filled) if t is not None]
    for before, after in pairwise(known):
        missing = after - before - 1
        first, last = filled[before], filled[after]
        if not 0 < missing <= longest or first is None or last is None:
            continue
        ends = parameters([first, last])
        share = np.arange(1, missing + 1)[:, None] / (missing + 1)
        filled[before + 1 : after] = from_parameters(ends[0] + share * (ends[1] - ends[0]))
    return filled


def to_pixels(transform: Affine, size: int) -> Affine:
    """The same crop from the pixels of a ``size`` x ``size`` picture to display pixels.

    Pixel centres are at whole numbers on both sides, as OpenCV's warps expect it; the unit square
    spans from the outer edge of the first pixel to the outer edge of the last.
    """
    linear = transform[:, :2] / size
    offset = transform[:, 2] + linear @ np.array([0.5, 0.5])
    return np.column_stack([linear, offset])


def part(transform: Affine, box: tuple[float, float, float, float]) -> Affine:
    """The unit square of a box (left, top, right, bottom, parts of the crop) to display pixels."""
    left, top, right, bottom = box
    linear = transform[:, :2] @ np.diag([right - left, bottom - top])
    return np.column_stack([linear, transform[:, :2] @ np.array([left, top]) + transform[:, 2]])


def invert(transform: Affine) -> Affine:
    """The inverse of an affine transform, 2x3."""
    linear = np.linalg.inv(transform[:, :2])
    return np.column_stack([linear, -linear @ transform[:, 2]])


def apply(transform: Affine, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Transform points (..., 2); further columns are dropped."""
    xy = np.asarray(points, np.float64)[..., :2]
    return np.asarray(xy @ transform[:, :2].T + transform[:, 2])
