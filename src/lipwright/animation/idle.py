"""Gentle idle motion of a still face: blinks and a slight sway of the head.

This is not from a paper and not learnt: the picture is warped. A still picture whose mouth alone
moves looks like a mask; eyes that close now and then and a head that is never quite at rest take
that away. Off by default.

The sway is a similarity transform about the head's centre whose weight fades out to the edge of
an ellipse, so that the background stands still. A blink draws the skin between brow and upper lid
down over the eye; what lies below the moving lid stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.geometry import smoothstep

Array = NDArray[np.float32]

EYES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
"""Mesh vertices of each eye's upper and lower lid, from left to right in the picture."""
FOREHEAD, CHIN = 10, 152
REACH = (0.62, 0.85)  # half axes of the ellipse that sways, in heights of the face
SWAY = 0.006  # amplitude of the shift, in heights of the face
TILT = 0.5  # degrees
BLINK_SECONDS = 0.30
DOWN, UP = 0.25, 0.5  # shares of a blink in which the lid moves down, and up again
BLINK_EVERY = (2.0, 5.0)  # seconds between two blinks, drawn evenly
LID_SKIN = 1.3  # how far the skin that follows the lid reaches up, in heights of the open eye
_BAND = 256  # rows that are moved at a time
LEAST_EYE = 0.06  # of its width: an eye that is open less is closed already


@dataclass(frozen=True)
class _Eye:
    """An eye in its own coordinates: u from corner to corner, v down, in px."""

    origin: NDArray[np.float64]
    along: NDArray[np.float64]
    width: float
    u: NDArray[np.float64]
    upper: NDArray[np.float64]
    lower: NDArray[np.float64]


def idle_frames(
    picture: NDArray[np.uint8],
    landmarks: NDArray[np.floating],
    seconds: float,
    rate: Fraction,
    seed: int = 0,
) -> Iterator[NDArray[np.uint8]]:
    """Frames of a picture in idle motion.

    Args:
        picture: (H, W, 3) RGB.
        landmarks: (468 or 478, >= 2) of the face, px.
        seconds: length, rounded up to whole frames.
        rate: frames per second.
        seed: of the times of the blinks and the phases of the sway.
    """
    points = np.asarray(landmarks[:, :2], np.float64)
    face = float(np.linalg.norm(points[CHIN] - points[FOREHEAD]))
    centre = (points[CHIN] + points[FOREHEAD]) / 2
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0.0, 2.0 * np.pi, 4)
    blinks = _blinks(seconds, rng)
    eyes = [_eye(points, upper, lower) for upper, lower in EYES]
    for index in range(int(np.ceil(seconds * float(rate)))):
        time = float(index / rate)
        turn, shift = _pose(time, phases, face)
        closed = _closed(time, blinks)
        made = np.empty_like(picture)
        for top in range(0, picture.shape[0], _BAND):
            made[top : top + _BAND] = _moved(picture, top, centre, face, turn, shift, eyes, closed)
        yield made


def _moved(
    picture: NDArray[np.uint8],
    top: int,
    centre: NDArray[np.float64],
    face: float,
    turn: np.float32,
    shift: Array,
    eyes: list[_Eye],
    closed: float,
) -> NDArray[np.uint8]:
    """A band of rows of the moved picture; the maps of a whole one would take gigabytes."""
    rows = min(_BAND, picture.shape[0] - top)
    y, x = np.mgrid[top : top + rows, 0 : picture.shape[1]].astype(np.float32)
    right, down = x - np.float32(centre[0]), y - np.float32(centre[1])
    distance = np.hypot(right / (REACH[0] * face), down / (REACH[1] * face))
    fade = np.clip(1.6 - distance, 0.0, 1.0)
    if not fade.any() and closed == 0.0:
        return picture[top : top + rows]
    weight = smoothstep(fade).astype(np.float32)
    from_x = x + weight * (turn * down - np.float32(shift[0]))
    from_y = y + weight * (-turn * right - np.float32(shift[1]))
    if closed > 0.0:
        for eye in eyes:
            _close(eye, closed, from_x, from_y)
    made = cv2.remap(picture, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(made, np.uint8)


def _pose(time: float, phases: NDArray[np.float64], face: float) -> tuple[np.float32, Array]:
    """Small turn in radians and shift in px; slow sines without a common period; 0 at time 0."""

    def wave(period: float, phase: float) -> float:
        return float(np.sin(2.0 * np.pi * time / period + phase) - np.sin(phase))

    turn = np.radians(TILT) * wave(5.3, phases[0])
    shift = SWAY * face * np.array([wave(4.1, phases[1]), 0.7 * wave(3.3, phases[2])])
    return np.float32(turn), shift.astype(np.float32)


def _blinks(seconds: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Times at which the eyes begin to close."""
    times = [rng.uniform(0.6, 2.0)]
    while times[-1] < seconds:
        times.append(times[-1] + rng.uniform(*BLINK_EVERY))
    return np.array(times)


def _closed(time: float, blinks: NDArray[np.float64]) -> float:
    """How far the lids are down, 0 to 1: quickly down, more slowly up again."""
    since = time - blinks
    part = since[(since >= 0) & (since < BLINK_SECONDS)] / BLINK_SECONDS
    if not part.size:
        return 0.0
    s = min(1.0, float(part[0]) / DOWN, (1.0 - float(part[0])) / UP)
    return float(smoothstep(s))


def _eye(points: NDArray[np.float64], upper: tuple[int, ...], lower: tuple[int, ...]) -> _Eye:
    start, end = points[upper[0]], points[upper[-1]]
    width = max(float(np.linalg.norm(end - start)), 1e-6)
    along = (end - start) / width
    across = np.array([-along[1], along[0]])
    u = np.linspace(0.0, width, 64)
    lids = []
    for ids in (upper, lower):
        local = points[list(ids)] - start
        lids.append(np.interp(u, local @ along, local @ across))
    return _Eye(start, along, width, u, lids[0], lids[1])


def _close(eye: _Eye, closed: float, from_x: Array, from_y: Array) -> None:
    """Bend a sampling map, in place, so that the upper lid comes down."""
    opening = eye.lower - eye.upper
    if float(opening.max()) < LEAST_EYE * eye.width:
        return
    across = np.array([-eye.along[1], eye.along[0]])
    u = (from_x - eye.origin[0]) * eye.along[0] + (from_y - eye.origin[1]) * eye.along[1]
    v = (from_x - eye.origin[0]) * across[0] + (from_y - eye.origin[1]) * across[1]
    inside = (u > 0.0) & (u < eye.width)
    upper, lower = (np.interp(u[inside], eye.u, lid) for lid in (eye.upper, eye.lower))
    top = upper - LID_SKIN * float(opening.max())
    lid = upper + closed * np.maximum(lower - upper, 0.0)
    old = v[inside]
    moved = (old > top) & (old < lid)
    new = np.where(moved, top + (old - top) * (upper - top) / np.maximum(lid - top, 1e-6), old)
    step = (new - old).astype(np.float32)
    from_x[inside] += step * np.float32(across[0])
    from_y[inside] += step * np.float32(across[1])
