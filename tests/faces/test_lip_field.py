"""The field around the lips, against the sum over all points as it is written."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipwright.faces.lip_field import FADE, GRID, REACH, lip_field


def directly(points: np.ndarray, steps: np.ndarray, size: int, extent: float) -> np.ndarray:
    count = round(GRID * extent)
    x, y = np.meshgrid(*[(np.arange(count) + 0.5) / count] * 2)
    squared = np.square(np.stack([x, y], -1)[:, :, None] - points).sum(-1)
    nearest = squared.min(-1, keepdims=True)
    weights = np.exp((nearest - squared) / (2 * (REACH / extent) ** 2))
    weights *= np.exp(-nearest / (2 * (FADE / extent) ** 2)) / weights.sum(-1, keepdims=True)
    field = (weights @ steps * size).astype(np.float32)
    return cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("extent", [1.0, 0.6])
@pytest.mark.parametrize("middle", [0.5, 1.4, 30.0])
def test_is_the_sum_over_the_points(extent: float, middle: float) -> None:
    """Lips far outside the picture, too: what vanishes in numbers has vanished in the fade."""
    rng = np.random.default_rng(0)
    points = middle + rng.uniform(-0.15, 0.15, (40, 2))
    steps = rng.normal(0, 0.02, (40, 2))
    made = lip_field(points, steps, 120, extent)
    assert made.shape == (120, 120, 2)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, directly(points, steps, 120, extent), atol=1e-4)
