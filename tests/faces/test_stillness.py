"""Whether something new has come near a face."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.faces.landmarks import Region
from lipwright.faces.stillness import LEVELS, PART, SHARE, changed, look

SIDE = 200.0
rng = np.random.default_rng(0)
WALL = np.kron(rng.integers(60, 200, (30, 40, 3)), np.ones((20, 20, 1))).astype(np.uint8)
"""600 x 800: squares of 20 pixels."""


def place(x: float, y: float, side: float = SIDE) -> Region:
    return Region((x, y), side, 0.0)


def test_a_picture_that_stays_or_moves_has_not_changed() -> None:
    before = look(WALL, 1.0, place(400, 300))
    assert changed(before, before) == 0
    # The face is followed with the picture, or wanders over it.
    moved = np.roll(WALL, (10, 20), axis=(0, 1))
    assert changed(before, look(moved, 1.0, place(420, 310))) < SHARE
    assert changed(before, look(WALL, 1.0, place(425, 310))) < SHARE
    # Neither holds of another picture.
    assert changed(before, look(WALL[::-1].copy(), 1.0, place(425, 310))) > 0.2


def test_a_face_that_moves_before_a_wall_has_not_changed_much() -> None:
    head = rng.integers(0, 255, (80, 80, 3)).astype(np.uint8)
    head = np.kron(head[::8, ::8], np.ones((8, 8, 1))).astype(np.uint8)

    def seen(x: int) -> np.ndarray:
        picture = WALL.copy()
        picture[260:340, x - 40 : x + 40] = head
        return picture

    before = look(seen(400), 1.0, place(400, 300))
    # What the head uncovers is new: strips that are narrow beside a finger.
    assert changed(before, look(seen(404), 1.0, place(404, 300))) < SHARE


def test_a_finger_is_a_change_and_a_thread_is_none() -> None:
    before = look(WALL, 1.0, place(400, 300))

    def with_stick(width: int) -> float:
        came = WALL.copy()
        came[300:350, 400 : 400 + width] = 0
        return changed(before, look(came, 1.0, place(400, 300)))

    pixel = SIDE / 48
    assert with_stick(4) == pytest.approx(4 / pixel / PART, abs=0.15)
    assert with_stick(4) < SHARE < with_stick(14)
    weak = np.clip(WALL.astype(int) + LEVELS // 2, 0, 255).astype(np.uint8)
    assert changed(before, look(weak, 1.0, place(400, 300))) == 0


def test_a_thumbnail_gives_the_same() -> None:
    came = WALL.copy()
    came[300:350, 400:408] = 0
    large = changed(look(WALL, 1.0, place(400, 300)), look(came, 1.0, place(400, 300)))
    small = changed(
        look(WALL[::2, ::2].copy(), 2.0, place(400, 300)),
        look(came[::2, ::2].copy(), 2.0, place(400, 300)),
    )
    assert small == pytest.approx(large, abs=0.1)
    assert large > 0.2
