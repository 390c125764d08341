"""Agreement of lips and sound: planted shifts, gaps, and what has nothing to do with each other."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.lip_agreement import (
    REACH,
    agreement,
    agreement_curve,
    certainty,
    correlation,
    needed,
)


def motion(frames: int, seed: int) -> np.ndarray:
    """(T, 3) smooth random motion."""
    noise = np.random.default_rng(seed).standard_normal((frames, 3))
    return np.stack([np.convolve(c, np.ones(3) / 3, "same") for c in noise.T], axis=1)


def test_correlation_by_hand() -> None:
    """Weights 0.6, 0.2, 0.2: the first column agrees, the second is reversed, the third is still.

    Fewer frames than the trend's window hold no trend but their mean.
    """
    a = np.array([1.0, 0, -1, 0, 1, 0, -1, 0])
    measured = np.stack([a, a, a], axis=1)
    told = np.stack([2 * a + 5, -a, np.zeros(8)], axis=1)
    assert correlation(measured, told, (0.6, 0.2, 0.2)) == pytest.approx(0.6 - 0.2, abs=1e-6)


@pytest.mark.parametrize("late", [-6, 0, 3])
def test_a_planted_shift_is_found_across_gaps(late: int) -> None:
    """Sound that comes ``late`` frames after the lips."""
    told = motion(250 + 2 * REACH, 1)
    first = REACH + late
    measured = told[first : first + 250] + 0.5 * motion(250, 2)
    measured[60:90] = np.nan
    found = agreement(agreement_curve(measured, told), 220)
    assert found.offset == late
    assert found.sure
    assert found.peak > 0.7
    if late == 0:
        assert found.here == found.peak


def test_another_sound_is_not_believed() -> None:
    sure = 0
    for seed in range(20):
        curve = agreement_curve(motion(150, seed), motion(150 + 2 * REACH, 100 + seed))
        sure += agreement(curve, 150).sure
    assert sure <= 1


def test_shifts_without_sound_are_not_judged() -> None:
    told = np.full((60 + 2 * REACH, 3), np.nan)
    told[REACH : REACH + 60] = motion(60, 3)
    curve = agreement_curve(told[REACH : REACH + 60], told)
    assert np.isfinite(curve).all()
    assert int(np.argmax(curve)) == REACH
    told[REACH + 30 :] = np.nan  # half a second too little at late shifts
    assert np.isnan(agreement_curve(told[REACH : REACH + 60], told)[-1])


def test_certainty_by_hand() -> None:
    curve = np.zeros(2 * REACH + 1)
    curve[REACH] = 0.5
    assert certainty(curve, 100) == pytest.approx(0.5 * 5)
    assert needed(4) == pytest.approx(2.9)
