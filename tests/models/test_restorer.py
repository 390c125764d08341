"""The restorer and what it learns from, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lipwright.models.restorer import Restorer
from lipwright.training.drawn_mouths import (
    KERNEL,
    drawn_mouths,
    encoded,
    kernel_weights,
    lip_mask,
)

SMALL = {"scale": 2, "width": 8, "blocks": 1, "groups": 4}


def test_at_first_it_enlarges_and_changes_nothing() -> None:
    network = Restorer(**SMALL).eval()
    drawn, references = torch.rand(2, 3, 12, 12) * 2 - 1, torch.rand(2, 3, 3, 24, 24) * 2 - 1
    made = network(drawn, references)
    assert made.shape == (2, 3, 24, 24)
    assert torch.equal(made, F.interpolate(drawn, size=(24, 24), mode="bicubic"))


def trained() -> Restorer:
    torch.manual_seed(0)
    network = Restorer(**SMALL).double().eval()
    torch.nn.init.normal_(network.last.weight, std=0.1)
    return network


def test_references_are_a_set_and_may_be_none() -> None:
    network = trained()
    drawn, references = torch.rand(1, 3, 8, 8).double(), torch.rand(1, 3, 3, 16, 16).double()
    made = network(drawn, references)
    assert torch.allclose(made, network(drawn, references[:, [2, 0, 1]]), atol=1e-12)
    without = network(drawn, references[:, :0])
    assert torch.isfinite(without).all()
    assert not torch.allclose(made, without)


def test_gradients() -> None:
    network = trained()
    drawn = torch.rand(1, 3, 4, 4, dtype=torch.double, requires_grad=True)
    references = torch.rand(1, 1, 3, 8, 8, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(network, (drawn, references), atol=1e-6)


def test_weights_of_other_frames() -> None:
    """One as the frame, one at the kernel's width: 1 and exp(-1/2), over their sum."""
    lips = torch.zeros(1, 40, 2)
    others = torch.zeros(1, 2, 40, 2)
    others[0, 1, :, 0] = KERNEL
    e = float(np.exp(-0.5))
    assert kernel_weights(lips, others)[0].tolist() == pytest.approx([1 / (1 + e), e / (1 + e)])


class Half(torch.nn.Module):
    """A VQGAN that loses half of everything."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        return 0.5 * x, None


def test_what_the_first_stage_loses_comes_back_from_other_frames() -> None:
    """Even pictures: the crop is 0.4, others 0.2 and -0.6 with weights 3/4 and 1/4."""
    crops = torch.full((1, 3, 20, 20), 0.4)
    others = torch.stack([torch.full((3, 20, 20), 0.2), torch.full((3, 20, 20), -0.6)])[None]
    windows = torch.full((1, 3, 24, 24), 0.4)
    of_others = torch.stack([torch.full((3, 24, 24), 0.2), torch.full((3, 24, 24), -0.6)])[None]
    weights = torch.tensor([[0.75, 0.25]])
    made = drawn_mouths(Half(), crops, others, weights, windows, of_others, 12)
    # Drawn: 0.4 / 2 + 3/4 * (0.2 - 0.1) + 1/4 * (-0.6 + 0.3) = 0.2; the source beside the lips.
    mask = lip_mask(12)
    assert mask[0, 0, 6, 6] == 1.0
    assert mask[0, 0, 0, 0] == 0.0
    assert made[0, 0, 6, 6] == pytest.approx(0.2, abs=1e-6)
    assert made[0, 0, 0, 0] == pytest.approx(0.4, abs=1e-6)
    assert torch.allclose(made, 0.4 - 0.2 * mask, atol=1e-6)


def test_the_codec_takes_its_share() -> None:
    ramp = torch.linspace(-0.8, 0.8, 16)
    pictures = (ramp[:, None] * ramp).expand(4, 3, 16, 16).contiguous()
    assert torch.equal(encoded(pictures, np.random.default_rng(0), 0.0), pictures)
    coded = encoded(pictures, np.random.default_rng(0), 1.0)
    assert coded.shape == pictures.shape
    assert 0.001 < float((coded - pictures).abs().mean()) < 0.1
