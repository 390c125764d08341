from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipwright.dubbing import composite

S = 64
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def picture(seed: int, size: int = S) -> composite.Array:
    return np.random.default_rng(seed).random((size, size, 3), dtype=np.float32)


def flat(value: float, size: int = S) -> composite.Array:
    return np.full((size, size, 3), value, np.float32)


def disc(size: int = S) -> composite.Array:
    y, x = np.mgrid[:size, :size]
    r = np.hypot(x - size / 2, y - 0.7 * size)
    return np.clip((0.25 * size - r) / (0.1 * size), 0, 1).astype(np.float32)


def similarity(scale: float, degrees: float, tx: float, ty: float) -> np.ndarray:
    a = np.radians(degrees)
    return np.array(
        [[scale * np.cos(a), -scale * np.sin(a), tx], [scale * np.sin(a), scale * np.cos(a), ty]]
    )


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(0.3, 5),
    degrees=st.floats(-40, 40),
    tx=st.floats(-30, 30),
    ty=st.floats(-30, 30),
    seed=st.integers(0, 5),
)
def test_nothing_edited_changes_nothing_at_all(
    scale: float, degrees: float, tx: float, ty: float, seed: int
) -> None:
    copy = picture(seed)
    edit = composite.prepare(copy, copy.copy(), picture(seed + 1), disc())
    region = picture(9, 120)
    difference, mask = composite.delta(edit, region, similarity(scale, degrees, tx, ty))
    assert not difference.any()
    assert mask.min() >= 0
    assert mask.max() <= 1


def test_no_mask_no_change() -> None:
    edit = composite.prepare(picture(1), picture(2), picture(3), np.zeros((S, S), np.float32))
    difference, mask = composite.delta(edit, picture(4), IDENTITY)
    assert not difference.any()
    assert not mask.any()
    assert composite.bounds(edit.mask, IDENTITY) is None


def test_small_edit_is_added_and_the_source_keeps_its_texture() -> None:
    edit = composite.prepare(flat(0.52), flat(0.50), flat(0.3), np.ones((S, S), np.float32))
    assert edit.replace.max() == 0
    region = picture(5)
    difference, _ = composite.delta(edit, region, IDENTITY)
    inner = difference[8:-8, 8:-8]
    assert np.abs(inner - 0.02).max() < 1e-6


def test_large_edit_is_the_drawn_face_with_its_colour_put_right() -> None:
    # G = 0.7, B = 0.4, F = 0.45: the network draws this face 0.05 too dark
    edit = composite.prepare(flat(0.7), flat(0.4), flat(0.45), np.ones((S, S), np.float32))
    assert edit.replace.min() == pytest.approx(1)
    region = picture(6)
    difference, _ = composite.delta(edit, region, IDENTITY)
    out = (region + difference)[4:-4, 4:-4]
    assert np.abs(out - 0.75).max() < 1e-5


def test_middle_edit_by_hand() -> None:
    middle = (composite.SMALL_EDIT + composite.LARGE_EDIT) / 2  # smooth step of 1/2 is 1/2
    mask = np.full((S, S), 0.8, np.float32)
    edit = composite.prepare(flat(0.5 + middle), flat(0.5), flat(0.5), mask)
    difference, mask = composite.delta(edit, flat(0.2), IDENTITY)
    assert mask[32, 32] == pytest.approx(0.8)
    expected = 0.8 * (0.5 * middle + 0.5 * (0.5 + middle - 0.2))
    assert difference[32, 32] == pytest.approx(np.full(3, expected), abs=1e-5)


def test_strength_scales_the_difference() -> None:
    edit = composite.prepare(picture(1), picture(2), picture(3), disc())
    full, _ = composite.delta(edit, picture(4), IDENTITY)
    half, mask = composite.delta(edit, picture(4), IDENTITY, strength=0.5)
    assert np.allclose(half, full / 2, rtol=0, atol=1e-6)
    assert mask.max() == pytest.approx(0.5)


