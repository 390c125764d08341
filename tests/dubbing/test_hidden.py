"""Hands before faces, from frame to frame, and what a plan keeps of them."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipwright.dubbing import analysis, face_renderer, planning
from lipwright.dubbing import plan_file as plans
from lipwright.dubbing.hidden import (
    MAP_SIDE,
    NOTHING,
    Hidden,
    frames_near,
    hidden_by,
    lasting,
    pack,
    unpack,
    visible,
)
from lipwright.dubbing.plan import COVERED, SEEN, PlannedFace, Source
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.errors import LipwrightError
from lipwright.faces.hands import SEARCH_EVERY, Hand
from lipwright.faces.paste import OUTLINE_POINTS
from lipwright.faces.tracker import FaceTracker
from tests.dubbing import clips
from tests.dubbing.clips import Actor
from tests.dubbing.test_analysis import SIZE, scenes
from tests.faces.test_hands import UPRIGHT

RATE = 25.0
ACTOR = Actor(0, 40, 30, 120)
CROP = np.array([[120.0, 0, 40], [0, 120.0, 30]])
OUTLINE = clips.mesh(ACTOR)[list(OUTLINE_POINTS), :2]


def hand(x: float, y: float, size: float = 25.0) -> Hand:
    """An upright hand with its wrist at a place of the picture."""
    return Hand(UPRIGHT * size + (x, y), 1.0)


def thing(left: int = 0, right: int = 40) -> Hidden:
    found = np.zeros((MAP_SIDE, MAP_SIDE), bool)
    found[80:, left:right] = True
    return Hidden(pack(found))


def test_a_map_is_kept_as_it_is() -> None:
    found = np.random.default_rng(0).random((MAP_SIDE, MAP_SIDE)) < 0.5
    assert (unpack(pack(found)) == found).all()
    assert len(thing().packed) < 200
    with pytest.raises(ValueError, match="no map"):
        unpack(b"nothing")


def test_hands_hide_what_they_lie_before() -> None:
    assert hidden_by([], CROP, OUTLINE) == NOTHING
    assert hidden_by([hand(300, 100)], CROP, OUTLINE) == NOTHING
    beside = hidden_by([hand(75, 160)], CROP, OUTLINE)  # from below, at the left of the mouth
    assert beside.packed
    assert beside.lips < 0.5
    cover = unpack(beside.packed)
    assert cover[100, 20:50].any()
    assert not cover[:, 80:].any()
    before = hidden_by([hand(100, 150, 45)], CROP, OUTLINE)
    assert before.lips > 0.7


def test_what_is_seen_for_a_moment_is_nothing_and_gaps_are_filled() -> None:
    a, b = thing(), thing(20, 60)
    early = [NOTHING] * 10
    assert lasting([*early, a, a, *early], RATE) == {}
    assert lasting([None, None], RATE) == {}
    found = lasting([*early, a, a, NOTHING, None, b, b, *early], RATE)
    first = 10 - SEARCH_EVERY + 1
    assert sorted(found) == list(range(first, 18))
    assert all(found[k] == a for k in range(first, 14))
    assert all(found[k] == b for k in range(14, 18))
    # Of twice as many frames a second the same is too short.
    assert lasting([*early, a, a, NOTHING, None, b, *early], 2 * RATE) == {}


def test_frames_near_a_hand_are_within_four_tenths_of_a_second() -> None:
    assert frames_near([20, 22], RATE) == set(range(10, 33))
    assert frames_near([20], Fraction(5, 2)) == {19, 20, 21}
    assert frames_near([], RATE) == set()


def test_a_face_may_change_beside_a_hand_only() -> None:
    shown = visible(thing().packed, 64)
    assert shown.shape == (64, 64)
    assert (shown[42:, :19] == 0).all()
    assert (shown[:, 26:] == 1).all()
    assert (shown[:34] == 1).all()


def test_the_mask_of_a_face_leaves_out_what_lies_before_it() -> None:
    points = clips.mesh(Actor(0, 0, 0, 1.0))[list(OUTLINE_POINTS), :2].astype(np.float32)
    crop = np.array([[100.0, 0, 0], [0, 100.0, 0]])
    free = face_renderer.face_mask(PlannedFace(0, crop, points, SEEN, 1.0), 64)
    face = PlannedFace(0, crop, points, SEEN, 1.0, thing(0, 64).packed)
    beside = face_renderer.face_mask(face, 64)
    assert free[44:50, 20:28].min() > 0.5
    assert (beside[42:, :31] == 0).all()
    assert np.array_equal(beside[:, 40:], free[:, 40:])


class Hands:
    """Sees hands in some frames."""

    name = "scripted"

    def __init__(self, hands: dict[int, Hand]) -> None:
        self.hands = hands
        self.calls = self.resets = 0

    def update(self, image: np.ndarray, scale: float, crops: list[np.ndarray]) -> list[Hand]:
        assert len(crops) == 1
        assert crops[0] == pytest.approx(CROP, abs=0.1)
        self.calls += 1
        there = self.hands.get(self.calls - 1)
        return [] if there is None else [there]

    def reset(self) -> None:
        self.resets += 1


def test_a_plan_knows_what_lies_before_a_face(tmp_path: Path) -> None:
    beside, before = hand(75, 160), hand(100, 150, 45)
    there = {2: beside} | dict.fromkeys(range(20, 26), beside)
    hands = Hands(there | dict.fromkeys(range(40, 45), before))
    path = clips.write_video(tmp_path / "v.mp4", 60, SIZE, pictures=scenes(60))
    tracker = clips.ScriptedTracker(lambda i: [Actor(0, 40, 30, 120, opening=0.002 * (i % 30))])
    settings = analysis.settings(tracker, hands)  # type: ignore[arg-type]
    assert settings["hands"] == "scripted"
    writer = PlanWriter(tmp_path / "plan.jsonl", Source.of(path), settings)
    made = analysis.analyse(path, writer, tracker, hands=hands)  # type: ignore[arg-type]
    (track,) = made.tracks
    assert sorted(track.hidden) == [*range(16, 28), *range(36, 47)]
    assert (np.flatnonzero(track.states == COVERED) == range(36, 47)).all()
    assert hands.resets == 1
    face = track.face(22)
    assert face is not None
    assert unpack(face.hidden).any()
    assert made.tracks[0].face(5).hidden == b""  # type: ignore[union-attr]
    taken = {frame for frame, _ in track.references}
    assert taken
    assert not taken & {2, *range(10, 57)}
    kept = plans.load(made.path, made.source, settings)
    assert kept is not None
    assert kept.tracks[0].hidden == track.hidden
    kept.__exit__()


def test_without_the_networks_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise LipwrightError("the network file palm-detector cannot be had")

    monkeypatch.setattr(planning, "HandTracker", fail)
    tracker = FaceTracker.__new__(FaceTracker)
    with caplog.at_level(logging.WARNING):
        assert planning.hands_for(tracker) is None
        assert planning.hands_for(tracker) is None
    assert len([r for r in caplog.records if "may be drawn over" in r.message]) == 1
    assert planning.hands_for(clips.ScriptedTracker(lambda i: [])) is None
