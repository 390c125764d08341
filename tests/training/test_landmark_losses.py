"""Losses of the landmark cascade: values by hand, gradients by differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from lipwright.models.landmark_discriminator import LandmarkDiscriminator
from lipwright.training.losses.coefficients import coefficient_loss
from lipwright.training.losses.dynamic_pixel import dynamic_pixel_loss
from lipwright.training.losses.landmark_regression import landmark_loss, landmark_weights
from lipwright.training.losses.sequence_adversarial import sequence_bce

G = torch.Generator().manual_seed(0)


def rand(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=G, dtype=torch.float64)


@pytest.mark.parametrize(("alpha", "factor"), [(0.0, 0.5), (1.0, 1.5), (0.25, 0.75)])
def test_dynamic_pixel_loss_weighs_l1_by_alpha(alpha: float, factor: float) -> None:
    v, target = rand(2, 3, 3, 4, 4), rand(2, 3, 3, 4, 4)
    weight = torch.full((2, 3, 1, 4, 4), alpha, dtype=torch.float64)
    loss = dynamic_pixel_loss(v, target, weight)
    assert float(loss) == pytest.approx(factor * float((v - target).abs().mean()))


def test_dynamic_pixel_loss_by_hand() -> None:
    v = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2).repeat(1, 3, 1, 1)
    alpha = torch.tensor([[0.0, 1.0], [0.5, 0.0]]).view(1, 1, 2, 2)
    # 1 x 0.5 + 2 x 1.5 + 3 x 1.0 + 4 x 0.5, over four pixels
    assert float(dynamic_pixel_loss(v, torch.zeros_like(v), alpha)) == pytest.approx(8.5 / 4)


def test_no_gradient_through_the_attention() -> None:
    v, target = rand(1, 3, 4, 4), rand(1, 3, 4, 4)
    alpha = rand(1, 1, 4, 4).requires_grad_()
    drawn = v.clone().requires_grad_()
    dynamic_pixel_loss(drawn, target, alpha).backward()
    assert alpha.grad is None
    assert drawn.grad is not None
    free = ((v - target).abs() * (alpha + 0.5)).mean()
    free.backward()
    assert alpha.grad is not None
    assert float(alpha.grad.min()) > 0  # without the cut, a smaller alpha would lower the loss


def test_gradcheck_of_the_dynamic_loss() -> None:
    v, target, alpha = rand(2, 3, 3, 3), rand(2, 3, 3, 3), rand(2, 1, 3, 3)
    assert gradcheck(lambda x: dynamic_pixel_loss(x, target, alpha), (v.requires_grad_(),))


def test_landmark_weights_are_on_the_heights_of_the_mouth() -> None:
    weight = landmark_weights(100.0)
    heavy = torch.nonzero(weight == 100.0).flatten().tolist()
    assert heavy == [2 * point + 1 for point in range(48, 68)]
    assert float(weight.sum()) == 116 + 20 * 100


def test_landmark_weight_is_applied_before_the_square() -> None:
    found, target = torch.zeros(1, 1, 136), torch.zeros(1, 1, 136)
    found[..., 97] = 0.1
    found[..., 0] = 0.1
    loss = landmark_loss(found, target, landmark_weights(100.0))
    assert float(loss) == pytest.approx((100.0**2 * 0.01 + 0.01) / 136)


def test_sequence_bce_by_hand_and_at_the_ends() -> None:
    p = torch.tensor([0.25, 0.5])
    assert float(sequence_bce(p, real=True)) == pytest.approx((math.log(4) + math.log(2)) / 2)
    assert float(sequence_bce(p, real=False)) == pytest.approx(
        -(math.log(0.75) + math.log(0.5)) / 2
    )
    ends = torch.tensor([0.0, 1.0])
    assert math.isfinite(float(sequence_bce(ends, real=True)))
    assert math.isfinite(float(sequence_bce(ends, real=False)))


def test_coefficient_loss_levels_the_components() -> None:
    found, target = torch.tensor([[[1.0, 2.0]]]), torch.zeros(1, 1, 2)
    assert float(coefficient_loss(found, target)) == 2.5
    assert float(coefficient_loss(found, target, torch.tensor([1.0, 0.25]))) == 1.0


def test_gradcheck_of_the_discriminators_loss() -> None:
    torch.manual_seed(0)
    discriminator = LandmarkDiscriminator(8, (2, 3), 4, 3, 1).double().eval()
    example, target = rand(2, 136), rand(2, 2, 136)
    weight = landmark_weights(10.0).double()

    def loss(frames: Tensor) -> Tensor:
        real, found = discriminator(frames, example)
        return sequence_bce(real, real=False) + landmark_loss(found, target, weight)

    # Random frames: the kinks of ReLU are hit with probability 0.
    assert gradcheck(loss, (rand(2, 2, 3, 8, 8).requires_grad_(),), eps=1e-7, atol=1e-4)
