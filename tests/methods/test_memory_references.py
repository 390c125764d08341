"""References by pose: near ones are one, the first stays unless another is clearly nearer."""

from __future__ import annotations

import numpy as np
import torch

from lipwright.methods.memory_references import (
    MOST,
    choose_references,
    nearest_pose,
    pose_of,
)
from lipwright.methods.opening_levels import MIDDLE


def heads(count: int, seed: int = 0) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear").numpy()


def test_poses_are_those_of_upper_halves() -> None:
    faces = heads(3)
    poses = pose_of(faces)
    assert np.allclose(np.linalg.norm(poses, axis=1), 1.0, atol=1e-5)
    talking = faces.copy()
    talking[:, :, 16:] = np.random.default_rng(1).random((3, 3, 16, 32))
    assert np.array_equal(pose_of(talking), poses)
    assert np.allclose(pose_of(faces * 0.5 + 0.2), poses, atol=1e-4)  # light is no pose
    assert np.isfinite(pose_of(np.zeros((1, 3, 32, 32), np.float32))).all()


def test_middling_mouths_that_look_elsewhere_give_the_poses() -> None:
    poses = pose_of(heads(9))
    openings = [0.0, 0.9, 0.1, 0.5, 0.45, 0.55, 0.8, 0.52, 0.2]
    chosen = choose_references(poses, openings)[:, MIDDLE]
    assert chosen[0] == 3  # the median of nine
    assert set(chosen) <= {3, 4, 5, 7}
    assert 1 < len(chosen) <= MOST
    ((low, middle, high),) = choose_references(poses[[0] * 9], openings).tolist()
    assert (low in (0, 2, 8), middle, high in (1, 6)) == (True, 3, True)
    assert choose_references(poses[:1], [0.3]).tolist() == [[0, 0, 0]]
    assert choose_references(poses[:2], [0.3, 0.1]).tolist() == [[1, 0, 0]]


def test_a_pose_has_the_rest_and_the_open_mouth_that_look_most_alike() -> None:
    faces = heads(3)
    turned, there, away = pose_of(faces)
    poses = np.stack([away, there, turned, there, there, away, there])
    openings = [0.0, 0.1, 0.4, 0.5, 0.6, 0.9, 0.8]
    chosen = choose_references(poses, openings)
    assert chosen[0].tolist() == [1, 3, 6]


def test_the_first_look_serves_unless_another_is_clearly_nearer() -> None:
    faces = heads(3)
    poses = pose_of(faces)
    assert nearest_pose(faces, poses).tolist() == [0, 1, 2]
    between = 0.5 * faces[:1] + 0.5 * faces[1:2]
    assert nearest_pose(between, poses[:2]).tolist() == [0]
