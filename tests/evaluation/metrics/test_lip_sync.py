"""Sync by lips: a planted offset, no sound, and what the values are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipwright.evaluation.faces import FaceSeries
from lipwright.evaluation.metrics import lip_sync
from lipwright.evaluation.metrics.base import Side
from lipwright.lip_motion import LipMotions
from lipwright.media.mel import AudioSpec
from lipwright.methods.base import Method, MethodInfo
from tests.faces.shapes import face

FRAMES = 120


class Predictor(Method):
    """Says that lips open as the sound's samples are, one number per 10 ms."""

    def __init__(self) -> None:
        self.info = MethodInfo("p", "p", 64, AudioSpec(), "none", whole_speech=True)
        self.motions = LipMotions(np.eye(80)[:, :2], np.array([0.02, 1.0, 1.0]))

    def speech_features(self, wave: np.ndarray) -> np.ndarray:
        columns = wave[::160]
        return np.stack([columns, np.zeros_like(columns), np.zeros_like(columns)])

    def start(self, reference: object, lips: object = None) -> None: ...

    def render(self, faces: object, audio: object, state: object) -> None: ...  # type: ignore[override]


def openings() -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0, 1, FRAMES)
    return np.convolve(noise, np.ones(3) / 3, "same")


def side(sound: np.ndarray | None, times: np.ndarray | None = None) -> Side:
    gaps = openings()
    points = np.stack([face((160.0, 100.0), 70.0, opening=0.3 * g) for g in gaps])
    points[50:60] = np.nan
    times = np.arange(FRAMES) / 25 if times is None else times
    made = Side(Path("v.mp4"), FaceSeries(times, points, np.zeros(FRAMES, np.int64)))
    made.__dict__["speech"] = sound  # a cached property
    return made


@pytest.fixture(autouse=True)
def _predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lip_sync, "predictor", Predictor)


@pytest.mark.parametrize("late", [-5, 0, 4])
def test_sound_that_is_late_is_found(late: int) -> None:
    """Only the opening of this sound is told: its weight is the peak."""
    sound = np.repeat(np.roll(openings(), late), 640).astype(np.float32)
    found = lip_sync.lip_agreement(side(sound))
    assert found is not None
    assert found.offset == late
    assert found.peak == pytest.approx(0.6, abs=0.02)
    assert found.certainty > 2.5


def test_at_30_frames_a_second() -> None:
    """The same lips shown faster go with a faster sound; rows between frames are interpolated."""
    sound = np.repeat(openings(), 533).astype(np.float32)
    found = lip_sync.lip_agreement(side(sound, np.arange(FRAMES) / 30))
    assert found is not None
    assert abs(found.offset) <= 1
    assert found.peak > 0.5


def test_without_sound_or_face_nothing_is_said() -> None:
    assert lip_sync.lip_agreement(side(None)) is None
    sound = np.repeat(openings(), 640).astype(np.float32)
    made = side(sound)
    made.series.landmarks[10:] = np.nan
    assert lip_sync.lip_agreement(made) is None
