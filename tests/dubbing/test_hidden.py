"""Things before faces, from frame to frame, and what a plan keeps of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipwright.dubbing import analysis, face_renderer, hidden
from lipwright.dubbing import plan_file as plans
from lipwright.dubbing.hidden import NOTHING, Hidden, lasting, pack, unpack, visible
from lipwright.dubbing.plan import COVERED, SEEN, PlannedFace, Source
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.faces.occlusion import MAP_SIDE, SIDE
from tests.dubbing import clips
from tests.dubbing.clips import Actor
from tests.dubbing.test_analysis import SIZE, scenes

RATE = 25.0


def thing(left: int = 0, right: int = 20) -> Hidden:
    found = np.zeros((MAP_SIDE, MAP_SIDE), np.float32)
    found[40:, left:right] = 0.8
    return Hidden(pack(found), 0.2, 0.0)


def test_a_map_is_kept_as_it_is() -> None:
    found = np.random.default_rng(0).random((MAP_SIDE, MAP_SIDE)).astype(np.float32)
    assert unpack(pack(found)) == pytest.approx(found, abs=1 / 500)
    with pytest.raises(ValueError, match="no map"):
        unpack(b"nothing")


def test_what_is_seen_for_a_moment_is_nothing() -> None:
    a = thing()
    seen: list[Hidden | None] = [NOTHING, a, a, NOTHING, a, a, a, None, NOTHING]
    assert lasting(seen, RATE) == {4: a, 5: a, 6: a, 7: a}
    assert lasting([None, None], RATE) == {}
    assert set(lasting(seen, 2 * RATE)) == set()


def test_a_face_may_change_beside_a_thing_only() -> None:
    shown = visible(thing().packed, 128)
    assert shown.shape == (128, 128)
    assert (shown[84:, :40] == 0).all()
    assert (shown[:, 64:] == 1).all()
    assert (shown[:60] == 1).all()


def test_the_mask_of_a_face_leaves_out_what_lies_before_it() -> None:
    crop = np.array([[100.0, 0, 0], [0, 100.0, 0]])
    points = (clips.mesh(Actor(0, 0, 0, 1.0))[list(analysis.OUTLINE_POINTS), :2]).astype(np.float32)
    free = face_renderer.face_mask(PlannedFace(0, crop, points, SEEN, 1.0), 64)
    face = PlannedFace(0, crop, points, SEEN, 1.0, thing(0, 32).packed)
    beside = face_renderer.face_mask(face, 64)
    assert free[44:50, 20:28].min() > 0.5
    assert (beside[42:, :31] == 0).all()
    assert np.array_equal(beside[:, 42:], free[:, 42:])


class Finder:
    """Sees a thing in some frames."""

    name = "scripted"

    def __init__(self, maps: dict[int, np.ndarray]) -> None:
        self.maps = maps
        self.calls = 0

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        assert crop.shape == (SIDE, SIDE, 3)
        self.calls += 1
        return self.maps.get(self.calls - 1, np.zeros((MAP_SIDE, MAP_SIDE), np.float32))


def test_a_plan_knows_what_lies_before_a_face(tmp_path: Path) -> None:
    left, all_of_it = (np.zeros((MAP_SIDE, MAP_SIDE), np.float32) for _ in range(2))
    left[32:, :24] = 0.9
    all_of_it[30:] = 0.9
    maps = {
        2: left,
        **dict.fromkeys(range(10, 16), left),
        **dict.fromkeys(range(20, 25), all_of_it),
    }
    path = clips.write_video(tmp_path / "v.mp4", 30, SIZE, pictures=scenes(30))
    tracker = clips.ScriptedTracker(lambda i: [Actor(0, 40, 30, 120, opening=0.002 * i)])
    tracker.occlusion = Finder(maps)  # type: ignore[assignment]
    settings = analysis.settings(tracker)  # type: ignore[arg-type]
    assert settings["occlusion"] == "scripted"
    writer = PlanWriter(tmp_path / "plan.jsonl", Source.of(path), settings)
    made = analysis.analyse(path, writer, tracker)  # type: ignore[arg-type]
    (track,) = made.tracks
    assert sorted(track.hidden) == [*range(10, 16), *range(20, 25)]
    assert (np.flatnonzero(track.states == COVERED) == range(20, 25)).all()
    face = track.face(12)
    assert face is not None
    assert unpack(face.hidden)[40, 10] == pytest.approx(0.9, abs=0.01)
    taken = {frame for frame, _ in track.references}
    assert taken
    assert not taken & set(track.hidden)
    kept = plans.load(made.path, made.source, settings)
    assert kept is not None
    assert kept.tracks[0].hidden == track.hidden
    kept.__exit__()


def test_a_face_beside_the_lips_stays_usable() -> None:
    assert thing().lips <= hidden.HIDDEN_LIPS
