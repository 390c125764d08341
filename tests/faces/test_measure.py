"""Measures read off landmarks: hand-made values and what they must not depend on."""

import numpy as np
import pytest

from lipwright.faces import measure as M

from .shapes import AVERAGE, face


def test_mouth_opening_by_hand():
    points = np.zeros((478, 2))
    points[10], points[152] = (5, 0), (5, 200)
    points[13], points[14] = (5, 100), (5, 130)
    assert M.mouth_opening(points) == pytest.approx(0.15)
    assert M.face_height(points) == 200.0


@pytest.mark.parametrize("measure", [M.mouth_opening, M.lip_shape])
def test_scale_place_and_roll_do_not_matter(measure):
    here = measure(face(size=80, opening=0.1)[:, :2])
    there = measure(face((700, 300), size=240, roll=35, opening=0.1)[:, :2])
    np.testing.assert_allclose(here, there, atol=1e-4)


def test_opening_grows_with_the_jaw():
    values = [M.mouth_opening(face(opening=o)) for o in (0.0, 0.1, 0.2, 0.3)]
    assert values == sorted(values)
    assert values[0] < 0.05 < 0.1 < values[-1]


def test_sequences_give_arrays():
    sequence = np.stack([face(opening=o) for o in (0.0, 0.1, 0.2)])
    for measure in (M.mouth_opening, M.yaw, M.face_height):
        values = measure(sequence)
        assert values.shape == (3,)
        assert values[1] == measure(sequence[1])
        assert isinstance(measure(sequence[1]), float)
    shapes = M.lip_shape(sequence)
    assert shapes.shape == (3, 40, 2)
    np.testing.assert_allclose(shapes[2], M.lip_shape(sequence[2]))


def test_lip_shape_is_in_the_coordinates_of_the_crop():
    shape = M.lip_shape(face((50, 60), 90, roll=-15))
    assert ((shape > 0.2) & (shape < 0.85)).all()
    upper, lower = M.LIP_POINTS.index(13), M.LIP_POINTS.index(14)
    assert shape[lower, 1] > shape[upper, 1]
    assert len(set(M.LIP_POINTS)) == 40
    assert set(M.LIP_POINTS) <= set(AVERAGE)


@pytest.mark.parametrize("turn", [-40, -20, 0, 20, 40])
def test_yaw_with_depth(turn):
    assert M.yaw(face(yaw=turn)) == pytest.approx(turn, abs=1.0)


def test_yaw_without_depth_has_the_same_sign():
    assert M.yaw(face(yaw=25)[:, :2]) > 10
    assert M.yaw(face(yaw=-25)[:, :2]) < -10


def test_degenerate_faces_give_numbers():
    nothing = np.zeros((478, 3))
    for measure in (M.mouth_opening, M.yaw, M.lip_shape):
        assert np.isfinite(measure(nothing)).all()
