"""Wide smoothing in blocks, against the Gaussian itself."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipwright.enhance.smoothing import block_side, enlarged, in_blocks, smoothed


@pytest.mark.parametrize(("sigma", "block"), [(0.8, 1), (1.5, 1), (2.2, 2), (10.0, 8)])
def test_blocks_grow_with_the_width(sigma: float, block: int) -> None:
    assert block_side(sigma) == block


@pytest.mark.parametrize("sigma", [0.8, 1.6, 2.2, 2.5, 3.0, 5.0, 10.0])
def test_nearly_the_gaussian(sigma: float) -> None:
    """A point is spread with this standard deviation, and noise is left as weak."""
    point = np.zeros((129, 131), np.float32)
    point[64, 64] = 1.0
    spread = smoothed(point, sigma)
    down = np.arange(129) - 64
    assert spread.sum() == pytest.approx(1.0, abs=0.02)
    assert np.sqrt((spread.sum(axis=1) * down**2).sum()) == pytest.approx(sigma, rel=0.15)
    noise = np.random.default_rng(0).normal(size=(160, 160)).astype(np.float32)
    exact = cv2.GaussianBlur(noise, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    made = smoothed(noise, sigma)
    inner = np.s_[32:128, 32:128]
    assert np.std((made - exact)[inner]) < 0.35 * np.std(exact[inner])
    assert np.corrcoef(made[inner].ravel(), exact[inner].ravel())[0, 1] > 0.94


def test_even_pictures_stay_and_sizes_too() -> None:
    even = np.full((37, 51), 0.4, np.float32)
    assert np.allclose(smoothed(even, 2.2), 0.4, atol=1e-6)
    assert smoothed(even, 2.2).shape == (37, 51)
    assert in_blocks(even, 2.2).shape == (19, 26)
    assert smoothed(np.stack([even, even], axis=-1), 3.0).shape == (37, 51, 2)


@pytest.mark.parametrize("sigma", [0.8, 2.2, 5.0])
@pytest.mark.parametrize(
    ("rows", "columns"), [((0, 40), (3, 77)), ((13, 14), (0, 1)), ((7, 61), (50, 83))]
)
def test_a_part_is_a_part_of_the_whole(
    sigma: float, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    picture = np.random.default_rng(0).normal(size=(61, 83)).astype(np.float32)
    down, across = slice(*rows), slice(*columns)
    part = enlarged(in_blocks(picture, sigma), block_side(sigma), down, across)
    np.testing.assert_allclose(part, smoothed(picture, sigma)[down, across], atol=1e-6)
