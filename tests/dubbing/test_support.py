"""Which mask counts how much: weights, reference frames and faces of a track keep their order."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lipwright.dubbing import face_renderer as rendering
from lipwright.dubbing import render_job
from lipwright.dubbing.plan import SEEN, PlannedFace
from lipwright.faces.paste import OUTLINE_POINTS
from lipwright.media.mel import AudioSpec
from lipwright.methods.base import Method, MethodInfo, Rendered


def outline(middle: float) -> np.ndarray:
    """An oval of landmarks about (middle, 0.55); the lips lie in it."""
    turn = np.linspace(0.0, 2 * np.pi, len(OUTLINE_POINTS), endpoint=False)
    oval = np.stack([middle + 0.18 * np.sin(turn), 0.55 - 0.25 * np.cos(turn)], axis=1)
    return oval.astype(np.float32)


def planned(middle: float) -> PlannedFace:
    return PlannedFace(0, np.array([[100.0, 0, 0], [0, 100.0, 0]]), outline(middle), SEEN, 1.0)


@pytest.fixture
def face_renderer(monkeypatch: pytest.MonkeyPatch) -> rendering.FaceRenderer:
    """Looks at frames 7, 3 and 5; those of 7 and 5 lie left and right, that of 3 is not known."""

    def mask(face: PlannedFace, side: int, opening: float = 0.0) -> np.ndarray:
        across = (np.arange(side) + 0.5) / side
        made = np.zeros((side, side), np.float32)
        made[:, np.abs(across - face.points[:, 0].mean()) < 0.2] = 1.0
        return made

    monkeypatch.setattr(rendering, "face_mask", mask)
    faces = {7: planned(0.3), 5: planned(0.7), 3: None}
    track = SimpleNamespace(references=((7, 0.1), (3, 0.2), (5, 0.3)), face=faces.get)
    job: Any = SimpleNamespace(schedule=SimpleNamespace(track=lambda number: track))
    return rendering.FaceRenderer(job)


@pytest.mark.parametrize(
    ("weights", "left", "right"),
    [
        ([1, 0, 0], 1.0, 0.0),
        ([0, 0, 1], 0.0, 1.0),
        ([0, 1, 0], 1.0, 1.0),
        ([0.9, 0, 0.1], 1.0, 0.0),
    ],
)
def test_the_look_that_counts_says_where_there_is_face(
    face_renderer: rendering.FaceRenderer, weights: list[float], left: float, right: float
) -> None:
    wide = PlannedFace(0, planned(0.5).crop, outline(0.5), SEEN, 1.0)
    for middle, expected in ((0.3, left), (0.7, right)):
        face = PlannedFace(0, wide.crop, outline(middle), SEEN, 1.0)
        support = face_renderer._support(face, np.array(weights, np.float64))
        assert support[32, round(middle * 64)] == pytest.approx(expected)


def test_a_look_with_a_closed_mouth_covers_the_chin_of_an_open_one() -> None:
    """A portrait's landmarks; in the frame the jaw has dropped by 8 % of the face's height."""
    from lipwright.dubbing.composite import support
    from lipwright.faces.measure import CHIN
    from lipwright.faces.paste import JAW

    closed = planned(0.5)
    points = closed.points.copy()
    n = len(JAW)
    turn = np.linspace(-1.9, 1.9, n)  # the jaw from ear to ear by way of the chin
    points[:n] = np.stack([0.5 - 0.3 * np.sin(turn), 0.5 + 0.38 * np.cos(turn)], axis=1)
    points[n : n + 3] = [[0.5, 0.02], [0.5, 0.5], [0.5, 0.3]]  # forehead, tip of the nose, bridge
    points[n + 3 : n + 5] = [[0.3, 0.5], [0.7, 0.5]]
    lips = np.linspace(0.0, 2 * np.pi, len(points) - n - 5, endpoint=False)
    points[n + 5 :] = np.stack([0.5 + 0.1 * np.cos(lips), 0.66 + 0.04 * np.sin(lips)], axis=1)
    dropped = points.copy()
    down = np.clip(np.cos(turn), 0.0, 1.0)
    dropped[:n, 1] += 0.08 * 0.86 * down
    reference = rendering.face_mask(
        PlannedFace(0, closed.crop, points, SEEN, 1.0), 64, rendering.JAW_DROP
    )
    frame = rendering.face_mask(PlannedFace(0, closed.crop, dropped, SEEN, 1.0), 64)
    chin = dropped[JAW.index(CHIN)] * 64
    share = support(np.ones(1), reference[None], frame)
    assert share[round(float(chin[1])) - 1, 32] > 0.95
    narrow = rendering.face_mask(PlannedFace(0, closed.crop, points, SEEN, 1.0), 64)
    assert support(np.ones(1), narrow[None], frame)[round(float(chin[1])) - 1, 32] < 0.9


class TwoReferences(Method):
    """Restores the source from two reference frames that count alike."""

    info = MethodInfo("two", "two", 64, AudioSpec(), "none")

    def start(self, reference: np.ndarray, lips: object = None) -> None:
        assert len(reference) == 2

    def render(self, faces: np.ndarray, audio: np.ndarray, state: None) -> Rendered:
        return Rendered(faces, restored=faces, weights=np.full((len(faces), 2), 0.5))


def test_looks_of_shots_that_have_passed_are_forgotten() -> None:
    """Two shots of one frame each, with a track in each: a film has thousands."""
    tracks = {
        number: SimpleNamespace(
            references=((number, 0.1), (number, 0.2)),
            reference_lips=(np.zeros((40, 2), np.float32),) * 2,
            rest=np.zeros((40, 2)),
            rest_opening=0.0,
            face=lambda frame: planned(0.5),
        )
        for number in (0, 1)
    }
    picture = np.full((64, 64, 3), 128, np.uint8)
    schedule = SimpleNamespace(
        track=tracks.__getitem__,
        shot_pass=lambda k: k,
        timeline=SimpleNamespace(time=lambda k: Fraction(k, 25)),
        activity_of=lambda track: np.ones(2),
        plan=SimpleNamespace(references=lambda track: [picture, picture]),
    )
    audio_features = np.zeros((80, 100), np.float32)
    job: Any = SimpleNamespace(
        schedule=schedule,
        method=TwoReferences(),
        audio_features=audio_features,
        enhancer=None,
        adapted={},
        expressiveness=1.0,
        started=None,
    )
    face_renderer = rendering.FaceRenderer(job)
    for k in (0, 1):
        face = PlannedFace(k, planned(0.5).crop, outline(0.5), SEEN, 1.0)
        work: Any = SimpleNamespace(
            k=k, faces=[render_job.Face(face, np.full((64, 64, 3), 0.5, np.float32))]
        )
        face_renderer.draw([work])
        assert work.faces[0].support is not None
        assert work.faces[0].support[40, 32] == 1.0
        assert list(face_renderer._references) == [k]
