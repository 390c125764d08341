from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipwright.dubbing import analysis, plan_file, report, schedule, sighting, timeline
from lipwright.dubbing.plan import LOST, MISSING, SEEN, TURNED_AWAY, Plan, Source
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.dubbing.references import COUNT
from lipwright.errors import LipwrightError
from lipwright.faces import alignment
from tests.dubbing import clips
from tests.dubbing.clips import Actor

SIZE = (320, 240)


def scenes(*lengths: int):  # type: ignore[no-untyped-def]
    """Pictures of several shots."""
    seeds = [shot for shot, length in enumerate(lengths) for _ in range(length)]
    return lambda i: clips.scene(i, SIZE, seeds[i])


def make(tmp_path: Path, lengths: Sequence[int], script: clips.Script, **how: object) -> Plan:
    path = clips.write_video(
        tmp_path / "v.mp4", sum(lengths), SIZE, pictures=scenes(*lengths), **how
    )
    tracker = clips.ScriptedTracker(script)
    writer = PlanWriter(tmp_path / "plan.jsonl", Source.of(path), analysis.settings(tracker))
    return analysis.analyse(path, writer, tracker)


def scheduled(plan: Plan, face: str = "largest", activity: float = 1.0) -> schedule.Schedule:
    line = timeline.build(plan.pts, plan.last_duration, plan.time_base, Fraction(1), "video")
    speaking = schedule.select(plan, face, Path("v.mp4"))
    return schedule.Schedule(plan, line, speaking, np.full(len(line), activity, np.float32))


def test_cut_ends_tracks_and_smoothing(tmp_path: Path) -> None:
    def script(i: int) -> list[Actor]:
        return [Actor(5, 40 + (60 if i >= 20 else 0), 30, 120)]

    plan = make(tmp_path, (20, 15), script)
    assert plan.shots == [(0, 19), (20, 34)]
    assert [(t.number, t.shot, t.first, t.last) for t in plan.tracks] == [
        (0, 0, 0, 19),
        (1, 1, 20, 34),
    ]
    for track, x in zip(plan.tracks, (40, 100), strict=True):
        for frame in (track.first, track.last):  # nothing of the other shot shines in
            face = track.face(frame)
            assert face is not None
            assert alignment.apply(face.crop, np.array([0.0, 0.0])) == pytest.approx(
                [x, 30], abs=0.01
            )
            assert face.strength == 1  # no fade at a cut
            assert face.side == pytest.approx(120, abs=0.01)
    assert len(plan.pts) == 35


def test_gaps_are_bridged_or_left(tmp_path: Path) -> None:
    away = {*range(10, 14), *range(25, 40)}  # 0.16 s and 0.6 s

    def script(i: int) -> list[Actor]:
        return [] if i in away else [Actor(0, 40 + i, 30, 120, opening=0.02)]

    plan = make(tmp_path, (60,), script)
    (track,) = plan.tracks
    assert (track.states[10:14] == LOST).all()
    assert (track.states[25:40] == MISSING).all()
    assert (np.delete(track.states, sorted(away)) == SEEN).all()
    bridged = track.face(12)
    assert bridged is not None
    assert alignment.apply(bridged.crop, np.array([0.0, 0.0])) == pytest.approx([52, 30], abs=0.5)
    neighbour = track.face(9)
    assert neighbour is not None
    assert bridged.points == pytest.approx(neighbour.points, abs=0.01)
    assert track.face(30) is None
    assert (track.strength[[0, 59]] == 1).all()
    assert (np.diff(track.strength[20:25]) <= 0).all()
    assert 0 < track.strength[24] < 0.3
    assert track.strength[30] == 0
    assert 0 < track.strength[40] < 0.3

    runs = scheduled(plan).runs()
    assert [(r.first, r.last, r.status, r.reason) for r in runs] == [
        (0, 9, "synced", ""),
        (10, 13, "held", report.LOST),
        (14, 24, "synced", ""),
        (25, 39, "passed_through", report.NO_FACE),
        (40, 59, "synced", ""),
    ]


def test_half_a_lower_face_is_too_little(tmp_path: Path) -> None:
    """The middle of the mouth is inside both times, 7 and 1 pixels above the lower edge."""

    def script(i: int) -> list[Actor]:
        return [Actor(0, 40, 150 if i < 10 else 156, 120)]

    statuses = list(scheduled(make(tmp_path, (20,), script)).statuses())
    assert statuses[2] == ("synced", "")
    assert statuses[17] == ("passed_through", report.OUTSIDE)


def test_reasons(tmp_path: Path) -> None:
    def script(i: int) -> list[Actor]:
        if i < 10:
            return [Actor(0, 40, 30, 120), Actor(1, 200, 60, 60)]
        if i < 20:
            return [Actor(1, 200, 60, 60)]
        if i < 30:
            return [Actor(0, 40, 30, 120, yaw=75), Actor(1, 200, 60, 60)]
        if i < 40:
            return [Actor(0, 40, 30, 30)]
        if i < 50:
            return [Actor(0, 40, 190, 120)]
        return []

    plan = make(tmp_path, (60,), script)
    statuses = list(scheduled(plan).statuses())
    assert statuses[5] == ("synced", "")
    assert statuses[15] == ("passed_through", report.OTHER_PERSON)
    assert statuses[25] == ("passed_through", report.TURNED_AWAY)
    assert statuses[35] == ("passed_through", report.TOO_SMALL)
    assert statuses[45] == ("passed_through", report.OUTSIDE)
    assert statuses[55] == ("passed_through", report.NO_FACE)
    both = list(scheduled(plan, "all").statuses())
    assert both[15] == both[25] == ("synced", "")
    assert [f.track for f in scheduled(plan, "all").faces(5)] == [0, 1]
    second = scheduled(plan, "1")
    assert [f.track for f in second.faces(5)] == [1]
    assert [track.speaks for track in second.summaries()] == [False, True]
    silent = list(scheduled(plan, activity=0.0).statuses())
    assert silent[5] == ("silent", report.NO_SPEECH)
    assert silent[15] == ("passed_through", report.OTHER_PERSON)


