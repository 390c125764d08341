"""References by opening: levels, and how much each counts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lipwright.methods.opening_levels import by_level, shares


def test_levels_by_hand() -> None:
    assert by_level([0.5, 0.0, 0.9, 0.1, 0.4]) == [[1, 3], [4], [0, 2]]
    assert by_level([0.2, 0.1]) == [[1], [], [0]]
    assert by_level([0.2]) == [[0], [], []]


def test_shares_by_hand() -> None:
    known = np.array([[0.0, 1.0, 3.0]])
    for opening, expected in (
        (-1.0, [1, 0, 0]),
        (0.25, [0.75, 0.25, 0]),
        (1.0, [0, 1, 0]),
        (2.5, [0, 0.25, 0.75]),
        (9.0, [0, 0, 1]),
    ):
        assert shares(np.array([opening]), known).tolist() == [expected]


@given(
    st.lists(st.floats(-3, 3, width=32), min_size=3, max_size=3).map(sorted),
    st.floats(-4, 4, width=32),
)
def test_shares_sum_to_one(known: list[float], opening: float) -> None:
    weights = shares(np.array([opening]), np.array([known]))
    assert weights.min() >= 0
    assert weights.sum() == 1
    assert np.count_nonzero(weights) <= 2
