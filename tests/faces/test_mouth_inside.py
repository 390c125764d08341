"""The inside of a mouth whose lips were moved apart."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.faces.mouth_inside import DARK, TINT, dark_of, newly_open
from tests.models.landmark_shapes import face

S = 128


def placed(opening: float) -> np.ndarray:
    return face(opening).numpy() * 0.6 + [0.5, 0.35]


def column(here: float, there: float) -> np.ndarray:
    return newly_open(placed(here), placed(there), S)[:, S // 2]


def test_lips_that_were_closed_open_to_the_dark() -> None:
    points = placed(0.15)
    shown = column(-0.02, 0.15)
    top, bottom = points[62, 1] * S, points[66, 1] * S
    assert shown[round((top + bottom) / 2)] > 0.95
    assert shown[: int(top) - 3].max() == 0.0
    assert shown[int(bottom) + 4 :].max() == 0.0


def test_what_was_seen_stays_below_the_upper_lip() -> None:
    """Half of the opening was there before: teeth in its upper half, dark in the lower."""
    points = placed(0.16)
    shown = column(0.07, 0.16)
    top, gap = points[62, 1] * S, (points[66, 1] - points[62, 1]) * S
    assert shown[round(top + 0.2 * gap)] < 0.1
    assert shown[round(top + 0.8 * gap)] > 0.9


@pytest.mark.parametrize(("here", "there"), [(0.1, 0.1), (0.15, 0.02), (0.1, 0.101)])
def test_a_mouth_that_opens_no_further_shows_nothing_new(here: float, there: float) -> None:
    assert column(here, there).max() == 0.0


def test_the_dark_has_the_colour_of_the_lips() -> None:
    picture = np.full((S, S, 3), 0.6, np.float32)
    assert np.allclose(dark_of(picture, placed(0.0)[48:60]), 0.6 * DARK * TINT)
