"""A face that is lost for a moment."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.dubbing.bridging import bridge
from lipwright.dubbing.plan import LOST, SEEN, TURNED_AWAY


def test_lost_rows_lie_between_their_neighbours() -> None:
    states = np.array([SEEN, LOST, LOST, SEEN, SEEN], np.uint8)
    points = np.zeros((5, 2, 2))
    points[0], points[3], points[4] = [[0, 0], [1, 1]], [[3, 6], [1, -2]], [[9, 9], [9, 9]]
    openings = np.array([0.1, 0, 0, 0.4, 0.7])
    bridge(states, points, openings)
    assert states.tolist() == [SEEN, LOST, LOST, SEEN, SEEN]
    assert points[1] == pytest.approx(np.array([[1, 2], [1, 0]]))
    assert points[2] == pytest.approx(np.array([[2, 4], [1, -1]]))
    assert openings == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.7])


@pytest.mark.parametrize("ends", [(TURNED_AWAY, SEEN), (SEEN, TURNED_AWAY)])
def test_a_gap_beside_an_unusable_face_cannot_be_used(ends: tuple[int, int]) -> None:
    states = np.array([SEEN, ends[0], LOST, LOST, ends[1], SEEN, LOST, SEEN], np.uint8)
    bridge(states, np.zeros((8, 1, 2)), np.zeros(8))
    there = [SEEN, ends[0], TURNED_AWAY, TURNED_AWAY, ends[1], SEEN, LOST, SEEN]
    assert states.tolist() == there
