"""Painted hands: a palm and up to five fingers, with the skin of a face.

A finger is two capsules with a joint between them, shaded as a cylinder; skin is a piece of the
forehead or a cheek of the same face or of another one, or its colour with some grain. No hand is
drawn well, but they differ as hands do: number and spread of fingers, side, size, light.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.face_regions import Box, cut_box

Picture = NDArray[np.uint8]
Array = NDArray[np.float32]
Point = NDArray[np.float64]

SKIN: tuple[Box, ...] = (
    (0.30, 0.08, 0.70, 0.24),
    (0.20, 0.46, 0.36, 0.64),
    (0.64, 0.46, 0.80, 0.64),
)
"""Forehead and cheeks of an aligned crop."""
GRID = 2
"""Shapes are made on a grid so many times coarser than the picture, for speed."""


def hand(face: Picture, other: Picture, rng: np.random.Generator) -> tuple[Array, Array]:
    """A hand that comes from some side, mostly from below.

    Args:
        face: (S, S, 3) RGB, the aligned crop that it will be before.
        other: (T, T, 3) RGB, that of somebody else.
        rng: decides everything.

    Returns:
        Cover (S, S), 0 or 1, and colours (S, S, 3) in levels of 255.
    """
    size = len(face)
    donor = face if rng.random() < 0.6 else other
    skin = _skin(donor, size, rng)
    if donor is not face and rng.random() < 0.6:  # under the same light
        skin *= _tone(face) / np.maximum(_tone(donor), 1.0)
    skin *= np.float32(rng.uniform(0.75, 1.25))
    shape = _Shape(size, float(rng.uniform(0.15, 0.45)), float(rng.uniform(-0.2, 0.2)))
    turn = float(rng.normal(0, 0.7)) if rng.random() < 0.8 else float(rng.uniform(-np.pi, np.pi))
    along, across = _way(turn), _way(turn + np.pi / 2)  # from the wrist to the tips
    width = float(rng.uniform(0.05, 0.1)) * size  # of a finger
    long = float(rng.uniform(3.0, 6.5)) * width
    spread = float(rng.uniform(-0.1, 0.25))
    count = int(rng.integers(1, 6))
    tip = np.array([rng.uniform(0.3, 0.7), rng.uniform(0.5, 0.9)]) * size
    for place in rng.permutation(count):
        side = place - (count - 1) / 2
        shorter = abs(side) * float(rng.uniform(0.1, 0.6)) + float(rng.uniform(0, 0.4))
        end = tip + width * (across * side * float(rng.uniform(0.95, 1.15)) - along * shorter)
        lean = turn + side * spread + float(rng.normal(0, 0.05))
        _finger(shape, end, lean, long, width * float(rng.uniform(0.85, 1.1)), rng)
    if rng.random() < 0.75:  # the palm or the back of the hand
        middle = tip - along * (long * 1.15 + width * max(1.5, count / 2) * 0.9)
        half = width * max(1.6, count * 0.55)
        shape.add_palm(middle, along, across, half, float(rng.uniform(1.0, 1.4)))
        if rng.random() < 0.7:  # and the arm
            shape.add_capsule(middle, middle - along * size, half * 0.75, half * 0.75)
    cover, shade = shape.finished()
    return cover, skin * shade[:, :, None]


def _finger(
    shape: _Shape, end: Point, lean: float, long: float, thick: float, rng: np.random.Generator
) -> None:
    way, back = _way(lean), _way(lean + float(rng.normal(0, 0.35)))
    joint = end - way * long * 0.4
    shape.add_capsule(end, joint, thick * 0.44, thick * 0.5)
    shape.add_capsule(joint, joint - back * long * 0.8, thick * 0.5, thick * 0.55)
    if rng.random() < 0.5:  # a crease at the joint
        beside = _way(lean + np.pi / 2) * thick / 2
        shape.line(joint - beside, joint + beside, 1.3, -float(rng.uniform(0.05, 0.2)))
    if rng.random() < 0.4:  # a nail
        middle = end - way * thick * 0.1
        lighter = float(rng.uniform(0.05, 0.25))
        shape.line(middle, middle - way * thick * 0.25, 0.2 * thick, lighter)


class _Shape:
    """Parts of a hand, one before the other, on the coarse grid.

    Args:
        size: of the picture.
        round_: how much darker a part is at its edge than in its middle.
        light: how much lighter one side is.
    """

    def __init__(self, size: int, round_: float, light: float) -> None:
        self._size, self._round, self._light = size, np.float32(round_), np.float32(light)
        count = -(-size // GRID)
        self._y, self._x = np.mgrid[:count, :count].astype(np.float32) * GRID + (GRID - 1) / 2
        self._depth = np.full((count, count), -1e3, np.float32)
        self._shade = np.ones((count, count), np.float32)

    def add_capsule(self, a: Point, b: Point, radius_a: float, radius_b: float) -> None:
        """A rounded stick from ``a`` to ``b``."""
        distance, share, side = self._to_segment(a, b)
        radius = radius_a + np.float32(radius_b - radius_a) * share
        off = np.minimum(distance / radius, 1)
        self._add(radius - distance, 1 - self._round * off**2 + self._light * off * side)

    def add_palm(
        self, middle: Point, along: Point, across: Point, half: float, longer: float
    ) -> None:
        """A square with round corners, ``half`` as wide and ``longer`` times as long."""
        dx, dy = self._x - np.float32(middle[0]), self._y - np.float32(middle[1])
        u = (dx * np.float32(across[0]) + dy * np.float32(across[1])) / np.float32(half)
        v = (dx * np.float32(along[0]) + dy * np.float32(along[1])) / np.float32(half * longer)
        distance = np.sqrt(np.sqrt(u**4 + v**4))
        off = np.minimum(distance, 1)
        shade = 1 - self._round * off**4 / 2 + self._light * u / 2
        self._add((1 - distance) * np.float32(half), shade)

    def line(self, a: Point, b: Point, width: float, lighter: float) -> None:
        """Something lighter or darker on what is there already."""
        distance, _, _ = self._to_segment(a, b)
        self._shade += np.float32(lighter) * np.exp(-((distance / np.float32(width)) ** 2))

    def finished(self) -> tuple[Array, Array]:
        """Cover (S, S), 0 or 1, and the share of the light (S, S)."""
        side = (self._size, self._size)
        depth, shade = (cv2.resize(each, side) for each in (self._depth, self._shade))
        return (depth > 0).astype(np.float32), np.asarray(shade, np.float32)

    def _add(self, depth: Array, shade: Array) -> None:
        self._shade = np.where(depth > self._depth, shade, self._shade)
        self._depth = np.maximum(depth, self._depth)

    def _to_segment(self, a: Point, b: Point) -> tuple[Array, Array, Array]:
        """Distance from a segment, how far along it (0 to 1), and on which side (-1 or 1)."""
        dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
        from_x, from_y = self._x - np.float32(a[0]), self._y - np.float32(a[1])
        square = np.float32(max(float(dx * dx + dy * dy), 1e-6))
        share = np.clip((from_x * dx + from_y * dy) / square, 0, 1)
        distance = np.hypot(from_x - share * dx, from_y - share * dy)
        return distance, share, np.sign(from_x * dy - from_y * dx)


def _way(angle: float) -> Point:
    """Unit vector, 0 upwards, clockwise."""
    return np.array([np.sin(angle), -np.cos(angle)])


def _tone(face: Picture) -> Array:
    """(3,) median colour of the cheeks."""
    parts = [_cut(face, box).reshape(-1, 3) for box in SKIN[1:]]
    return np.asarray(np.median(np.concatenate(parts), axis=0), np.float32)


def _cut(picture: Picture, box: Box) -> Picture:
    return cut_box(picture.transpose(2, 0, 1), box).transpose(1, 2, 0)


def _skin(face: Picture, size: int, rng: np.random.Generator) -> Array:
    """(S, S, 3): a piece of the skin of a face, turned; or its colour and some grain."""
    if rng.random() < 0.3:
        grain = rng.standard_normal((size, size), np.float32) * np.float32(rng.uniform(1, 5))
        grain = cv2.GaussianBlur(grain, (0, 0), float(rng.uniform(0.5, 1.5)))
        return np.asarray(_tone(face) + grain[:, :, None], np.float32)
    piece = np.rot90(_cut(face, SKIN[int(rng.integers(len(SKIN)))]), int(rng.integers(4)))
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    # Mirrored copies beside each other, so that pores keep about their size.
    tile = np.concatenate([piece, piece[:, ::-1]], axis=1)
    tile = np.concatenate([tile, tile[::-1]], axis=0)
    scale = float(rng.uniform(1.5, 4.0))
    tile = cv2.resize(np.ascontiguousarray(tile), None, fx=scale, fy=scale)
    again = [-(-size // length) for length in tile.shape[:2]]
    return np.asarray(np.tile(tile, (*again, 1))[:size, :size], np.float32)
