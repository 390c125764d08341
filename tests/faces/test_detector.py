"""Anchors, blending and tiles of the detector; its networks are tried in test_networks."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipwright.faces import detector as D


def test_short_range_anchors():
    centres = D.SHORT_RANGE.centres()
    assert centres.shape == (16 * 16 * 2 + 8 * 8 * 6, 2)
    np.testing.assert_allclose(centres[0], [0.5 / 16, 0.5 / 16])
    np.testing.assert_allclose(centres[1], centres[0])  # two at each cell
    np.testing.assert_allclose(centres[2], [1.5 / 16, 0.5 / 16])  # x runs first
    np.testing.assert_allclose(centres[512], [0.5 / 8, 0.5 / 8])
    np.testing.assert_allclose(centres[-1], [7.5 / 8, 7.5 / 8])


def test_full_range_anchors():
    centres = D.FULL_RANGE.centres()
    assert centres.shape == (48 * 48, 2)
    np.testing.assert_allclose(centres[49], [1.5 / 48, 1.5 / 48])


def test_iou_by_hand():
    a = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]])
    expected = [[1, 1 / 3, 0, 0], [1 / 3, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(D.iou(a, a), expected)


def test_blending_by_hand():
    values = np.array(
        [
            [0.0, 0, 10, 10, 1.0],
            [2.0, 0, 12, 10, 4.0],  # overlaps the first by 2/3
            [50.0, 0, 60, 10, 7.0],
        ]
    )
    (second, low), (first, high) = D.blend_overlapping(values, np.array([0.3, 0.6, 0.95]))[::-1]
    assert (high, low) == (0.95, 0.6)
    np.testing.assert_allclose(first, values[2])
    np.testing.assert_allclose(second, (0.3 * values[0] + 0.6 * values[1]) / 0.9)


def test_blending_keeps_what_overlaps_little():
    values = np.array([[0.0, 0, 10, 10], [6.0, 0, 16, 10]])  # intersection over union 0.25
    assert len(D.blend_overlapping(values, np.array([0.9, 0.8]), threshold=0.3)) == 2
    assert len(D.blend_overlapping(values, np.array([0.9, 0.8]), threshold=0.2)) == 1


def test_blending_of_nothing_and_of_degenerate_boxes():
    assert D.blend_overlapping(np.zeros((0, 4)), np.zeros(0)) == []
    points = np.array([[5.0, 5, 5, 5], [5.0, 5, 5, 5]])
    assert len(D.blend_overlapping(points, np.array([0.9, 0.8]))) == 2


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_tiles_lie_inside_and_cover(width, height):
    found = D.tiles(width, height)
    for x, y, w, h in found:
        assert w == h >= 160
        assert 0 <= x <= width - w
        assert 0 <= y <= height - h
    if found:
        columns, rows = np.zeros(width, bool), np.zeros(height, bool)
        for x, y, w, h in found:
            columns[x : x + w] = True
            rows[y : y + h] = True
        assert columns.all()
        assert rows.all()
        assert len(found) == len({t[:2] for t in found})
    else:
        assert min(width, height, max(width, height) // 2) < 160


def test_neighbouring_tiles_overlap():
    xs = sorted({t[0] for t in D.tiles(960, 540)})
    side = D.tiles(960, 540)[0][2]
    assert all(b - a <= side * (1 - D.TILE_OVERLAP) + 1 for a, b in pairwise(xs))


@pytest.mark.parametrize("size", [(959, 100), (300, 300), (160, 200)])
def test_small_pictures_have_no_tiles(size):
    assert D.tiles(*size) == []


def test_a_place_in_a_turned_picture_is_told_in_the_picture_as_it_is():
    image = np.zeros((60, 100, 3), np.uint8)
    image[20, 70] = 255

    def search(picture, min_score):
        y, x = np.argwhere(picture[..., 0])[0]
        return np.array([[x - 2, y - 3, x + 2, y + 3, *[x, y] * 6]], float), np.array([0.9])

    detector = D.FaceDetector.__new__(D.FaceDetector)
    detector.min_score, detector._short, detector._full = 0.5, search, None
    for quarters, (values, _) in enumerate(detector._in_turned_pictures(image), 1):
        half = (3, 2) if quarters % 2 else (2, 3)
        expected = [70 - half[0], 20 - half[1], 70 + half[0], 20 + half[1], *[70, 20] * 6]
        assert values.tolist() == [expected]


def test_upright_takes_the_turn_that_scores_clearly_best():
    """A face whose eyes lie left of the mouth, detected as if it were upright."""
    from lipwright.faces.upright import PATCH, upright

    given = np.array([[40.0, 50], [60, 50], [50, 60], [50, 65], [35, 55], [65, 55]])
    detection = D.Detection(np.array([30.0, 30, 70, 70]), given, 0.7)
    image = np.zeros((100, 100, 3), np.uint8)
    calls = []

    def propose(scores):
        def found(patch):
            score = scores[len(calls) % 8]
            calls.append(patch.shape)
            box = [PATCH / 2 - 21, PATCH / 2 - 21, PATCH / 2 + 20, PATCH / 2 + 20]
            eyes = [PATCH / 2 - 10.5, PATCH / 2 - 10.5, PATCH / 2 + 9.5, PATCH / 2 - 10.5]
            return np.array([[*box, *eyes, *[PATCH / 2] * 8]]), np.array([score])

        return found

    turned = upright(detection, image, propose([0.7, 0.5, 0.9, 0.7, 0.6, 0.1, 0.7, 0.7]))
    assert calls == [(PATCH, PATCH, 3)] * 8
    eyes = turned.keypoints[1] - turned.keypoints[0]
    # A quarter turn clockwise on the screen; the patch shows 64 px on 128.
    np.testing.assert_allclose(eyes, [0, 10], atol=1e-6)
    np.testing.assert_allclose(turned.box, [39.75, 39.75, 60.25, 60.25], atol=0.3)
    not_clearly = [0.88, 0.5, 0.9, 0.7, 0.6, 0.1, 0.7, 0.7]
    not_surely = [0.3, 0.2, 0.55, 0.3, 0.2, 0.1, 0.3, 0.3]
    for scores in (not_clearly, not_surely):
        assert upright(detection, image, propose(scores)) is detection
    none = upright(detection, image, lambda patch: (np.zeros((0, 16)), np.zeros(0)))
    assert none is detection
