"""Regions: where the landmark network looks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipwright.faces import landmarks as L
from lipwright.faces.detector import Detection

from .shapes import AVERAGE, face


def real(points):
    """Only the points that the made-up face has, the others on top of the nose."""
    return points[list(AVERAGE), :2]


def corners(region):
    matrix = region.to_display(2)  # pixel centres 0 and 1: edges at -0.5 and 1.5
    outer = np.array([[-0.5, -0.5], [1.5, -0.5], [1.5, 1.5], [-0.5, 1.5]])
    return outer @ matrix[:, :2].T + matrix[:, 2]


@given(st.floats(-3, 3), st.floats(10, 900), st.sampled_from([1, 2, 192, 256]))
def test_region_to_display_spans_the_square(angle, side, size):
    region = L.Region((100.0, 50.0), side, angle)
    matrix = region.to_display(size)
    middle = matrix[:, :2] @ np.full(2, (size - 1) / 2) + matrix[:, 2]
    np.testing.assert_allclose(middle, [100, 50], atol=1e-9)
    step = np.hypot(*matrix[:, 0])
    assert step == pytest.approx(side / size)
    assert np.arctan2(matrix[1, 0], matrix[0, 0]) == pytest.approx(angle)


@pytest.mark.parametrize("roll", [-60, -20, 0, 20, 60, 150])
def test_region_of_points_turns_with_the_face(roll):
    points = face((300, 200), 80, roll=roll)
    region = L.region_of_points(points)
    assert np.degrees(region.angle) == pytest.approx(roll, abs=1.0)
    upright = L.region_of_points(face((300, 200), 80))
    assert region.side == pytest.approx(upright.side, rel=1e-3)
    x, y = real(face((300, 200), 80)).T
    assert upright.side == pytest.approx(1.5 * max(np.ptp(x), np.ptp(y)), rel=1e-3)
    expected = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
    np.testing.assert_allclose(upright.centre, expected, atol=1e-2)
    inside = np.linalg.norm(real(points) - np.array(region.centre), axis=1)
    assert inside.max() < region.side / 2 * 1.01


def test_region_of_detection():
    keypoints = np.zeros((6, 2))
    keypoints[0], keypoints[1] = (100, 100), (120, 120)
    region = L.region_of_detection(Detection(np.array([80.0, 90, 140, 130]), keypoints, 1.0))
    assert region.centre == (110.0, 110.0)
    assert region.side == 90.0
    assert np.degrees(region.angle) == pytest.approx(45)


def test_sample_patch_is_exact_at_whole_pixels():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    shift = np.array([[1.0, 0, 7], [0, 1.0, 3]])
    np.testing.assert_array_equal(L.sample_patch(image, shift, (20, 10)), image[3:13, 7:27])
    outside = L.sample_patch(image, np.array([[1.0, 0, 45], [0, 1.0, -5]]), (10, 10))
    assert not outside[:5].any()
    assert not outside[:, 5:].any()


def test_sample_patch_averages_where_it_shrinks():
    fine = np.indices((400, 400)).sum(axis=0) % 2 * 255  # a checkerboard: grey from afar
    image = np.repeat(fine[..., None], 3, axis=2).astype(np.uint8)
    region = L.Region((200.0, 200.0), 300.0, 0.3)
    patch = L.sample_patch(image, region.to_display(50), (50, 50))
    assert np.abs(patch.astype(int) - 127).max() <= 12


def test_sample_patch_keeps_places_where_it_shrinks():
    y, x = np.mgrid[0:300, 0:400]
    image = np.stack([x / 400 * 255, y / 300 * 255, x * 0], axis=2).astype(np.uint8)
    matrix = L.Region((210.0, 160.0), 200.0, 0.2).to_display(40)
    patch = L.sample_patch(image, matrix, (40, 40)).astype(float)
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(40)), axis=2)
    where = grid @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(patch[..., 0], where[..., 0] / 400 * 255, atol=2)
    np.testing.assert_allclose(patch[..., 1], where[..., 1] / 300 * 255, atol=2)


@pytest.mark.parametrize("centre", [(-500.0, 20.0), (3000.0, 3000.0), (0.0, 0.0)])
def test_sample_patch_beyond_the_picture(centre):
    image = np.full((20, 30, 3), 255, np.uint8)
    patch = L.sample_patch(image, L.Region(centre, 600.0, 0.1).to_display(64), (64, 64))
    assert patch.shape == (64, 64, 3)
