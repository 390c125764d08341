"""The first singular triple is that of the full decomposition."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lipwright.provenance.singular import join_blocks, leading_triple, split_blocks

Floats = npt.NDArray[np.float64]


def check(blocks: Floats) -> None:
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
    check(128.0 + rng.uniform(-spread, spread, (4, 4, 500)))


def test_hard_blocks() -> None:
    equal = np.eye(4)[:, :, None] * 50.0  # four equal singular values
    opposite = np.diag([7.0, -7.0, 1.0, 0.0])[:, :, None]
    across = np.array([[1.0, -1.0] * 2] * 4)[:, :, None]  # orthogonal to the starting vector
    checks = np.array([[1.0, -1.0] * 2, [-1.0, 1.0] * 2] * 2)[:, :, None]
    check(np.concatenate([equal, opposite, across, checks], axis=2))


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
