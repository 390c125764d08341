"""From what was seen in single frames to the track of a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipwright.dubbing.hidden import MAP_SIDE, NOTHING, Hidden, pack
from lipwright.dubbing.plan import COVERED, LOST, MISSING, SEEN, TURNED_AWAY, unpack_points
from lipwright.dubbing.sighting import Sighting
from lipwright.dubbing.track_building import build_track
from lipwright.faces import alignment, measure
from lipwright.faces.paste import OUTLINE_POINTS
from lipwright.media.info import VideoInfo, probe
from tests.dubbing import clips
from tests.dubbing.clips import Actor


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    """Of a video of 25 frames a second, 320 by 240."""
    path: Path = tmp_path_factory.mktemp("video") / "v.mp4"
    return probe(clips.write_video(path, 2, (320, 240)))


def seen(frame: int, x: float = 40, yaw: float = 0.0, opening: float = 0.03) -> Sighting:
    points = clips.mesh(Actor(0, x, 30, 120, opening))
    return Sighting(
        frame=frame,
        crop=alignment.estimate(points),
        points=points[list(OUTLINE_POINTS), :2],
        lips=measure.lip_shape(points).astype(np.float32),
        opening=opening,
        yaw=yaw,
        covered=0.0,
        hidden=NOTHING,
    )


def test_short_gaps_are_bridged_and_long_ones_left(info: VideoInfo) -> None:
    """Six frames are 0.24 s, seven are more than a quarter."""
    away = {*range(20, 26), *range(36, 43)}
    there = [seen(k, 40 + k) for k in range(10, 50) if k not in away]
    track = build_track(4, there, info, 2, (10, 60))
    assert (track.number, track.shot, track.first, track.last) == (4, 2, 10, 49)
    assert (track.states[10:16] == LOST).all()
    assert (track.states[26:33] == MISSING).all()
    assert (np.delete(track.states, [*range(10, 16), *range(26, 33)]) == SEEN).all()
    face = track.face(22)
    assert face is not None
    assert alignment.apply(face.crop, np.zeros(2)) == pytest.approx([62, 30], abs=0.5)
    # It begins with the shot, goes before the long gap, comes after it, goes before the shot's end.
    half = [27 / 32, 1 / 2, 5 / 32]
    assert track.strength[:23] == pytest.approx([1] * 23)
    assert track.strength[23:26] == pytest.approx(half, abs=1e-3)
    assert (track.strength[26:33] == 0).all()
    assert track.strength[-3:] == pytest.approx(half, abs=1e-3)


def test_crops_are_smoothed_but_points_stay_in_the_picture(info: VideoInfo) -> None:
    """A face that jumps to and fro by a pixel: its crop does not, so its points do inside it."""
    there = [seen(k, 40 + (k % 2)) for k in range(30)]
    track = build_track(0, there, info, 0, (0, 29))
    jumps = np.abs(np.diff(track.crops[5:-5, 2]))
    assert jumps.max() < 0.5
    points = unpack_points(track.points)[:, 0, 0]
    for k in (14, 15):
        face = track.face(k)
        assert face is not None
        x = alignment.apply(face.crop, face.points.astype(np.float64))[0, 0]
        assert x == pytest.approx(there[k].points[0, 0], abs=0.05)
    assert abs(points[14] - points[15]) > 0.25 / 120


def test_a_profile_has_to_come_back_and_a_covered_mouth_is_left(info: VideoInfo) -> None:
    there = [seen(k, yaw={5: 62.0, 6: 57.0, 7: 51.0}.get(k, 0.0)) for k in range(30)]
    for k in (20, 21):
        there[k] = replace(there[k], covered=0.3)
    track = build_track(0, there, info, 0, (0, 29))
    expected = [SEEN] * 30
    expected[5] = expected[6] = TURNED_AWAY
    expected[20] = expected[21] = COVERED
    assert track.states.tolist() == expected
    assert track.strength[[5, 6, 20, 21]].tolist() == [0, 0, 0, 0]


def test_hands_that_last_are_kept_and_hide_mouths(info: VideoInfo) -> None:
    beside = Hidden(pack(np.eye(MAP_SIDE, dtype=bool)), 0.2)
    before = Hidden(pack(np.ones((MAP_SIDE, MAP_SIDE), bool)), 0.8)
    there = [seen(k) for k in range(60)]
    for k in (3, *range(20, 26)):  # one frame of a hand is none
        there[k] = replace(there[k], hidden=beside)
    for k in range(45, 50):
        there[k] = replace(there[k], hidden=before)
    track = build_track(0, there, info, 0, (0, 59))
    assert not {*range(10)} & set(track.hidden)
    assert {*range(20, 26)} <= {
        row for row, packed in track.hidden.items() if packed == beside.packed
    }
    covered = np.flatnonzero(track.states == COVERED).tolist()
    assert {*range(45, 50)} <= set(covered)
    assert min(covered) > 30


def test_the_resting_mouth_is_the_closed_one(info: VideoInfo) -> None:
    there = [seen(k, opening=0.002 if k % 3 else 0.08) for k in range(60)]
    track = build_track(0, there, info, 0, (0, 59))
    assert track.rest_opening == pytest.approx(0.002, abs=1e-4)
    closed = measure.lip_shape(clips.mesh(Actor(0, 40, 30, 120, 0.002)))
    assert track.rest == pytest.approx(closed, abs=1e-3)
    assert track.openings[:4] == pytest.approx([0.08, 0.002, 0.002, 0.08])
