"""The landmark space: round trips, invariance, and where the points are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lipwright.models.landmark_space import MIRROR, STABLE, LandmarkSpace
from lipwright.training.stages.landmark_space import LandmarkSpaceConfig, fit_space, measure_space

from .landmark_shapes import clips, face, moved


@pytest.fixture(scope="module")
def space() -> LandmarkSpace:
    return fit_space(clips(), LandmarkSpaceConfig(components=6, ridge=1e-4))[0]


def test_basis_is_orthonormal_and_points_inside_come_back(space: LandmarkSpace) -> None:
    assert torch.allclose(space.basis.T @ space.basis, torch.eye(6).double(), atol=1e-10)
    h = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(space.encode(space.decode(h)), h, atol=1e-6)


def test_components_are_those_of_the_singular_value_decomposition() -> None:
    config = LandmarkSpaceConfig(components=3)
    space, explained = fit_space(clips(), config)
    shapes = [space.align(c)[0] for c in clips()]
    flat = torch.cat([5.0 * (s - s.mean(0)).flatten(1) for s in shapes])
    _, values, vectors = np.linalg.svd((flat - flat.mean(0)).numpy(), full_matrices=False)
    overlap = np.abs(vectors[:3] @ space.basis.numpy())
    assert np.allclose(overlap, np.eye(3), atol=1e-6)
    assert explained == pytest.approx((values[:3] ** 2).sum() / (values**2).sum(), abs=1e-9)


def test_six_components_explain_an_opening_mouth(space: LandmarkSpace) -> None:
    measures = measure_space(space, clips(4, seed=9))
    assert measures["held_out"] > 0.9
    assert measures["held_out_mouth"] > 0.9
    assert measures["opening_told"] > 0.9


@given(
    st.floats(0.2, 300.0), st.floats(-180.0, 180.0), st.floats(-500.0, 500.0), st.floats(0.0, 0.1)
)
def test_place_size_and_turn_do_not_matter(
    scale: float, degrees: float, shift: float, opening: float
) -> None:
    space = LandmarkSpace().double()
    space.mean.copy_(face())
    one, _ = space.align(face(opening))
    other, matrix = space.align(moved(face(opening), scale, degrees, (shift, -shift)))
    assert torch.allclose(one, other, atol=1e-7)
    back = space.place(one - face(), face(), matrix)
    assert torch.allclose(back, moved(face(opening), scale, degrees, (shift, -shift)), atol=1e-4)


def test_an_opening_mouth_does_not_move_the_rest() -> None:
    space = LandmarkSpace().double()
    space.mean.copy_(face())
    shut, opened = space.align(face(0.0))[0], space.align(face(0.1))[0]
    step = (opened - shut).norm(dim=-1)
    assert float(step[list(STABLE)].max()) < 1e-12
    assert float(step[66]) == pytest.approx(0.1)


def test_neutral_shape_of_one_picture(space: LandmarkSpace) -> None:
    clip = clips(1, frames=20, seed=5)[0]
    shapes, _ = space.align(clip)
    real = shapes.mean(0)
    widest = (shapes[:, 66, 1] - shapes[:, 62, 1]).argmax()
    single = space.neutral(shapes[widest : widest + 1])
    before = (shapes[widest] - real)[48:].norm(dim=-1).mean()
    after = (single - real)[48:].norm(dim=-1).mean()
    assert float(after) < 0.35 * float(before)


def test_fitting_is_deterministic_and_the_mean_symmetric(space: LandmarkSpace) -> None:
    again = fit_space(clips(), LandmarkSpaceConfig(components=6, ridge=1e-4))[0]
    for name, value in space.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    mirrored = space.mean[list(MIRROR)] * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    assert torch.allclose(mirrored, space.mean, atol=1e-12)


def test_mirror_is_its_own_inverse_and_keeps_the_parts() -> None:
    assert [MIRROR[MIRROR[i]] for i in range(68)] == list(range(68))
    for part in (range(17), range(17, 27), range(27, 36), range(36, 48), range(48, 68)):
        assert {MIRROR[i] for i in part} == set(part)
    assert {MIRROR[i] for i in STABLE} == set(STABLE)
    assert [MIRROR[i] for i in (8, 30, 33, 51, 57, 62, 66)] == [8, 30, 33, 51, 57, 62, 66]
