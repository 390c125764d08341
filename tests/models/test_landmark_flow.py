"""Flow between landmarks: exact at lonely points, nothing far away, whatever their order."""

from __future__ import annotations

import torch

from lipwright.models.landmark_flow import GRID, centres, landmark_flow


def test_centres_are_pixel_centres() -> None:
    x = centres(4)
    assert x[0, :, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert x[:, 0, 1].tolist() == [-0.75, -0.25, 0.25, 0.75]


def test_a_lonely_point_moves_its_surroundings_back_to_where_it_came_from() -> None:
    there = torch.tensor([[[1 / 32, 1 / 32]]])  # on a centre of the grid
    here = there - torch.tensor([0.25, -0.125])
    flow = landmark_flow(here, there, centres(GRID), GRID)
    assert torch.allclose(flow[0, :, 16, 16], torch.tensor([-0.25, 0.125]), atol=1e-5)
    assert flow[0, :, :4].abs().max() < 1e-3


def test_between_two_points_it_is_their_mean() -> None:
    there = torch.tensor([[[1 / 32 - 0.5, 1 / 32], [1 / 32 + 0.5, 1 / 32]]])
    here = there - torch.tensor([[[0.1, 0.0], [0.3, 0.0]]])
    flow = landmark_flow(here, there, centres(GRID), GRID)[0, 0, 16]
    assert torch.allclose(flow[8] / flow[24], torch.tensor(0.1 / 0.3), atol=1e-3)
    middle = flow[16] / torch.exp(torch.tensor(-(0.5**2) / (2 * 0.22**2)))
    assert torch.allclose(middle, torch.tensor(-0.2), atol=1e-3)


def test_order_of_points_does_not_matter_and_rest_is_rest() -> None:
    torch.manual_seed(0)
    here, there = torch.rand(2, 2, 68, 2) - 0.5
    order = torch.randperm(68)
    places = centres(GRID)
    a = landmark_flow(here, there, places, 64)
    assert torch.allclose(a, landmark_flow(here[:, order], there[:, order], places, 64), atol=1e-5)
    assert a.shape == (2, 2, 64, 64)
    assert not landmark_flow(here, here, places, 64).any()
