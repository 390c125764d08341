"""References by pose: mouths do not count, near ones are one, the first stays unless far worse."""

from __future__ import annotations

import numpy as np
import torch

from lipwright.methods.memory_references import MOST, choose_references, nearest_reference, pose_of


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


def test_only_middling_mouths_that_look_elsewhere_serve() -> None:
    poses = pose_of(heads(9))
    openings = [0.0, 0.9, 0.1, 0.5, 0.45, 0.55, 0.8, 0.52, 0.2]
    chosen = choose_references(poses, openings)
    assert chosen[0] == 3  # the median of nine
    assert set(chosen) <= {3, 4, 5, 7}
    assert 1 < len(chosen) <= MOST
    assert choose_references(poses[[0] * 9], openings) == [3]
    assert choose_references(poses[:1], [0.3]) == [0]
    assert choose_references(poses[:2], [0.3, 0.1]) == [0]


def test_the_first_look_serves_unless_another_is_clearly_nearer() -> None:
    faces = heads(3)
    poses = pose_of(faces)
    assert nearest_reference(faces, poses).tolist() == [0, 1, 2]
    between = 0.5 * faces[:1] + 0.5 * faces[1:2]
    assert nearest_reference(between, poses[:2]).tolist() == [0]
