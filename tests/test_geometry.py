"""Similarity transforms and smooth steps, for arrays and tensors alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipwright.geometry import inverse_similarity, similarity, smoothstep, transform


def test_smoothstep_by_hand() -> None:
    assert [smoothstep(s) for s in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.15625, 0.5, 1.0]
    shares = np.array([0.0, 0.25, 0.75], np.float32)
    assert smoothstep(shares).tolist() == [0.0, 0.15625, 0.84375]
    assert smoothstep(shares).dtype == np.float32
    assert torch.equal(smoothstep(torch.from_numpy(shares)), torch.from_numpy(smoothstep(shares)))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_a_known_similarity_is_found(kind: str) -> None:
    """A quarter turn to the left, twice the size, and a shift: (x, y) -> (-2y + 3, 2x + 4)."""
    points = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0], [-1.0, 1.0]])
    target = np.stack([-2 * points[:, 1] + 3, 2 * points[:, 0] + 4], axis=1)
    expected = np.array([[0.0, -2.0, 3.0], [2.0, 0.0, 4.0]])
    if kind == "torch":
        found = similarity(torch.from_numpy(points)[None], torch.from_numpy(target))[0].numpy()
    else:
        found = similarity(points[None], target)[0]
    assert np.allclose(found, expected, atol=1e-12)
    assert np.allclose(transform(found, points), target)
    assert np.allclose(transform(inverse_similarity(found), target), points)


def test_the_least_squares_similarity_of_noisy_points() -> None:
    """Against the general least squares solution of the linear system in (c, s, x, y)."""
    rng = np.random.default_rng(0)
    points, target = rng.standard_normal((2, 9, 2))
    rows, right = [], []
    for (x, y), (u, v) in zip(points, target, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        right += [u, v]
    c, s, tx, ty = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
    assert np.allclose(similarity(points, target), [[c, -s, tx], [s, c, ty]])


def test_points_without_extent_have_scale_zero() -> None:
    found = similarity(np.ones((4, 2)), np.arange(8.0).reshape(4, 2))
    assert np.allclose(found, [[0, 0, 3], [0, 0, 4]])
