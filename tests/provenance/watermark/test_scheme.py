"""The published scheme: what is written, how much it costs, and that others can read it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import structural_similarity

from lipwright.provenance.watermark.reading import Reading, votes
from lipwright.provenance.watermark.scheme import (
    half_of_rgb,
    join_blocks,
    leading_triple,
    mark_plane,
    split_blocks,
    strengths,
)
from tests.provenance.scenes import (
    mark_picture,
    portrait,
    published_library,
    read_picture,
    reference_votes,
)

Bits = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def some_bits(seed: int = 0, length: int = 32) -> Bits:
    return np.random.default_rng(seed).integers(0, 2, length).astype(np.uint8)


def psnr(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    error = ((a.astype(np.float64) - b) ** 2).mean()
    return float(10 * np.log10(255**2 / error))


def test_a_grey_block_goes_to_the_nearest_value_of_its_bit() -> None:
    """Grey has s = 8 * 128 = 1024 = 28 * 36 + 16: 9 is 7 below, 27 is 11 above."""
    half = np.full((4, 8), 128.0)
    np.testing.assert_allclose(strengths(half), 1024.0)
    change = mark_plane(half, np.array([[0, 1]], np.uint8))
    np.testing.assert_allclose(change[:, :4], -7.0 / 8.0)
    np.testing.assert_allclose(change[:, 4:], 11.0 / 8.0)


def test_the_nearest_value_may_lie_in_the_next_interval() -> None:
    """s = 1024 + 16 = 1040 = 28 * 36 + 32: a 0 is nearest at 29 * 36 + 9, 13 above."""
    half = np.full((4, 4), 130.0)
    change = mark_plane(half, np.zeros((1, 1), np.uint8))
    np.testing.assert_allclose(change, 13.0 / 8.0)


def test_the_first_singular_value_stays_the_first() -> None:
    """Dark in U and uneven: without care the target would fall below the second value."""
    rng = np.random.default_rng(3)
    half = rng.uniform(0.0, 6.0, (400, 400))
    bits = rng.integers(0, 2, (100, 100)).astype(np.uint8)
    after = votes(strengths(half + mark_plane(half, bits)), Reading())
    assert ((after > 0) == bits).all()
    assert np.abs(after).min() > 0.95


@pytest.mark.parametrize("side", [256, 512, 768])
def test_round_trip(side: int) -> None:
    bits = some_bits()
    marked = mark_picture(portrait(side, side), bits)
    mean = read_picture(marked)
    assert ((mean > 0) == bits).all()
    assert np.abs(mean).min() > 0.85


@pytest.mark.parametrize("side", [256, 768])
def test_it_is_invisible(side: int) -> None:
    picture = portrait(side, side)
    marked = mark_picture(picture, some_bits())
    assert psnr(picture, marked) > 43.0
    grey, marked_grey = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (picture, marked))
    assert structural_similarity(grey, marked_grey, data_range=255) > 0.998
    # Blue carries the mark, and the eye sees the least in it.
    assert structural_similarity(picture, marked, channel_axis=2, data_range=255) > 0.98


def test_any_size_and_length() -> None:
    bits = some_bits(1, 21)
    marked = mark_picture(portrait(333, 275), bits)
    assert ((read_picture(marked, 21) > 0) == bits).all()
    for shape in ((7, 300, 3), (1, 1, 3), (8, 8, 3)):
        tiny = np.full(shape, 90, np.uint8)
        assert mark_picture(tiny, bits).shape == shape
        assert read_picture(tiny, 21).shape == (21,)


def test_saturated_colours_are_clipped_and_do_not_wrap() -> None:
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[:, :128, 2] = 255  # pure blue
    picture[:, 128:, :2] = 255  # pure yellow
    marked = mark_picture(picture, some_bits())
    assert np.abs(marked.astype(int) - picture).max() < 20


def test_reading_by_the_published_description() -> None:
    bits = some_bits(2)
    part = reference_votes(mark_picture(portrait(256, 256), bits))
    assert ((part > 127 / 255) == bits).all()


def test_we_read_what_the_published_embedder_would_write() -> None:
    """Its target lies in the same interval of 36 as s, never in the next."""
    half = half_of_rgb(portrait(256, 256)).astype(np.float64)
    strength = strengths(half)
    bits = np.resize(some_bits(4), strength.shape)
    target = (strength // 36 + 0.25 + 0.5 * bits) * 36
    assert ((votes(target, Reading()) > 0) == bits).all()


def test_compatible_with_the_published_library() -> None:
    library = published_library()
    bits = some_bits(5)
    for side in (256, 768):
        picture = portrait(side, side)
        ours = np.ascontiguousarray(mark_picture(picture, bits)[..., ::-1])
        read = library.WatermarkDecoder("bits", 32).decode(ours, "dwtDctSvd")
        np.testing.assert_array_equal(read, bits == 1)
        encoder = library.WatermarkEncoder()
        encoder.set_watermark("bits", list(bits))
        theirs = encoder.encode(np.ascontiguousarray(picture[..., ::-1]), "dwtDctSvd")[..., ::-1]
        np.testing.assert_array_equal(read_picture(theirs) > 0, bits == 1)
        # The nearest value and the mended inverse wavelet cost less.
        assert psnr(picture, ours[..., ::-1]) > psnr(picture, theirs) + 2.0


def test_one_pixel_aside_the_published_reading_fails() -> None:
    bits = some_bits(6)
    marked = mark_picture(portrait(256, 256), bits)
    right = ((read_picture(marked[4:, 4:]) > 0) == bits).mean()
    assert right < 0.9


def test_unmarked_pictures_read_as_neither() -> None:
    mean = read_picture(portrait(512, 512))
    assert np.abs(mean).mean() < 0.5


def test_u_is_that_of_opencv() -> None:
    picture = portrait(64, 64)
    bgr = np.ascontiguousarray(picture[..., ::-1])
    plane = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV)[..., 1].astype(np.float64)
    mean = plane.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(half_of_rgb(picture), mean, atol=0.8)


def check_triple(blocks: Floats) -> None:
    value, left, right = leading_triple(blocks)
    exact = np.linalg.svd(blocks.transpose(2, 0, 1), compute_uv=False)[:, 0]
    scale = np.maximum(exact, 1.0)
    assert (np.abs(value - exact) <= 1e-6 * scale).all()
    # Moving along the pair of vectors moves the first singular value by as much.
    moved = blocks + 10.0 * left[:, None] * right[None]
    after = np.linalg.svd(moved.transpose(2, 0, 1), compute_uv=False)[:, 0]
    assert (np.abs(after - exact - 10.0) <= 1e-3 * scale).all()


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 120.0])
def test_equals_the_full_decomposition(spread: float) -> None:
    rng = np.random.default_rng(0)
    check_triple(128.0 + rng.uniform(-spread, spread, (4, 4, 500)))


def test_hard_blocks() -> None:
    equal = np.eye(4)[:, :, None] * 50.0  # four equal singular values
    opposite = np.diag([7.0, -7.0, 1.0, 0.0])[:, :, None]
    across = np.array([[1.0, -1.0] * 2] * 4)[:, :, None]  # orthogonal to the starting vector
    chequered = np.array([[1.0, -1.0] * 2, [-1.0, 1.0] * 2] * 2)[:, :, None]
    check_triple(np.concatenate([equal, opposite, across, chequered], axis=2))


def test_an_empty_and_a_zero_block() -> None:
    value, left, right = leading_triple(np.zeros((4, 4, 3)))
    np.testing.assert_array_equal(value, 0.0)
    assert np.isfinite(left).all()
    assert np.isfinite(right).all()
    assert leading_triple(np.zeros((4, 4, 0)))[0].shape == (0,)


def test_blocks_that_are_no_numbers_do_no_harm() -> None:
    value, left, right = leading_triple(np.full((4, 4, 2), np.nan))
    assert np.isfinite(value).all()
    assert np.isfinite(left).all()
    assert np.isfinite(right).all()


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, (4, 4, 3), elements=st.floats(0.0, 255.0)))
def test_any_block_of_a_picture(blocks: Floats) -> None:
    value, _, _ = leading_triple(blocks)
    exact = np.linalg.svd(blocks.transpose(2, 0, 1), compute_uv=False)[:, 0]
    np.testing.assert_allclose(value, exact, rtol=1e-6, atol=1e-6)


def test_single_precision_is_enough() -> None:
    plane = np.random.default_rng(1).uniform(90, 140, (64, 96)).astype(np.float32)
    value, _, _ = leading_triple(split_blocks(plane))
    assert value.dtype == np.float32
    exact, _, _ = leading_triple(split_blocks(plane.astype(np.float64)))
    np.testing.assert_allclose(value, exact, atol=1e-3)


def test_split_and_join() -> None:
    plane = np.arange(8.0 * 12.0).reshape(8, 12)
    blocks = split_blocks(plane)
    assert blocks.shape == (4, 4, 2, 3)
    np.testing.assert_array_equal(blocks[:, :, 1, 2], plane[4:8, 8:12])
    np.testing.assert_array_equal(join_blocks(blocks), plane)
    np.testing.assert_array_equal(split_blocks(np.pad(plane, ((0, 3), (0, 1)))), blocks)
