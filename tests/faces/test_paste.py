"""Masks and colour at the seam."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lipwright.faces import alignment, paste

from .shapes import face


def crop_of(points, size):
    return alignment.to_pixels(alignment.estimate(points), size)


@settings(deadline=None, max_examples=60)
@given(
    size=st.sampled_from([64, 96, 128, 256, 384]),
    roll=st.floats(-40, 40),
    yaw=st.floats(-30, 30),
    opening=st.floats(0, 0.25),
)
def test_lower_face_mask(size, roll, yaw, opening):
    points = face((300, 250), 140, roll=roll, yaw=yaw, opening=opening)
    to_display = crop_of(points, size)
    mask = paste.lower_face_mask(points, to_display, size)
    assert mask.shape == (size, size)
    assert mask.dtype == np.float32
    assert mask.min() >= 0.0
    assert mask.max() <= 1.0
    for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert not edge.any()
    x, y = alignment.apply(alignment.invert(to_display), (points[13] + points[14]) / 2).round()
    assert mask[int(y), int(x)] > (0.99 if abs(yaw) < 15 else 0.95)
    assert 0.02 < mask.mean() < 0.40


def at(mask, points, to_display, index, down=0.0):
    place = points[index, :2] + [0.0, down]
    x, y = alignment.apply(alignment.invert(to_display), place).round().astype(int)
    return mask[y, x]


def test_what_the_mask_covers():
    size = 128
    points = face((300, 250), 140)
    to_display = crop_of(points, size)
    mask = paste.lower_face_mask(points, to_display, size)
    for lip in (61, 291, 0, 17, 13, 14):
        assert at(mask, points, to_display, lip) > 0.95
    for eye in (33, 133, 145, 374, 362, 263, 168):
        assert at(mask, points, to_display, eye) < 0.02
    for ear in (234, 454, 93, 323):
        assert at(mask, points, to_display, ear) < 0.3
    height = points[152, 1] - points[10, 1]
    assert at(mask, points, to_display, 152) > 0.8  # the chin where it is
    assert at(mask, points, to_display, 152, 0.05 * height) > 0.3  # and where it may drop to


def test_the_mask_is_soft():
    points = face((300, 250), 140)
    mask = paste.lower_face_mask(points, crop_of(points, 128), 128)
    assert np.abs(np.diff(mask, axis=1)).max() < 0.15
    assert np.abs(np.diff(mask, axis=0)).max() < 0.15


def test_outline_points_make_the_same_mask():
    points = face((300, 250), 140, roll=10)
    to_display = crop_of(points, 96)
    outline = alignment.apply(alignment.invert(to_display), points[list(paste.OUTLINE_POINTS)])
    np.testing.assert_array_equal(
        paste.outline_mask(outline, 96), paste.lower_face_mask(points, to_display, 96)
    )


def test_masks_scale_with_the_crop():
    points = face((300, 250), 140)
    areas = [paste.lower_face_mask(points, crop_of(points, s), s).mean() for s in (64, 128, 512)]
    assert max(areas) - min(areas) < 0.02


def test_a_face_elsewhere_or_nowhere_gives_an_empty_mask():
    points = face((300, 250), 140)
    to_display = crop_of(points, 64)
    assert not paste.lower_face_mask(points + np.float32(1e7), to_display, 64).any()
    assert not paste.lower_face_mask(points * np.float32(np.nan), to_display, 64).any()
