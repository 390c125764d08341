"""Doubling a map and convolving it, in one step."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from lipwright.models.layers import Upsample


@torch.no_grad()
def test_both_ways_are_the_same_and_the_same_as_the_two_steps() -> None:
    torch.manual_seed(0)
    layer, x = Upsample(6), torch.randn(2, 6, 5, 7)
    expected = F.conv2d(
        x.repeat_interleave(2, 2).repeat_interleave(2, 3),
        layer.conv.weight,
        layer.conv.bias,
        padding=1,
    )
    assert torch.allclose(layer.train()(x), expected, atol=1e-5)
    assert torch.allclose(layer.eval()(x), expected, atol=1e-5)


@torch.no_grad()
def test_by_hand() -> None:
    """A kernel that looks one to the left and one up: the first row and column see the border."""
    layer, x = Upsample(1).eval(), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    layer.conv.weight.zero_()
    layer.conv.bias.zero_()  # type: ignore[union-attr]
    layer.conv.weight[0, 0, 0, 0] = 1.0
    expected = [[0, 0, 0, 0], [0, 1, 1, 2], [0, 1, 1, 2], [0, 3, 3, 4]]
    assert layer(x)[0, 0].tolist() == expected
