"""Group normalisation with known statistics."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lipwright.models.known_norms import KnownNorms, RecordedNorms
from lipwright.models.layers import norm


def layers() -> list[nn.GroupNorm]:
    torch.manual_seed(0)
    made = [norm(12, 4), norm(8, 2)]
    for layer in made:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    return made


def test_what_is_recorded_is_pytorchs_own_normalisation() -> None:
    first, second = layers()
    a, b = torch.randn(3, 12, 5, 7) * 4 + 2, torch.randn(3, 8, 2, 2)
    recorded = RecordedNorms()
    expected = F.group_norm(a, 4, first.weight, first.bias, 1e-6)
    assert torch.allclose(recorded(first, a), expected, atol=1e-5)
    assert torch.allclose(recorded(second, b), second(b), atol=1e-5)
    assert recorded.vector().shape == (3, 2 * (12 + 8))


def test_known_statistics_are_used_in_the_order_of_the_calls() -> None:
    first, second = layers()
    a, b = torch.randn(2, 12, 4, 4), torch.randn(2, 8, 4, 4)
    recorded = RecordedNorms()
    expected = recorded(first, a), recorded(second, b)
    known = KnownNorms(recorded.vector())
    assert torch.equal(known(first, a), expected[0])
    assert torch.equal(known(second, b), expected[1])


def test_a_part_is_normalised_like_the_whole() -> None:
    first, _ = layers()
    a = torch.randn(1, 12, 6, 6)
    recorded = RecordedNorms()
    whole = recorded(first, a)
    part = KnownNorms(recorded.vector())(first, a[:, :, 2:4, 1:5])
    assert torch.equal(part, whole[:, :, 2:4, 1:5])
    assert not torch.allclose(first(a[:, :, 2:4, 1:5]), part, atol=1e-2)  # its own are others
