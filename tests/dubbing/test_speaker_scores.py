"""A network that sees faces: what it is shown, when, and what its scores decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipwright.dubbing import speaker_scores as scores_module
from lipwright.dubbing.plan import Plan
from lipwright.dubbing.speaker_scores import speaker_scores
from lipwright.dubbing.speaking import Judge, who_speaks
from tests.dubbing.clips import Actor
from tests.dubbing.test_analysis import make
from tests.dubbing.test_speaking import lips_of, sound


class Network:
    """Says that whoever is on the lighter side speaks; keeps what it was shown."""

    side, face_share, lower = 16, 0.8, 0.2

    def __init__(self, speaks: dict[int, float] | None = None) -> None:
        self.shown: list[tuple[np.ndarray, np.ndarray]] = []
        self.speaks = speaks or {}

    def __call__(self, faces: np.ndarray, wave: np.ndarray) -> np.ndarray:
        assert faces.dtype == np.uint8
        assert faces.shape[1:] == (16, 16)
        self.shown.append((faces, wave))
        return np.full(len(faces), self.speaks.get(len(self.shown) - 1, 1.0))

    def evidence(self, scores: np.ndarray) -> np.ndarray:
        return 0.5 * scores


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two people for 2.4 s, of whom the second is away for 0.4 s; then one alone for 0.8 s."""

    def script(i: int) -> list[Actor]:
        left, right = Actor(5, 20, 30, 122), Actor(6, 180, 30, 120)
        if i >= 60:
            return [right]
        return [left] if 20 <= i < 30 else [left, right]

    return make(tmp_path, (60, 20), script)


def test_every_face_is_shown_with_its_sound(plan: Plan, tmp_path: Path) -> None:
    network = Network()
    wave = np.arange(80 * 640, dtype=np.float32)
    found = speaker_scores(plan, tmp_path / "v.mp4", wave, {1: 2}, network)
    assert {n: (first, len(each)) for n, (first, each) in found.items()} == {
        0: (0, 60),
        1: (0, 60),
        2: (60, 20),
    }
    assert np.isfinite(found[0][1]).all()
    assert np.isnan(found[1][1][20:30]).all()
    assert np.isfinite(np.delete(found[1][1], range(20, 30))).all()
    lengths = [(len(faces), wave.size, wave[0]) for faces, wave in network.shown]
    # Of the second person the sound comes two frames late.
    assert sorted(lengths) == [
        (20, 12800, 2 * 640),
        (20, 12800, 60 * 640),
        (30, 19200, 32 * 640),
        (60, 38400, 0),
    ]


def test_long_tracks_are_judged_in_parts(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_module, "LONGEST", 25)
    network = Network()
    found = speaker_scores(plan, tmp_path / "v.mp4", np.zeros(80 * 640, np.float32), {}, network)
    assert np.isfinite(found[0][1]).all()
    assert max(len(faces) for faces, _ in network.shown) == 25


def test_its_scores_decide_in_the_place_of_the_lips(plan: Plan, tmp_path: Path) -> None:
    # In the order in which stretches end: the second person until it goes away, the first, the
    # second again, and the one of the second shot.
    network = Network({0: 1.0, 1: -1.0, 2: 1.0, 3: -1.0})
    still = lips_of([-1] * 80)
    found = who_speaks(plan, sound(), still, Judge(network, tmp_path / "v.mp4", with_lips=False))
    assert found.rows[1][:20].all()
    assert found.rows[1][30:].all()
    assert not found.rows[0].any()
    assert not found.rows[2].any()
    # Lips that are at rest while somebody speaks weigh more than a network that is not sure.
    joined = Network({k: 0.02 * v for k, v in network.speaks.items()})
    found = who_speaks(plan, sound(), still, Judge(joined, tmp_path / "v.mp4", with_lips=True))
    assert not any(rows.any() for rows in found.rows.values())


def test_without_a_face_nothing_is_asked(tmp_path: Path) -> None:
    empty = make(tmp_path, (10,), lambda i: [])
    network = Network()
    assert speaker_scores(empty, tmp_path / "v.mp4", np.zeros(6400, np.float32), {}, network) == {}
    assert not network.shown
