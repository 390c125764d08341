"""Which references give their detail, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.enhance.choice import LIP_SPREAD, POSE_SPREAD, distances, shares


def test_two_share_by_how_much_nearer_they_are_than_the_third() -> None:
    # (4 - 1)^2 = 9 and (4 - 2)^2 = 4 of 13
    assert shares(np.array([4.0, 1.0, 2.0, 9.0])) == [
        (1, pytest.approx(9 / 13)),
        (2, pytest.approx(4 / 13)),
    ]


def test_the_second_leaves_as_it_comes_as_far_as_the_third() -> None:
    assert shares(np.array([1.0, 3.0, 3.0])) == [(0, 1.0)]
    (_, most), *rest = shares(np.array([1.0, 2.99, 3.0]))
    assert most == 1.0
    assert not rest


def test_few_references() -> None:
    assert shares(np.array([2.0, 1.0])) == [(1, 1.0)]
    assert shares(np.array([1.0, 1.0, 1.0])) == [(0, 1.0)]


def test_shares_are_continuous_along_a_motion() -> None:
    """References at 0, 1, 2, 3; a mouth that goes from 0 to 3 in small steps."""
    before = np.zeros(4)
    for step, x in enumerate(np.linspace(0, 3, 601)):
        now = np.zeros(4)
        for index, part in shares(np.abs(np.arange(4) - x)):
            now[index] = part
        assert now.sum() == pytest.approx(1.0)
        if step:
            assert np.abs(now - before).max() < 0.04
        before = now


def test_distance_of_lips_and_pose() -> None:
    lips, outline = np.zeros((40, 2)), np.zeros((5, 2))
    moved = lips + np.array([3 * LIP_SPREAD, 4 * LIP_SPREAD])
    turned = outline + np.array([POSE_SPREAD, 0])
    found = distances(
        lips, outline, np.stack([lips, moved, lips]), np.stack([outline, outline, turned])
    )
    assert found == pytest.approx([0.0, 5.0, 1.0])
