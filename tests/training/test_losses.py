"""Every loss against a value computed by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from lipwright.errors import LipwrightError
from lipwright.models.efficientnet import EfficientNetFeatures
from lipwright.training.losses import perceptual
from lipwright.training.losses.adversarial import (
    balanced,
    discriminator_hinge,
    generator_hinge,
)
from lipwright.training.losses.codes import cell_weights, code_cross_entropy, code_l1
from lipwright.training.losses.motion import STILL, closings, correlation_loss, motion_loss
from lipwright.training.losses.perceptual import (
    PerceptualLoss,
    build_perceptual,
    feature_distance,
)
from lipwright.training.losses.reconstruction import gradient_l1, mouth_weight_map, weighted_l1
from lipwright.training.losses.sync import sync_accuracy, sync_loss


def test_hinge_by_hand() -> None:
    assert discriminator_hinge(torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 0.0])).item() == 0.5
    assert generator_hinge(torch.tensor([1.0, 3.0])).item() == -2.0


def test_adaptive_weight_is_the_ratio_of_gradients() -> None:
    w = torch.ones(1, requires_grad=True)
    made = 1.0 * w
    _, lam = balanced(made, w, (3.0 * made).sum(), (6.0 * made).sum())
    assert lam.item() == pytest.approx(0.8 * 3.0 / (6.0 + 1e-4))
    assert not lam.requires_grad
    made = 1.0 * w
    _, silent = balanced(made, w, (3.0 * made).sum(), (0.0 * made).sum())
    assert silent.item() == pytest.approx(0.8 * 1e4)


def test_balanced_losses_by_hand() -> None:
    """made = 2 w: d rec / d w = 3 * 2, d adv / d w = 6 * 2 (w is first and last weight at once)."""
    w = torch.ones(1, requires_grad=True)
    made = 2.0 * w
    total, lam = balanced(made, w, 3.0 * made.sum(), 6.0 * made.sum())
    weight = 0.8 * 6.0 / (12.0 + 1e-4)
    assert lam.item() == pytest.approx(weight)
    assert total.item() == pytest.approx(6.0 + weight * 12.0)
    total.backward()
    assert w.grad is not None
    assert w.grad.item() == pytest.approx(6.0 + weight * 12.0)


def test_balanced_losses_have_the_gradients_of_the_adaptive_weight() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3))
    judge = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    x, y = torch.randn(6, 5), torch.randn(6, 3)
    last = network[2].weight
    made = network(x)
    rec, adv = (made - y).abs().mean(), generator_hinge(judge(made))
    norms = [torch.autograd.grad(x, last, retain_graph=True)[0].norm() for x in (rec, adv)]
    direct = rec + 0.5 * norms[0] / (norms[1] + 1e-4) * adv
    expected = torch.autograd.grad(direct, list(network.parameters()))
    made = network(x)
    rec, adv = (made - y).abs().mean(), generator_hinge(judge(made))
    total, _ = balanced(made, last, rec, adv, 0.5)
    assert total.item() == pytest.approx(direct.item(), rel=1e-6)
    found = torch.autograd.grad(total, list(network.parameters()))
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-7)
    assert all(p.grad is None for p in judge.parameters()), "the judge is not taught meanwhile"


def test_mouth_map_has_mean_one_and_favours_the_mouth() -> None:
    m = mouth_weight_map(64, 3.0)
    assert m.mean().item() == pytest.approx(1.0)
    assert m[0, 0, 42, 32].item() == pytest.approx(3.0 * m[0, 0, 2, 2].item())


def test_weighted_l1_and_gradient_l1_by_hand() -> None:
    x = torch.zeros(1, 1, 2, 2)
    y = torch.tensor([[[[1.0, 3.0], [1.0, 1.0]]]])
    w = torch.tensor([[[[1.0, 2.0], [1.0, 0.0]]]])
    assert weighted_l1(x, y, w).item() == pytest.approx((1 + 6 + 1 + 0) / 4)
    # horizontal differences -2 (weight 2) and 0; vertical 0 (weight 1) and 2 (weight 0)
    assert gradient_l1(x, y, w).item() == pytest.approx(4 / 2 + 0.0)


@pytest.mark.parametrize("loss", [weighted_l1, gradient_l1])
def test_reconstruction_gradients(loss: object) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    y = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    w = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: loss(a, y, w), (x,))  # type: ignore[operator]


def test_cell_weights_put_most_on_the_mouth() -> None:
    w = cell_weights(4.0, 1.0, 0.25)
    assert w.mean().item() == pytest.approx(1.0)
    assert w[10, 8] == w.max()
    assert w[0, 0] == w.min()


def test_code_losses_by_hand() -> None:
    w = torch.ones(16, 16)
    a = torch.zeros(1, 2, 16, 16)
    b = torch.ones(1, 2, 16, 16)
    assert code_l1(a, b, w).item() == pytest.approx(1.0)
    logits = torch.zeros(1, 5, 16, 16)
    index = torch.zeros(1, 16, 16, dtype=torch.long)
    assert code_cross_entropy(logits, index, w).item() == pytest.approx(math.log(5), rel=1e-6)


def test_code_losses_gradients() -> None:
    torch.manual_seed(0)
    w = torch.rand(16, 16, dtype=torch.float64)
    x = torch.randn(1, 2, 16, 16, dtype=torch.float64, requires_grad=True)
    y = torch.randn(1, 2, 16, 16, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: code_l1(a, y, w), (x,))


def test_sync_loss_semantics() -> None:
    one, zero = torch.tensor([1.0]), torch.tensor([0.0])
    assert sync_loss(one, one).item() < 1e-4
    assert sync_loss(one, zero).item() > 5
    assert math.isfinite(sync_loss(zero, one).item())
    half = torch.tensor([0.5])
    assert sync_loss(half, one).item() == pytest.approx(math.log(2), rel=1e-6)
    assert sync_accuracy(torch.tensor([0.9, 0.2, 0.6]), torch.tensor([1, 0, 0])).item() == (
        pytest.approx(2 / 3)
    )


def test_feature_distance_ignores_length_and_sees_direction() -> None:
    a = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    b = torch.tensor([0.0, 5.0]).reshape(1, 2, 1, 1)
    assert feature_distance([a], [3 * a]).item() == pytest.approx(0.0, abs=1e-6)
    assert feature_distance([a], [b]).item() == pytest.approx(2.0, rel=1e-5)


def test_perceptual_loss_is_frozen_and_differentiable() -> None:
    torch.manual_seed(0)
    loss = PerceptualLoss(EfficientNetFeatures())
    x = torch.rand(1, 3, 32, 32, requires_grad=True)
    value = loss(x, torch.rand(1, 3, 32, 32))
    value.backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in loss.parameters())
    assert [t.shape[1:] for t in loss.network(torch.zeros(1, 3, 32, 32))] == [
        (16, 16, 16),
        (24, 8, 8),
        (40, 4, 4),
        (80, 2, 2),
    ]


def test_motion_loss_by_hand() -> None:
    predicted = torch.tensor([[[1.0], [3.0], [9.0]]])
    real = torch.tensor([[[0.0], [1.0], [0.0]]])
    valid = torch.tensor([[True, True, False]])
    error, steps = motion_loss(predicted, real, valid)
    assert error.item() == pytest.approx((1 + 4) / 2)
    assert steps.item() == pytest.approx((2 - 1) ** 2)


def test_correlation_loss_by_hand() -> None:
    predicted = torch.tensor([[[1.0], [2.0], [3.0], [99.0]]])
    real = torch.tensor([[[2.0], [2.0], [8.0], [0.0]]])
    valid = torch.tensor([[True, True, True, False]])
    # about the means: (-1, 0, 1) and (-2, -2, 4); product 6, powers 2 and 24
    expected = 1.0 - 6.0 / ((2 + STILL) * (24 + STILL)) ** 0.5
    assert correlation_loss(predicted, real, valid).item() == pytest.approx(expected, abs=1e-6)
    everywhere = torch.ones(1, 4, dtype=torch.bool)
    assert correlation_loss(10 * predicted, 10 * predicted, everywhere).item() == pytest.approx(
        0.0, abs=1e-3
    )


def test_closings_count_more_by_hand() -> None:
    """Lips that shut between open frames are a closing, a mouth at rest far from them is none."""
    opening = torch.tensor([[0.0] * 4 + [0.1, 1.2, 0.3, 1.2] + [0.0] * 8])
    valid = torch.ones(1, 16, dtype=torch.bool)
    valid[0, 9] = False
    found = closings(opening, valid)[0].nonzero()[:, 0].tolist()
    assert found == [0, 1, 2, 3, 4, 6, 8, 10, 11, 12]
    real, predicted = opening[..., None], opening[..., None].clone()
    predicted[0, 6] += 1.0  # at the closing
    predicted[0, 15] += 1.0  # at rest
    plain, steps = motion_loss(predicted, real, valid)
    more, same = motion_loss(predicted, real, valid, closing=3.0)
    assert float(plain) == pytest.approx(2 / 15)
    assert float(more) == pytest.approx((4 + 1) / 15)
    assert float(same) == pytest.approx(float(steps))


def test_motion_losses_gradients() -> None:
    torch.manual_seed(0)
    predicted = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    real = torch.randn(2, 5, 3, dtype=torch.float64)
    valid = torch.rand(2, 5) < 0.8
    assert torch.autograd.gradcheck(lambda x: correlation_loss(x, real, valid), (predicted,))
    assert torch.autograd.gradcheck(lambda x: sum(motion_loss(x, real, valid)), (predicted,))


def test_lpips_needs_the_published_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIPWRIGHT_MODELS", str(tmp_path))
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(LipwrightError, match=r"vgg16-397923af\.pth"):
        build_perceptual("lpips")
    with pytest.raises(LipwrightError, match="use none, efficientnet or lpips"):
        build_perceptual("vgg")


def test_lpips_is_the_published_distance_frozen_and_differentiable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With random weights in the published files' layout, against the sum written out."""
    from lipwright.models.published.lpips import LPIPS

    torch.manual_seed(0)
    reference = LPIPS()
    trunk, heads, place = {}, {}, 0
    for n, stage in enumerate(reference.stages):
        place += 1 if n else 0
        for layer in stage:
            if isinstance(layer, torch.nn.Conv2d):
                trunk[f"features.{place}.weight"] = layer.weight.detach()
                trunk[f"features.{place}.bias"] = layer.bias.detach()
                place += 2
        head = reference.heads[n]
        torch.nn.init.uniform_(head.weight, 0, 1)
        heads[f"lin{n}.model.1.weight"] = head.weight.detach()
    states = {"vgg16": trunk, "lpips-heads": heads}
    monkeypatch.setattr(perceptual, "find_published", lambda name: Path(name))
    monkeypatch.setattr(perceptual, "load_state", lambda path: states[str(path)])
    loss = build_perceptual("lpips")
    assert loss is not None
    x, y = (torch.rand(2, 3, 32, 32) * 2 - 1 for _ in range(2))
    x.requires_grad_()
    value = loss(x, y)
    expected, a, b = 0.0, x.detach(), y
    shift, scale = torch.tensor([-0.03, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.45])
    a, b = ((v - shift[:, None, None]) / scale[:, None, None] for v in (a, b))
    for n, stage in enumerate(reference.stages):
        a, b = stage(a), stage(b)
        u, v = (f / f.norm(dim=1, keepdim=True) for f in (a, b))
        weight = heads[f"lin{n}.model.1.weight"].reshape(1, -1, 1, 1)
        expected += ((u - v).square() * weight).sum(1).mean().item()
    assert float(value.detach()) == pytest.approx(expected, rel=1e-4)
    value.backward()
    assert x.grad is not None
    assert bool(x.grad.any())
    assert not any(p.requires_grad for p in loss.parameters())
    assert float(loss(y, y)) == 0.0
