"""Power of a sound around given times, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.evaluation.metrics.sound_power import power_around


def test_mean_squares_by_hand() -> None:
    """16 samples about each time, fewer at the ends, none beyond them."""
    wave = np.zeros(1600, np.float32)
    wave[100:108] = 0.5
    times = np.array([0.0, 100 / 16000, 108 / 16000, 0.05, 1.0])
    found = power_around(wave, times, 16 / 16000)
    assert found == pytest.approx([0, 8 * 0.25 / 16, 8 * 0.25 / 16, 0, 0])
    assert power_around(wave, times[:1], 16 / 16000, later=104) == pytest.approx([0.125])
    loud = np.ones(1600, np.float32)
    assert power_around(loud, np.array([0.0]), 0.01) == pytest.approx([1.0])
