"""How strongly an edit shows, frame by frame."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipwright.dubbing.fades import fade_frames, fades


def test_fades_by_hand() -> None:
    usable = np.array([1, 1, 1, 1, 0, 1, 1, 1, 1, 1], bool)
    strength = fades(usable, 1, True, False)
    assert strength == pytest.approx([1, 1, 1, 0.5, 0, 0.5, 1, 1, 1, 0.5])


def test_a_short_stretch_never_shows_whole() -> None:
    """Quarters of the way in, and out: smoothstep gives 5/32 and 1/2."""
    usable = np.array([0, 1, 1, 1, 0], bool)
    assert fades(usable, 3, True, True) == pytest.approx([0, 5 / 32, 1 / 2, 5 / 32, 0])


def test_a_fade_takes_twelve_hundredths_of_a_second() -> None:
    assert fade_frames(25) == 3
    assert fade_frames(Fraction(30000, 1001)) == 4
    assert fade_frames(60.0) == 8
    assert fade_frames(2) == 1
