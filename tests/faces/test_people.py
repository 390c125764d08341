"""Embeddings are grouped into people, and what is in one picture is never one person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from lipwright.faces.people import group


def test_near_ones_are_joined_and_numbered_in_order() -> None:
    points = [[0.0, 0.0], [9.0, 0.0], [0.1, 0.0], [9.0, 0.2], [0.0, 5.0]]
    assert group([np.array(p) for p in points], threshold=1.0) == [0, 1, 0, 1, 2]


def test_the_same_picture_shows_two_people() -> None:
    points = [np.zeros(2), np.full(2, 0.01), np.full(2, 0.02)]
    assert group(points, threshold=1.0) == [0, 0, 0]
    assert group(points, [(0, 1)], threshold=1.0) == [0, 1, 1]
    # 2 joins 1, its nearest; together they may not join 0.
    assert group(points, [(0, 1), (0, 2), (1, 2)], threshold=1.0) == [0, 1, 2]


def test_nobody_is_no_one() -> None:
    assert group([]) == []
    assert group([np.ones(3)]) == [0]


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=2, max_size=12),
    st.floats(0.1, 4.0),
)
def test_it_is_scipys_average_linkage(points: list[tuple[float, float]], threshold: float) -> None:
    places = np.round(np.array(points), 2) + 1e-4 * np.arange(2 * len(points)).reshape(-1, 2) ** 1.5
    distances = np.sort(linkage(places, "average")[:, 2])
    if len(np.unique(distances.round(6))) < len(distances):
        return  # two equal distances: either order is right
    expected = fcluster(linkage(places, "average"), threshold, "distance")
    found = np.array(group(list(places), threshold=threshold))
    same = expected[:, None] == expected[None]
    assert np.array_equal(found[:, None] == found[None], same)


@given(st.permutations(range(6)))
def test_groups_do_not_depend_on_the_order(order: list[int]) -> None:
    rng = np.random.default_rng(3)
    points = [np.array([4.0 * (i % 3), 0.0]) + rng.normal(0, 0.05, 2) for i in range(6)]
    found = group([points[i] for i in order], threshold=1.0)
    assert len(set(found)) == 3
    assert all(
        (found[a] == found[b]) == (order[a] % 3 == order[b] % 3) for a in range(6) for b in range(6)
    )
    assert found[0] == 0
    assert pytest.approx(max(found)) == 2
