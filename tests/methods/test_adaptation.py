"""The correction for one person: against NumPy's least squares, by hand, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.methods import adaptation
from lipwright.methods.adaptation import (
    LEVEL_PRIOR_FRAMES,
    MIXING,
    NEIGHBOURS,
    PRIOR_FRAMES,
    Adaptation,
    fit_adaptation,
    neighbourhoods,
    ridge,
)


def test_ridge_by_hand() -> None:
    """One input, 3 and 4: w = (3 * 6 + 4 * 8) / (9 + 16 + 5)."""
    weights = ridge(np.array([[3.0], [4.0]]), np.array([[6.0], [8.0]]), 5.0)
    assert weights == pytest.approx(np.array([[50 / 30]]))


def test_ridge_is_least_squares_with_rows_of_the_prior() -> None:
    rng = np.random.default_rng(0)
    x, y, strength = rng.standard_normal((60, 7)), rng.standard_normal((60, 3)), 11.0
    rows = np.concatenate([x, np.sqrt(strength) * np.eye(7)])
    expected = np.linalg.lstsq(rows, np.concatenate([y, np.zeros((7, 3))]), rcond=None)[0]
    assert np.allclose(ridge(x, y, strength), expected)


def test_neighbourhoods_by_hand() -> None:
    rows = np.arange(5.0)[:, None]
    assert neighbourhoods(rows)[2].tolist() == [0, 0, 1, 2, 3, 4, 4]
    assert neighbourhoods(rows, step=2)[2].tolist() == [0, 0, 0, 2, 4, 4, 4]
    assert neighbourhoods(np.zeros((9, 8))).shape == (9, (2 * NEIGHBOURS + 1) * 8)


def speech(frames: int, seed: int) -> np.ndarray:
    """(T, 2) predicted motion."""
    noise = np.random.default_rng(seed).standard_normal((frames, 2))
    return np.stack([np.convolve(c, np.ones(4) / 2, "same") for c in noise.T], axis=1)


def person(general: np.ndarray) -> np.ndarray:
    """Opens twice as far as people do, a little open; the second component goes with the opening
    of the frame before."""
    late = np.roll(general[:, 0], 1)
    return np.stack([2 * general[:, 0] + 0.3, 0.8 * late], axis=1)


def test_a_person_is_learnt_and_holds_on_other_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = speech(500, 1)
    gain = fit_adaptation(neighbourhoods(usual), usual, usual)[0].gain[0]
    assert gain == pytest.approx(MIXING)
    monkeypatch.setattr(adaptation, "MIXING", 1.0)
    general = speech(500, 1)
    found, held_out = fit_adaptation(neighbourhoods(general), general, person(general))
    other = speech(300, 2)
    columns = np.repeat(other, 4, axis=0).T  # 100 a second
    adapted = found.apply(columns)[:, ::4].T
    true = person(other)

    def error(x: np.ndarray) -> float:
        return float(np.square(x[5:-5] - true[5:-5]).mean())

    assert error(adapted) < 0.15 * error(other)
    assert np.square(held_out - person(general)).mean() < 0.15 * error(other)
    assert adapted[:, 0].std() == pytest.approx(true[:, 0].std(), rel=0.1)


def test_columns_between_frames_are_corrected_as_frames_are() -> None:
    """``apply`` looks four columns away where the fit looked one frame away."""
    general = speech(200, 3)
    found, _ = fit_adaptation(neighbourhoods(general), general, person(general))
    columns = np.repeat(general, 4, axis=0).T.astype(np.float32)
    x = general.astype(np.float64)
    by_frame = x + (neighbourhoods(x) - found.mean) @ found.weights + found.bias
    by_frame = found.centre + found.gain * (by_frame - found.centre)
    assert np.allclose(found.apply(columns)[:, 12:-12:4].T, by_frame[3:-3], atol=1e-5)


def test_little_evidence_changes_little() -> None:
    """The level of n frames counts n / (n + prior), and weights shrink as the prior grows."""
    general = speech(40, 4)
    missed = np.array([1.0, -2.0])
    found, _ = fit_adaptation(neighbourhoods(general), general, general + missed)
    assert found.bias == pytest.approx(missed * 40 / (40 + LEVEL_PRIOR_FRAMES))
    assert np.abs(found.weights).max() < 1e-9
    few = fit_adaptation(neighbourhoods(general), general, person(general))[0]
    long = speech(4000, 4)
    many = fit_adaptation(neighbourhoods(long), long, person(long))[0]
    centre = NEIGHBOURS * 2  # the frame's own opening
    assert 0 < few.weights[centre, 0] < many.weights[centre, 0] < 1.0
    assert many.weights[centre, 0] == pytest.approx(1.0, abs=0.15)


def test_chance_is_not_learnt_by_heart() -> None:
    """Lips that have nothing to do with the prediction: on unseen frames hardly worse."""
    general, lips = speech(200, 5), speech(200, 6)
    _, held_out = fit_adaptation(neighbourhoods(general), general, lips)
    mumbling = np.square(lips - lips.mean(axis=0)).mean()
    assert np.square(held_out - lips).mean() < 1.35 * mumbling
    assert np.square(held_out - lips).mean() < np.square(general - lips).mean()


def test_the_gain_stays_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "PRIOR_FRAMES", 1e9)  # then the gain does everything
    general = speech(200, 7)
    wild = general * np.array([50.0, 1.0])
    assert fit_adaptation(neighbourhoods(general), general, wild)[0].gain.tolist() == [3.0, 1.0]
    assert PRIOR_FRAMES > 0


def test_an_adaptation_without_evidence_is_none() -> None:
    same = Adaptation(np.zeros(14), np.zeros((14, 2)), np.zeros(2), np.zeros(2), np.ones(2))
    motions = speech(30, 8).T.astype(np.float32)
    assert np.allclose(same.apply(motions), motions)
