"""Decoding of a box of the picture."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipwright.face_regions import DRAWN_BOX
from lipwright.models import region_decoder
from lipwright.models.known_norms import KnownNorms, RecordedNorms
from lipwright.models.layers import norm
from lipwright.models.region_decoder import Cut, RegionDecoder, box_cells
from lipwright.models.vqgan import Decoder

ARGUMENTS = {"z_channels": 6, "groups": 4, "blocks": 2}


def decoder(levels: int, patch: int, attention: bool = False) -> Decoder:
    torch.manual_seed(levels)
    made = Decoder(tuple([8] * levels), attention=attention, patch=patch, **ARGUMENTS)  # type: ignore[arg-type]
    for layer in made.modules():
        if isinstance(layer, nn.GroupNorm):
            nn.init.normal_(layer.weight, 1.0, 0.2)
            nn.init.normal_(layer.bias, 0.0, 0.2)
    return made.eval()


@pytest.mark.parametrize(("levels", "patch"), [(1, 1), (2, 2), (3, 2), (4, 1)])
def test_with_all_surroundings_a_box_is_the_same_as_in_the_whole(
    levels: int, patch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_decoder, "MARGIN", 64)
    monkeypatch.setattr(region_decoder, "FINEST_MARGIN", 64)
    net = decoder(levels, patch, attention=levels < 3)
    z = torch.randn(2, 6, 16, 16)
    region = RegionDecoder(net, DRAWN_BOX, 16)
    recorded = RecordedNorms()
    with torch.no_grad():
        whole = net(z, recorded)
        part = region(z, KnownNorms(recorded.vector()))
        assert torch.allclose(whole, net(z), atol=1e-4)
    assert torch.allclose(part, region.box.of(whole), atol=1e-5)


def test_with_little_surroundings_it_differs_along_its_border_only() -> None:
    net = decoder(3, 2)
    z = torch.randn(2, 6, 16, 16)
    region = RegionDecoder(net, DRAWN_BOX, 16)
    recorded = RecordedNorms()
    with torch.no_grad():
        whole = region.box.of(net(z, recorded))
        part = region(z, KnownNorms(recorded.vector()))
    away = (part - whole).abs()
    inside, border = away[:, :, 24:-1, 24:-24], away[:, :, :4]
    assert inside.mean() < 0.1 * border.mean()
    assert border.mean() < 0.5 * whole.std()


def test_less_is_computed_than_the_whole() -> None:
    net = decoder(3, 2)
    seen = []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            layer.register_forward_hook(lambda _, args, __: seen.append(args[0][0, 0].numel()))
    with torch.no_grad():
        norms = RecordedNorms()
        net(torch.randn(1, 6, 16, 16), norms)
        full = sum(seen)
        seen.clear()
        RegionDecoder(net, DRAWN_BOX, 16)(torch.randn(1, 6, 16, 16), KnownNorms(norms.vector()))
    assert sum(seen) < 0.5 * full


def test_a_box_is_laid_into_zeros() -> None:
    region = RegionDecoder(decoder(3, 2), (0.25, 0.5, 0.75, 1.0), 16)
    assert region.box == Cut(64, 128, 32, 96)
    framed = region.framed(torch.ones(1, 3, 128, 128), 2)
    assert framed.shape == (1, 3, 256, 256)
    assert framed[0, 0].sum() == 128 * 128
    assert framed[0, 0, 128:, 64:192].min() == 1.0


def test_cells_of_a_box() -> None:
    assert box_cells((0.1875, 0.46875, 0.8125, 1.0), 64) == Cut(30, 64, 12, 52)
    assert box_cells((0.1875, 0.46875, 0.8125, 1.0), 16) == Cut(7, 16, 3, 13)  # touched: all of it
    assert Cut(30, 64, 12, 52).grown(2, 64) == Cut(28, 64, 10, 54)
    assert Cut(7, 16, 3, 13).grown(1, 16) == Cut(6, 16, 2, 14)
    assert Cut(13, 32, 5, 27).grown(1, 32) == Cut(12, 32, 4, 28)
    assert Cut(6, 16, 2, 14).grown(1, 16, even=False) == Cut(5, 16, 1, 15)
    assert Cut(28, 64, 10, 54).halved() == Cut(14, 32, 5, 27)
    assert Cut(14, 32, 6, 26).within(Cut(12, 32, 4, 28)) == Cut(2, 20, 2, 22)


def test_norms_have_to_be_those_of_the_decoder() -> None:
    layer = norm(8, 4)
    with pytest.raises(RuntimeError):
        KnownNorms(torch.ones(1, 4))(layer, torch.ones(1, 8, 2, 2))
