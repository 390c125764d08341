"""``--face speaking``: the plan's lips against the film's own sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipwright.dubbing import findings, report, speaking
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.people import people_of
from lipwright.dubbing.plan import NOT_SPEAKING, Plan, PortablePlan
from lipwright.dubbing.speaking import limited, speaking_in, who_speaks
from lipwright.errors import LipwrightError
from lipwright.files.kept_files import write_digest
from tests.dubbing.clips import Actor, write_speech
from tests.dubbing.test_analysis import make, scheduled

COUNT = 120


_NOISE = np.random.default_rng(4).standard_normal((3, COUNT + 40))
_OPENINGS = [
    0.03 + 0.01 * np.convolve(noise, [0.5, 1, 0.5], "same").clip(-2.5, 3) for noise in _NOISE
]


def opening(frame: int, who: int) -> float:
    """How wide a mouth is open, of two people and of a stranger (-1)."""
    return float(_OPENINGS[who][frame + 5])


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> PortablePlan:
    """Two people side by side for 4.8 s, then one of them alone for 0.8 s."""

    def script(i: int) -> list[Actor]:
        left = Actor(5, 20, 30, 122, opening=opening(i, 0))
        right = Actor(6, 180, 30, 120, opening=opening(i, 1))
        return [left, right] if i < COUNT else [right]  # numbers 0, 1 and 2

    return make(tmp_path_factory.mktemp("film"), (COUNT, 20), script).portable()


@pytest.fixture
def plan(analysed: PortablePlan, tmp_path: Path) -> Plan:
    """The same plan in a folder of its own."""
    return analysed.unpack(tmp_path / "plan.jsonl")


def sound() -> np.ndarray:
    """Six seconds in which the gate hears speech all the time."""
    return np.random.default_rng(0).standard_normal(6 * 16000).astype(np.float32) * 0.1


def lips_of(who: list[int], late: int = 0) -> Any:
    """A listener that hears, frame by frame, the speech of one of the two; -1: a stranger's."""

    def listen(wave: np.ndarray) -> np.ndarray:
        gap = np.array([opening(i - late, w) for i, w in enumerate(who)])[:, None]
        return np.hstack([gap, np.zeros_like(gap), 0.8 * gap])

    return listen


def test_who_follows_the_sound_speaks(plan: Plan) -> None:
    who = [0] * 60 + [1] * 80
    found = who_speaks(plan, sound(), lips_of(who))
    assert found.late == 0
    assert found.rows[0][:50].all()
    assert not found.rows[1][:50].any()
    assert found.rows[1][70:].all()
    assert not found.rows[0][70:].any()
    assert [len(found.rows[n]) for n in (0, 1, 2)] == [120, 120, 20]
    assert 1.9 < plan.shown_seconds(plan.tracks[0], found.rows[0]) < 2.9


def test_sound_that_is_late_is_put_right(plan: Plan) -> None:
    found = who_speaks(plan, sound(), lips_of([0] * 140, late=3))
    assert found.late == 3
    assert found.rows[0][5:110].all()


def test_two_whose_sound_is_late_by_different_times_are_both_found(plan: Plan) -> None:
    def listen(wave: np.ndarray) -> np.ndarray:
        gap = [opening(i, 0) if i < 60 else opening(i - 5, 1) for i in range(140)]
        return np.array(gap)[:, None] * (1.0, 0.0, 0.8)

    found = who_speaks(plan, sound(), listen)
    assert found.rows[0][5:48].all()
    assert found.rows[1][70:110].all()
    assert not found.rows[0][70:].any()
    assert not found.rows[1][:48].any()


def test_a_voice_off_screen_moves_nobody(plan: Plan) -> None:
    found = who_speaks(plan, sound(), lips_of([-1] * 140))
    assert not any(rows.any() for rows in found.rows.values())


def test_others_are_left_alone_and_the_report_says_so(plan: Plan) -> None:
    rows = {0: np.arange(120) < 60, 1: np.zeros(120, bool)}
    held = scheduled(limited(plan, rows), "speaking")
    (left, right, alone) = held.plan.tracks
    assert (left.states[60:] == NOT_SPEAKING).all()
    assert left.states[0] != NOT_SPEAKING
    assert (right.states == NOT_SPEAKING).all()
    assert (alone.states == NOT_SPEAKING).all()  # not named at all
    # 25 fps: a fade of 0.12 s is three frames, and there is none at a cut.
    assert left.strength[0] == 1.0
    assert 0 < left.strength[59] < left.strength[58] < left.strength[57] < 1
    assert left.strength[56] == 1.0
    assert [face.track for face in held.faces(10)] == [0]
    assert held.faces(80) == []
    runs = held.runs()
    assert [(run.first, run.status, run.reason) for run in runs] == [
        (0, "synced", ""),
        (60, "passed_through", report.NOT_SPEAKING),
    ]


def test_people_are_the_same_in_a_limited_plan(plan: Plan) -> None:
    def embed(crops: np.ndarray) -> np.ndarray:
        return np.zeros((len(crops), 2), np.float32)

    whole = [[t.number for t in person.tracks] for person in people_of(plan, embed)]
    left = limited(plan, {0: np.ones(120, bool)})
    assert [[t.number for t in person.tracks] for person in people_of(left, embed)] == whole
    assert sorted(number for numbers in whole for number in numbers) == [0, 1, 2]


def test_a_film_in_which_nobody_speaks_passes_through(plan: Plan) -> None:
    held = scheduled(limited(plan, {}), "speaking")
    assert {run.status for run in held.runs()} == {"passed_through"}


def test_findings_are_kept_beside_a_kept_plan(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    class Listener:
        model_id = "tiny"

        def __call__(self, wave: np.ndarray) -> np.ndarray:
            calls.append(wave.size)
            return np.asarray(lips_of([0] * 140)(wave))

    from lipwright.methods import expected_lips

    monkeypatch.setattr(expected_lips, "expected_lips", lambda: Listener())
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    voice = write_speech(tmp_path / "voice.wav", 5.6)
    fresh = speaking_in(plan, voice)
    speaking_in(plan, voice)
    assert len(calls) == 2  # the plan is not in the cache
    write_digest(plan.path)
    first = speaking_in(plan, voice)
    again = speaking_in(plan, voice)
    assert len(calls) == 3
    for found in (first, again):
        assert all((found.rows[n] == fresh.rows[n]).all() for n in fresh.rows)
    assert len(findings.findings_beside(plan.path)) == 1
    Listener.model_id = "other"
    speaking_in(plan, voice)
    assert len(calls) == 4
    findings.findings_beside(plan.path)[0].write_text("{}")  # not vouched for: made again
    speaking_in(plan, voice)
    assert len(calls) == 5


def test_a_film_without_sound_cannot_tell(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="own sound"):
        speaking_in(plan, tmp_path / "v.mp4")


def test_the_option_is_known() -> None:
    DubOptions(face="speaking").check()
    assert speaking.LEAST_HEARD > 0
