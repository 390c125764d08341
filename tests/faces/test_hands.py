"""Hands near faces: where they are looked for, how they are followed, and what they cover."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipwright.faces import hands
from lipwright.faces.hands import (
    PASSED_OVER,
    REACH,
    SEARCH_EVERY,
    Hand,
    HandTracker,
    hand_cover,
    region_of_palm,
    region_of_points,
)
from lipwright.faces.landmarks import Region
from lipwright.faces.palms import Palm, PalmDetector

# An open right hand that points upwards, in sides of the palm; x to the right, y downwards.
UPRIGHT = np.array(
    [
        *[(0.0, 0.0), (-0.35, -0.2), (-0.6, -0.45), (-0.8, -0.65), (-0.95, -0.8)],
        *[(-0.3, -0.95), (-0.35, -1.35), (-0.38, -1.6), (-0.4, -1.8)],
        *[(-0.05, -1.0), (-0.05, -1.45), (-0.05, -1.75), (-0.05, -1.95)],
        *[(0.17, -0.95), (0.2, -1.35), (0.22, -1.6), (0.24, -1.8)],
        *[(0.38, -0.85), (0.45, -1.15), (0.5, -1.35), (0.54, -1.5)],
    ]
)
CROP = np.array([[100.0, 0.0, 300.0], [0.0, 100.0, 200.0]])
"""A face of 100 pixels with its upper left corner at (300, 200)."""
PICTURE = np.zeros((600, 800, 3), np.uint8)


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points @ np.array([[c, s], [-s, c]]))


def test_a_hand_covers_palm_fingers_and_some_arm() -> None:
    points = UPRIGHT * 20 + (32, 50)
    cover = hand_cover(points, 64)
    for x, y in points[1:]:
        assert cover[int(y), int(x)]
    assert cover[60, 32]  # the arm
    assert not cover[20, 20]  # between thumb and index finger
    assert not cover[:8].any()
    assert 0.1 < cover.mean() < 0.5
    # A hand outside covers nothing, and far away it stops no drawing routine.
    assert not hand_cover(points + 1000, 64).any()
    assert not hand_cover(points + 1e9, 64).any()


@pytest.mark.parametrize("degrees", [0.0, 30.0, -120.0])
def test_the_region_turns_with_the_hand(degrees: float) -> None:
    points = turned(UPRIGHT * 50, degrees) + np.array([400, 300])
    region = region_of_points(points)
    assert np.degrees(region.angle) == pytest.approx(degrees, abs=3)
    to_display = region.to_display(224)
    corner = to_display[:, 2]
    inside = np.linalg.solve(to_display[:, :2], (points - corner).T)
    assert inside.min() > 0
    assert inside.max() < 223


def test_the_region_of_a_palm_reaches_to_the_tips() -> None:
    box = np.array([80.0, 100.0, 120.0, 140.0])
    points = np.zeros((7, 2))
    points[0], points[2] = (100, 138), (100, 104)
    patch = Region((400.0, 300.0), 192.0 * 2, 0.0)
    region = region_of_palm(Palm(box, points, 0.9), patch.to_display(192))
    assert region.angle == pytest.approx(0.0, abs=1e-6)
    assert region.side == pytest.approx(2.6 * 80)
    x, y = patch.to_display(192) @ np.array([100, 120, 1.0])
    assert region.centre == (pytest.approx(x), pytest.approx(y - 40))


class Palms:
    """Finds what it is told to, in every search."""

    side = 192

    def __init__(self, found: list[Palm]) -> None:
        self.found = found
        self.searches = 0

    def __call__(self, patch: np.ndarray) -> list[Palm]:
        assert patch.shape == (192, 192, 3)
        self.searches += 1
        return self.found


class Landmarks:
    """Sees an upright hand in the middle of every region."""

    side = 224

    def __init__(self, presence: list[float]) -> None:
        self.presence = presence

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        assert pixels.shape == (224, 224, 3)
        points = np.zeros((21, 3))
        points[:, :2] = UPRIGHT * 60 + (112, 170)
        presence = self.presence.pop(0)
        return {"Identity": points.reshape(1, 63), "Identity_1": np.array([[presence]])}


def tracker(monkeypatch: pytest.MonkeyPatch, palms: Palms, presence: list[float]) -> HandTracker:
    monkeypatch.setattr(hands, "resolve", Path)
    made = HandTracker()
    made._palms = palms  # type: ignore[assignment]
    made._network = Landmarks(presence)  # type: ignore[assignment]
    return made


def a_palm() -> Palm:
    points = np.zeros((7, 2))
    points[0], points[2] = (96, 120), (96, 86)
    return Palm(np.array([80.0, 80.0, 112.0, 112.0]), points, 0.8)


def test_a_hand_is_found_followed_and_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    palms = Palms([a_palm()])
    made = tracker(monkeypatch, palms, [0.95, 0.7, 0.65, 0.5, 0.05, 0.05])
    (hand,) = made.update(PICTURE, 1.0, [CROP])
    # The patch is REACH faces wide and has its middle in the lower face.
    assert hand.points.mean(axis=0) == pytest.approx([350, 275], abs=REACH * 25)
    palms.found = []
    assert len(made.update(PICTURE, 1.0, [CROP])) == 1
    assert len(made.update(PICTURE, 1.0, [CROP])) == 1
    assert palms.searches == 1
    # A hand that is lost is looked for at once, then every few frames again.
    assert made.update(PICTURE, 1.0, [CROP]) == []
    assert palms.searches == 2
    for _ in range((PASSED_OVER + 1) * SEARCH_EVERY):
        assert made.update(PICTURE, 1.0, [CROP]) == []
    assert palms.searches == 3


def searches(monkeypatch: pytest.MonkeyPatch, pictures: list[np.ndarray]) -> list[int]:
    """Frames in which hands are looked for that are not there."""
    palms = Palms([])
    made = tracker(monkeypatch, palms, [0.0] * len(pictures))
    found, before = [], 0
    for number, picture in enumerate(pictures):
        assert made.update(picture, 1.0, [CROP]) == []
        if palms.searches > before:
            found.append(number)
        before = palms.searches
    return found


def test_where_nothing_changes_hands_are_looked_for_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    longest = (PASSED_OVER + 1) * SEARCH_EVERY
    still = searches(monkeypatch, [PICTURE] * (2 * longest + 1))
    assert still == [0, longest, 2 * longest]
    # A finger's breadth beside the mouth, of a third of the face's height, is searched at once.
    came = PICTURE.copy()
    came[280:320, 310:330] = 40
    assert searches(monkeypatch, [PICTURE] * 8 + [came] * 8) == [0, 10]
    # A picture that is another one every time is searched as often as can be.
    noise = np.random.default_rng(0).integers(0, 255, (5, *PICTURE.shape), np.uint8)
    busy = [noise[k // SEARCH_EVERY] for k in range(5 * SEARCH_EVERY)]
    assert searches(monkeypatch, busy) == list(range(0, 5 * SEARCH_EVERY, SEARCH_EVERY))


def test_after_a_cut_hands_are_looked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    palms = Palms([])
    made = tracker(monkeypatch, palms, [0.0, 0.0, 0.0])
    made.update(PICTURE, 1.0, [CROP])
    made.reset()
    made.update(PICTURE, 1.0, [CROP])
    assert palms.searches == 2
    # Every face has its own surroundings.
    other = CROP + np.array([[0, 0, 400.0], [0, 0, 0]])
    for _ in range(SEARCH_EVERY):
        made.update(PICTURE, 1.0, [CROP, other])
    assert palms.searches == 3


def test_what_is_not_surely_a_hand_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tracker(monkeypatch, Palms([a_palm()]), [0.85, 0.05])
    assert made.update(PICTURE, 1.0, [CROP]) == []


def test_fingers_before_a_face_are_found_without_a_palm(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tracker(monkeypatch, Palms([]), [0.4, 0.8])
    (hand,) = made.update(PICTURE, 1.0, [CROP])
    assert hand.presence == 0.8
    doubtful = tracker(monkeypatch, Palms([]), [0.4, 0.5])
    assert doubtful.update(PICTURE, 1.0, [CROP]) == []


def test_one_hand_is_not_found_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tracker(monkeypatch, Palms([a_palm(), a_palm()]), [0.95, 0.95])
    assert len(made.update(PICTURE, 1.0, [CROP])) == 1


def test_hands_without_a_face_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    palms = Palms([a_palm()])
    made = tracker(monkeypatch, palms, [0.95, 0.95, 0.05])
    assert made.update(PICTURE, 1.0, []) == []
    assert palms.searches == 0
    made.reset()
    assert len(made.update(PICTURE, 1.0, [CROP])) == 1
    palms.found = []
    far = CROP + np.array([[0, 0, 300.0], [0, 0, 0]])
    assert made.update(PICTURE, 1.0, [far]) == []


def test_a_thumbnail_gives_the_same_places(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for scale in (1.0, 2.0):
        made = tracker(monkeypatch, Palms([a_palm()]), [0.95])
        small = PICTURE[:: int(scale), :: int(scale)]
        (hand,) = made.update(small, scale, [CROP])
        found.append(hand.points)
    assert found[0] == pytest.approx(found[1])


def test_the_networks_find_no_hand_in_a_portrait(portrait: np.ndarray) -> None:
    made = HandTracker()
    crop = np.array([[180.0, 0.0, 135.0], [0.0, 180.0, 30.0]])
    assert made.update(portrait, 1.0, [crop]) == []
    assert isinstance(made._palms, PalmDetector)
    blank = made.seen(portrait, 1.0, Region((256.0, 450.0), 120.0, 0.0))
    assert isinstance(blank, Hand)
    assert blank.points.shape == (21, 2)
    assert 0 <= blank.presence < 0.9
