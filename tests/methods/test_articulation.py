"""The curve by which predicted motions are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.methods.articulation import POWER, SPEAKING, stretched, unstretched

GAIN = np.array([2.0, 2.0, 1.0], np.float32)


def test_by_hand() -> None:
    """Half of a speaking mouth is drawn by the power 1.4, twice of it three times open."""
    x = np.array([[0.0, 0.5, 0.5], [1.0, 2.0, 2.0], [-0.3, 0.1, -0.3]])
    found = stretched(SPEAKING * x, GAIN) / SPEAKING
    expected = [[0.0, 0.3789291, 0.5], [1.0, 3.0, 2.0], [-0.3, 0.0398107, -0.3]]
    assert found == pytest.approx(np.array(expected), abs=1e-6)


def test_a_gain_below_the_power_has_no_kink() -> None:
    x = np.linspace(-1.0, 3.0, 4001)[:, None]
    y = stretched(x, np.array([1.3], np.float32))[:, 0].astype(np.float64)
    slope = np.diff(y) / np.diff(x[:, 0])
    middle = np.abs(x[:-1, 0] - SPEAKING) < 0.01
    assert slope[middle] == pytest.approx(1.3, abs=0.03)


def test_it_rises_without_a_jump_and_faster_beyond_a_speaking_mouth() -> None:
    x = np.linspace(-1.0, 3.0, 4001)[:, None]
    y = stretched(x, np.array([1.9], np.float32))[:, 0].astype(np.float64)
    slope = np.diff(y) / np.diff(x[:, 0])
    assert slope.min() > -1e-3
    assert np.diff(y).max() < 2.0 * 4.0 / 4000
    assert slope[x[:-1, 0] > SPEAKING + 0.01] == pytest.approx(1.9, abs=0.01)
    assert slope[np.abs(x[:-1, 0] - SPEAKING + 0.02) < 0.01] == pytest.approx(POWER, abs=0.05)


def test_the_inverse() -> None:
    y = np.random.default_rng(0).normal(size=(50, 3)) * 2
    assert stretched(unstretched(y, GAIN), GAIN) == pytest.approx(y, abs=1e-4)
    half = np.array([0.5, 0.5, 0.5], np.float32)
    assert stretched(unstretched(y, half), half) == pytest.approx(y, abs=1e-5)
    assert stretched(y, None) == pytest.approx(y, abs=1e-6)
    assert unstretched(y, None) == pytest.approx(y, abs=1e-6)