def test_weight_is_continuous_in_the_edit_and_in_space() -> None:
    last = -1.0
    for value in np.linspace(0, 0.2, 60):
        r = composite.replacement(flat(float(value)))
        assert r.max() - r.min() < 1e-4
        assert 0 <= float(r[0, 0]) - last < 0.15 or last < 0
        last = float(r[0, 0])
    assert last == pytest.approx(1, abs=1e-5)
    spot = np.zeros((128, 128, 3), np.float32)
    spot[80:90, 50:80] = 0.5
    r = composite.replacement(spot)
    assert r[85, 65] > 0.95
    assert r[10, 10] == 0
    assert max(np.abs(np.diff(r, axis=0)).max(), np.abs(np.diff(r, axis=1)).max()) < 0.3


def test_without_a_baseline_the_rim_matches_the_source() -> None:
    source, drawn = flat(0.6), flat(0.6)
    drawn[..., 0] -= 0.1  # the network draws too little red
    drawn[40:50, 28:38] += 0.2  # and a mouth
    edit = composite.prepare(drawn, None, source, disc())
    difference, mask = composite.delta(edit, source, IDENTITY)
    rim = (mask > 0.02) & (mask < 0.3)
    assert np.abs(difference[rim]).max() < 0.02
    assert (source + difference)[45, 32] == pytest.approx([0.8, 0.8, 0.8], abs=0.03)


def test_of_a_redrawn_face_nothing_of_the_source_is_left() -> None:
    # The drawn face equals the copy, so as an edit it would be nothing at all.
    copy, source = flat(0.5), flat(0.6)
    source[40:44, 30:34] = 0.7
    edit = composite.prepare(copy, copy.copy(), source, disc(), redrawn=True)
    difference, mask = composite.delta(edit, source, IDENTITY)
    shown = source + difference
    inside = mask == 1
    # Only the colour error of the copy, 0.1, is corrected; the spot of 16 pixels in it is spread
    # over the Gaussian, whose peak is 1 / (2 pi sigma^2) with sigma = 0.06 * 64.
    peak = 0.1 * 16 / (2 * np.pi * (0.06 * S) ** 2)
    assert inside[40:44, 30:34].all()
    np.testing.assert_allclose(shown[42, 32], 0.6 + peak, atol=4e-3)
    assert shown[42, 32, 0] < 0.62
    assert composite.is_overlay(edit)


def test_detail_off_pastes_the_face() -> None:
    edit = composite.prepare(flat(0.52), flat(0.50), flat(0.5), disc(), detail="off")
    assert edit.replace.min() == 1


def test_bounds_hold_all_of_the_mask() -> None:
    mask = disc()
    for a, degrees, x, y in ((3.3, 25, 140, 107), (0.4, -70, 150, 150), (1, 0, 100, 100)):
        matrix = similarity(a, degrees, x, y)
        edit = composite.prepare(flat(0.9), flat(0.1), flat(0.1), mask)
        _, whole = composite.delta(edit, flat(0.1, 400), matrix)
        box = composite.bounds(mask, matrix)
        assert box is not None
        x0, y0, x1, y1 = box
        outside = whole.copy()
        outside[y0:y1, x0:x1] = 0
        assert not outside.any()
        assert whole.any()


def test_small_faces_are_not_aliased() -> None:
    stripes = flat(0.0)
    stripes[:, ::2] = 1.0
    edit = composite.prepare(stripes, flat(0.5), flat(0.5), np.ones((S, S), np.float32), "off")
    difference, _ = composite.delta(edit, flat(0.5, 16), similarity(0.25, 0, 0, 0))
    assert np.abs(difference[2:-2, 2:-2]).max() < 0.03


def test_sharpening_is_bounded() -> None:
    step = flat(0.2)
    step[:, 32:] = 0.8
    sharp = composite.sharpen(step)
    assert np.abs(sharp - step).max() <= composite.SHARPEN_LIMIT + 1e-6
    assert np.allclose(composite.sharpen(flat(0.4)), 0.4, rtol=1e-6)


