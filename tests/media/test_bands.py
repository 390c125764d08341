"""Bands of rows."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.media.bands import ROWS, bands, touched


@pytest.mark.parametrize("height", [0, 1, ROWS, ROWS + 1, 1000])
@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_every_row_once_in_multiples_of_the_step(height: int, step: int) -> None:
    found = list(bands(height, step))
    assert [row for rows in found for row in range(rows.start, rows.stop)] == list(range(height))
    assert all(rows.start % step == 0 for rows in found)


def test_what_is_touched() -> None:
    weight = np.zeros((5, 7), np.float32)
    assert touched(weight) == touched(weight, 1) == slice(0, 0)
    weight[1, 2] = weight[3, 5] = 0.1
    assert touched(weight) == slice(2, 6)
    assert touched(weight, 1) == slice(1, 4)
