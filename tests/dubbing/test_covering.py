"""Mouths behind microphones and borders of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.dubbing.covering import SIDE, covered_share, is_covered, outside_share
from lipwright.dubbing.references import Reference, ReferenceSelector

SKIN = np.array([200, 150, 120], np.uint8)
FULL = np.ones((SIDE, SIDE))


def skin(light: float = 1.0) -> np.ndarray:
    return np.broadcast_to((SKIN * light).astype(np.uint8), (SIDE, SIDE, 3)).copy()


@pytest.mark.parametrize("light", [1.0, 0.6, 0.35])
def test_shade_and_lips_cover_nothing(light: float) -> None:
    crop = skin()
    crop[18:, :16] = (SKIN * light).astype(np.uint8)
    crop[20:23, 12:20] = (170, 70, 80)  # lips
    assert covered_share(crop, FULL) == 0.0


def test_a_microphone_covers_its_share() -> None:
    crop = skin()
    crop[16:, 16:] = (90, 92, 95)  # the right half of the lower face
    assert covered_share(crop, FULL) == pytest.approx(0.5, abs=0.05)
    half = FULL.copy()
    half[:, 16:] = 0.0  # beside the face: background
    assert covered_share(crop, half) == 0.0
    assert covered_share(crop, np.zeros((SIDE, SIDE))) == 0.0


def test_what_is_usual_for_a_person_covers_nothing() -> None:
    assert is_covered(0.3, 0.02)
    assert not is_covered(0.1, 0.02)
    assert not is_covered(0.9, 0.4)  # a beard: its colour tells nothing


def test_the_border_of_the_picture_by_hand() -> None:
    inside = np.array([[100.0, 0, 10], [0, 100, 10]])
    assert outside_share(inside, (200, 200)) == 0.0
    half = np.array([[100.0, 0, -50], [0, 100, 10]])  # the middle of the face on the left border
    assert outside_share(half, (200, 200)) == pytest.approx(0.5, abs=0.05)
    assert outside_share(half - [[0, 0, 500], [0, 0, 0]], (200, 200)) == 1.0


def reference(frame: int, hidden: float) -> Reference:
    crop = np.zeros((8, 8, 3), np.uint8)
    return Reference(frame, frame / 2, 0.01 * frame, 1.0, crop, np.zeros((40, 2)), hidden)


def test_hidden_frames_are_no_references() -> None:
    selector = ReferenceSelector()
    for frame in range(12):
        selector.add(reference(frame, 0.4 if frame in (4, 5) else 0.05))
    assert {r.frame for r in selector.choose()} == set(range(12)) - {4, 5}


def test_a_chin_that_is_always_cut_off_does_not_matter() -> None:
    selector = ReferenceSelector()
    for frame in range(12):
        selector.add(reference(frame, 0.3 + 0.005 * frame))
    assert len(selector.choose()) == 12
