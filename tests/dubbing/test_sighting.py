"""A face as it was found in one frame."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.dubbing.hidden import MAP_SIDE, NOTHING, Hidden, pack
from lipwright.dubbing.plan import OUTSIDE, SEEN, TOO_SMALL, TURNED_AWAY
from lipwright.dubbing.sighting import Sighting, covered_in, sighted, usability
from lipwright.faces import alignment
from tests.dubbing import clips
from tests.dubbing.clips import Actor

SIZE = (320, 240)
SKIN = (200, 140, 110)


def seen(actor: Actor, picture: np.ndarray | None = None) -> Sighting:
    if picture is None:
        picture = np.full((SIZE[1], SIZE[0], 3), SKIN, np.uint8)
    points = clips.mesh(actor)
    return sighted(7, points, alignment.estimate(points), [], picture, 1.0)


def test_what_is_measured() -> None:
    found = seen(Actor(0, 40, 30, 120, opening=0.05))
    assert found.frame == 7
    assert found.side == pytest.approx(120, abs=0.01)
    assert found.crop == pytest.approx(np.array([[120, 0, 40], [0, 120, 30]]), abs=0.01)
    assert found.yaw == pytest.approx(0, abs=0.1)
    assert seen(Actor(0, 40, 30, 120, yaw=20)).yaw == pytest.approx(20, abs=1)
    assert found.opening == pytest.approx(0.05, abs=0.002)
    assert found.lips.shape == (40, 2)
    assert found.points.min(axis=0) == pytest.approx([40 + 0.17 * 120, 30 + 0.12 * 120], abs=1.5)
    assert (found.covered, found.hidden) == (0.0, NOTHING)


@pytest.mark.parametrize(
    ("actor", "turned", "state"),
    [
        (Actor(0, 40, 30, 120), False, SEEN),
        (Actor(0, 40, 30, 41), False, SEEN),
        (Actor(0, 40, 30, 39), False, TOO_SMALL),
        (Actor(0, 40, 30, 120, yaw=58), False, SEEN),
        (Actor(0, 40, 30, 120, yaw=58), True, TURNED_AWAY),
        (Actor(0, 40, 30, 120, yaw=-62), False, TURNED_AWAY),
        (Actor(0, 40, 30, 120, yaw=50), True, SEEN),
        (Actor(0, -90, 30, 120), False, OUTSIDE),  # the middle of the mouth at -30
        (Actor(0, 40, 150, 120), False, SEEN),  # the mouth 7 pixels above the lower edge
        (Actor(0, 40, 156, 120), False, OUTSIDE),  # one pixel, and the chin is cut off
    ],
)
def test_whether_a_mouth_can_be_moved(actor: Actor, turned: bool, state: int) -> None:
    assert usability(seen(actor), turned, SIZE) == state


def test_what_is_held_before_a_face_is_no_face() -> None:
    actor = Actor(0, 40, 30, 160)
    picture = np.full((SIZE[1], SIZE[0], 3), SKIN, np.uint8)
    picture[:, 120:] = (20, 60, 200)  # the right half of the face, from the middle of the nose on
    assert seen(actor, picture).covered == pytest.approx(0.5, abs=0.06)
    points = clips.mesh(actor)
    crop = alignment.estimate(points)
    hand = np.zeros((MAP_SIDE, MAP_SIDE), bool)
    hand[:, MAP_SIDE // 2 - 4 :] = True
    beside = covered_in(crop, points, picture, 1.0, Hidden(pack(hand), 0.5))
    assert beside < 0.05