def test_turned_head_has_to_come_well_back(tmp_path: Path) -> None:
    yaws = [0, 58, 62, 57, 55, 53, 51, 0]

    plan = make(tmp_path, (8,), lambda i: [Actor(0, 40, 30, 120, yaw=yaws[i])])
    states = plan.tracks[0].states.tolist()
    assert states == [SEEN, SEEN, *[TURNED_AWAY] * 4, SEEN, SEEN]


def test_largest_is_decided_in_every_shot(tmp_path: Path) -> None:
    def script(i: int) -> list[Actor]:
        if i < 10:
            return [Actor(0, 10, 30, 100), Actor(1, 150, 30, 130)]
        return [Actor(2, 10, 30, 140), Actor(3, 180, 30, 100)]

    plan = make(tmp_path, (10, 10), script)
    # the larger one of a frame gets the smaller number
    sides = {track.number: round(float(track.sides[0])) for track in plan.tracks}
    chosen = schedule.select(plan, "largest", Path("v"))
    assert sorted(sides[number] for number in chosen) == [130, 140]


def test_nobody(tmp_path: Path) -> None:
    empty = make(tmp_path, (5,), lambda i: [])
    with pytest.raises(LipwrightError, match="No usable face was found in v"):
        schedule.select(empty, "largest", Path("v.mp4"))
    small = make(tmp_path, (5,), lambda i: [Actor(0, 40, 30, 20)])
    with pytest.raises(LipwrightError, match=report.TOO_SMALL):
        schedule.select(small, "all", Path("v.mp4"))
    plan = make(tmp_path, (5,), lambda i: [Actor(0, 40, 30, 120)])
    with pytest.raises(
        LipwrightError, match=r"no usable face 7 in v.mp4; choose from 0 \(frames 0"
    ):
        schedule.select(plan, "7", Path("v.mp4"))


def test_references_show_the_range_of_openings(tmp_path: Path) -> None:
    def script(i: int) -> list[Actor]:
        return [Actor(0, 40, 30, 120, opening=0.06 * (1 - np.cos(i / 6)))]

    plan = make(tmp_path, (100,), script)
    (track,) = plan.tracks
    openings = [opening for _, opening in track.references]
    assert 12 <= len(openings) <= COUNT
    assert openings == sorted(openings)
    assert openings[0] < 0.01
    assert openings[-1] > 0.1
    pictures = plan.references(track)
    assert [p.shape for p in pictures] == [(256, 256, 3)] * len(openings)


@pytest.fixture(autouse=True)
def _nothing_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted faces lie on random colours, in which anything may look like a microphone."""
    monkeypatch.setattr(sighting, "covered_in", lambda *arguments: 0.0)


def test_saved_plan_is_the_same_plan(tmp_path: Path) -> None:
    def script(i: int) -> list[Actor]:
        return (
            []
            if i == 7
            else [Actor(0, 40 + i / 3, 30.1, 120, opening=i / 300), Actor(1, 200, 90, 66)]
        )

    pts = [3 * i + (i % 3 == 0) for i in range(20)]
    made = make(tmp_path, (20,), script, pts=pts, time_base=Fraction(1, 90))
    found = plan_file.load(made.path, made.source, made.settings)
    assert found is not None
    assert (found.pts, found.time_base, found.shots) == (made.pts, made.time_base, made.shots)
    assert (found.last_duration, found.warnings) == (made.last_duration, made.warnings)
    for a, b in zip(found.tracks, made.tracks, strict=True):
        assert (a.number, a.shot, a.first, a.references, a.offsets) == (
            b.number,
            b.shot,
            b.first,
            b.references,
            b.offsets,
        )
        for name in ("crops", "points", "openings", "states", "strength"):
            x, y = getattr(a, name), getattr(b, name)
            assert x.dtype == y.dtype
            assert np.array_equal(x, y)
        with found, made:
            for x, y in zip(found.references(a), made.references(b), strict=True):
                assert np.array_equal(x, y)


def test_foreign_and_unfinished_plans_are_not_used(tmp_path: Path) -> None:
    made = make(tmp_path, (10,), lambda i: [Actor(0, 40, 30, 120)])
    load = plan_file.load
    assert load(made.path, made.source, made.settings) is not None
    assert load(made.path, Source(1, 2, "x"), made.settings) is None
    assert load(made.path, made.source, {**made.settings, "thumbnail": 1}) is None
    assert load(tmp_path / "none.jsonl", made.source, made.settings) is None
    data = made.path.read_bytes()
    for cut in (10, len(data) // 2, len(data) - 30):
        made.path.write_bytes(data[:cut])
        assert load(made.path, made.source, made.settings) is None
