"""Tracks become people, and ``--face`` takes a person or a point."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lipwright.dubbing import people_report, schedule
from lipwright.dubbing.contact_sheet import PAPER
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.people import as_table, people_of
from lipwright.dubbing.people_sheet import SIDE, draw_people
from lipwright.dubbing.plan import Plan
from lipwright.errors import LipwrightError
from lipwright.faces import identity
from tests.dubbing.clips import Actor
from tests.dubbing.test_analysis import make

ANNA, BEN = (0.0, 0.0), (3.0, 0.0)
VIDEO = Path("v.mp4")


class Embeddings:
    """Gives the tracks, in the order in which they are asked for, prepared embeddings."""

    def __init__(self, of_tracks: Sequence[tuple[float, float]]) -> None:
        self._left = list(of_tracks)

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        place = np.array(self._left.pop(0), np.float32)
        return place + np.linspace(-0.05, 0.05, len(crops), dtype=np.float32)[:, None]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Anna; Ben; Anna (track 3) beside Ben (track 2): 12, 10 and 15 frames of 25 a second."""

    def script(i: int) -> list[Actor]:
        left, right = Actor(5, 20, 30, 120), Actor(6, 180, 30, 120)
        return [left] if i < 12 else [right] if i < 22 else [left, right]

    return make(tmp_path, (12, 10, 15), script)


def test_people_of_several_shots(plan: Plan) -> None:
    people = people_of(plan, Embeddings([ANNA, BEN, BEN, ANNA]))
    assert [p.name for p in people] == ["person:1", "person:2"]
    assert [[t.number for t in p.tracks] for p in people] == [[0, 3], [1, 2]]
    assert [p.seconds for p in people] == [pytest.approx(27 / 25), pytest.approx(25 / 25)]
    assert people[1].first == pytest.approx(12 / 25)
    assert people[1].last == pytest.approx(36 / 25)
    rows = as_table(people)
    assert rows[0] | {"face_height": 0, "first": 0} == {
        "person": 1,
        "face": "person:1",
        "seconds": 1.08,
        "seconds_speaking": None,
        "first": 0,
        "last": 1.44,
        "shots": [0, 2],
        "tracks": [0, 3],
        "face_height": 0,
    }


def test_two_faces_of_a_picture_are_two_people(plan: Plan) -> None:
    people = people_of(plan, Embeddings([ANNA, BEN, ANNA, ANNA]))
    assert [[t.number for t in p.tracks] for p in people] == [[0, 2], [1], [3]]


def test_a_person_is_chosen_by_name_and_by_point(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "identity_network", lambda: Embeddings([ANNA, BEN, BEN, ANNA]))
    assert schedule.select(plan, "person:2", VIDEO) == {1, 2}
    assert schedule.select(plan, "person:1,2", VIDEO) == {0, 1, 2, 3}
    # The middle of Anna's crop in the third shot.
    assert schedule.select(plan, "80,90@1.2", VIDEO) == {0, 3}
    assert schedule.select(plan, "240,90@0.6", VIDEO) == {1, 2}
    with pytest.raises(LipwrightError, match="no person 3"):
        schedule.select(plan, "person:3", VIDEO)
    with pytest.raises(LipwrightError, match=r"no usable face at 300,90 .* 0.2 s"):
        schedule.select(plan, "300,90@0.2", VIDEO)


@pytest.mark.parametrize("face", ["person:", "person:x", "1,2@", "@3", "1@2", "person", "1,2,3@4"])
def test_what_names_nobody_is_refused(face: str) -> None:
    with pytest.raises(LipwrightError, match="lipwright faces"):
        DubOptions(face=face).check()
    for right in ("person:1", "person:2,3", "320,180@2.5", "7", "0,1"):
        DubOptions(face=right).check()


def test_the_sheet_shows_every_person(plan: Plan) -> None:
    people = people_of(plan, Embeddings([ANNA, BEN, BEN, ANNA]))
    one = draw_people(plan, people[:1], "v.mp4")
    both = draw_people(plan, people, "v.mp4")
    assert both.shape[0] - one.shape[0] > SIDE
    assert both.shape[1] == one.shape[1]
    # As many pictures as there are reference frames, six at the most.
    row = both[62 : 62 + SIDE, 28 + 250 :]
    filled = (row != np.array(PAPER, np.uint8)).any(axis=(0, 2)).sum() // SIDE
    of_first = sum(len(plan.references(track)) for track in people[0].tracks)
    assert filled == min(6, of_first)


def test_sheet_and_table_are_written(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_report, "planned", lambda *a, **k: nullcontext(plan))
    people, files = people_report.write_people(
        VIDEO, tmp_path / "out", embed=Embeddings([ANNA, BEN, BEN, ANNA])
    )
    assert len(people) == 2
    assert [file.name for file in files] == ["people.png", "people.json"]
    assert all(file.stat().st_size > 0 for file in files)
    (tmp_path / "file").write_text("")
    with pytest.raises(LipwrightError, match="cannot be made"):
        people_report.write_people(
            VIDEO, tmp_path / "file" / "out", embed=Embeddings([ANNA, BEN, BEN, ANNA])
        )