def test_a_restored_face_takes_over_where_it_differs() -> None:
    """It is darker than the source by less than light may be, but for a patch."""
    source = flat(0.4)
    restored = source - np.float32(0.03)
    restored[38:46, 28:36] += 0.3
    mask = disc()
    edit = composite.prepare(flat(0.0), None, source, mask, restored=restored)
    difference, _ = composite.delta(edit, source, IDENTITY)
    assert difference[42, 32] / mask[42, 32] == pytest.approx(np.full(3, 0.3), abs=1e-3)
    assert not difference[:10].any()
    assert not edit.replace[34, 54:].any()


def test_a_restored_face_like_the_source_changes_nothing() -> None:
    """Neither in another light nor with its grain a pixel off."""
    source = composite.low_frequencies(picture(2)) + 0.01 * (picture(3) - 0.5)
    restored = np.roll(source, 1, axis=1) + np.float32(0.04)
    edit = composite.prepare(flat(0.0), None, source, disc(), restored=restored)
    difference, _ = composite.delta(edit, picture(4), IDENTITY)
    assert not difference.any()


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_finer_restored_face_lies_in_the_same_place(times: int) -> None:
    """The same smooth picture, drawn at S and finer, lands on the same pixels of the frame."""

    def ramp(size: int) -> composite.Array:
        x = (np.arange(size) + 0.5) / size
        return np.repeat((0.2 + 0.6 * x[None, :] * x[:, None])[:, :, None], 3, 2).astype(np.float32)

    mask = np.ones((S, S), np.float32)
    fine = ramp(times * S)
    edit = composite.prepare(flat(0.0), None, ramp(S), mask, "off", restored=fine)
    to_frame = similarity(3.0, 20.0, 60.0, 5.0)
    region = flat(0.5, 260)
    difference, inside = composite.delta(edit, region, to_frame)
    y, x = np.mgrid[:260, :260]
    back = np.linalg.inv(np.vstack([to_frame, [0, 0, 1]]))
    u, v = (np.tensordot(back[i, :2], np.stack([x, y]), 1) + back[i, 2] + 0.5 for i in (0, 1))
    expected = 0.2 + 0.6 * u * v / S**2
    well_inside = (u > 4) & (u < S - 4) & (v > 4) & (v < S - 4) & (inside > 0.999)
    assert well_inside.sum() > 10_000
    got = (region + difference)[:, :, 0]
    assert np.allclose(got[well_inside], expected[well_inside], rtol=0, atol=2e-3)


def test_laying_the_drawn_face_over_a_region_is_the_same_as_the_difference() -> None:
    mask, source = disc(), picture(5)
    restored = composite.low_frequencies(picture(6))
    edit = composite.prepare(flat(0.0), None, source, mask, restored=restored)
    assert composite.is_overlay(edit)
    to_region = similarity(2.5, 10.0, 30.0, 4.0)
    region = composite.low_frequencies(picture(7, 190))
    difference, inside = composite.delta(edit, region, to_region, 0.8)
    drawn, matrix, weight = composite.overlay(edit, to_region, (190, 190), 0.8)
    there = composite.warp(drawn, matrix, (190, 190), cv2.INTER_CUBIC)
    assert not weight[inside == 0].any()
    assert np.abs((there - region) * weight[:, :, None] - difference).max() < 0.02
    moved = replace(edit, change=flat(0.1))
    assert not composite.is_overlay(moved)


def test_the_source_stays_where_most_looks_show_no_face() -> None:
    """Two reference frames: one shows face everywhere, one on the left half only."""
    mask = np.ones((S, S), np.float32)
    references = np.ones((2, S // 2, S // 2), np.float32)
    references[1, :, S // 4 :] = 0.0
    right = [
        composite.support(np.array([1.0 - w, w]), references, mask)[S // 2, -4:].mean()
        for w in (0.0, 0.1, 0.45, 0.6, 0.8, 1.0)
    ]
    assert right[:2] == [1.0, 1.0]  # enough of the mixture is face
    assert 0.1 < right[3] < right[2] < 1.0
    assert right[4:] == [0.0, 0.0]
    half = composite.support(np.array([0.0, 1.0]), references, mask)
    assert np.all(half[:, : S // 2 - 2] == 1.0)
    # At the soft rim of a mask a look that lies as this frame does counts in full.
    soft = disc()
    assert composite.support(np.ones(1), soft[None], soft)[soft > 0.05] == pytest.approx(1.0)
