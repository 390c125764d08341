"""The restorer and what it learns from, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lipwright.data.mouth_windows import cut_windows
from lipwright.data.packed import PackedCorpus
from lipwright.face_regions import MOUTH_WINDOW, cut_box
from lipwright.models.restorer import Restorer
from lipwright.training.drawn_mouths import (
    KERNEL,
    copy_side,
    drawn_mouths,
    encoded,
    kernel_weights,
    lip_mask,
)
from lipwright.training.mouth_copies import mouth_copies
from lipwright.training.patches import cut_patches, patch_corners
from tests.training.tiny import make_corpus

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


def test_what_the_first_stage_loses_comes_back_from_other_frames() -> None:
    """Even pictures, of which the VQGAN loses half: 0.4; others 0.2 and -0.6, weights 3/4, 1/4."""
    assert copy_side(20) == 24
    windows = torch.full((1, 3, 24, 24), 0.4)
    of_others = torch.stack([torch.full((3, 24, 24), 0.2), torch.full((3, 24, 24), -0.6)])[None]
    weights = torch.tensor([[0.75, 0.25]])
    made = drawn_mouths(0.5 * windows, 0.5 * of_others, weights, windows, of_others, 12)
    # Drawn: 0.4 / 2 + 3/4 * (0.2 - 0.1) + 1/4 * (-0.6 + 0.3) = 0.2; the source beside the lips.
    mask = lip_mask(12)
    assert mask[0, 0, 6, 6] == 1.0
    assert mask[0, 0, 0, 0] == 0.0
    assert made[0, 0, 6, 6] == pytest.approx(0.2, abs=1e-6)
    assert made[0, 0, 0, 0] == pytest.approx(0.4, abs=1e-6)
    assert torch.allclose(made, 0.4 - 0.2 * mask, atol=1e-6)


class Half(torch.nn.Module):
    """A VQGAN that loses half of everything, and counts the pictures it saw."""

    seen = 0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        self.seen += len(x)
        return 0.5 * x, None


def test_copies_are_made_once_for_every_vqgan(tmp_path: Path) -> None:
    corpus = PackedCorpus(make_corpus(tmp_path / "corpus", clips=2, frames=20))
    windows = cut_windows(corpus, tmp_path / "w", 8, 3, "packed")
    first, again, other = Half(), Half(), Half()
    made = mouth_copies(first, "a", corpus, windows, tmp_path / "w")
    assert first.seen == len(windows.pixels) == 6
    side = copy_side(corpus.size)
    assert made.shape == (6, 3, side, side)
    # Half of the brightness of the crop's own mouth window.
    frame, m = windows.clips[1].frames[2], corpus.margin
    crop = corpus.frames[frame][m : m + corpus.size, m : m + corpus.size].transpose(2, 0, 1)
    inside = cut_box(crop.astype(np.float32), MOUTH_WINDOW) / 127.5 - 1
    assert float(made[5].mean()) == pytest.approx(0.5 * float(inside.mean()), abs=5e-3)
    assert np.array_equal(mouth_copies(again, "a", corpus, windows, tmp_path / "w"), made)
    assert again.seen == 0
    mouth_copies(other, "b", corpus, windows, tmp_path / "w")
    assert other.seen == 6


def test_patches_lie_at_the_same_place_in_all_resolutions() -> None:
    corners = patch_corners(np.random.default_rng(0), 200, 12, 8)
    assert {c for corner in corners for c in corner} == {0, 2, 4}
    small = torch.arange(144.0).reshape(1, 1, 12, 12)
    large = F.interpolate(small, scale_factor=2.0)
    cut = cut_patches(small, corners, 8)
    assert cut.shape == (200, 1, 8, 8)
    y, x = corners[7]
    assert cut[7, 0, 0, 0] == 12 * y + x
    assert torch.equal(cut_patches(large, corners, 8, 2), F.interpolate(cut, scale_factor=2.0))


def test_the_codec_takes_its_share() -> None:
    ramp = torch.linspace(-0.8, 0.8, 16)
    pictures = (ramp[:, None] * ramp).expand(4, 3, 16, 16).contiguous()
    assert torch.equal(encoded(pictures, np.random.default_rng(0), 0.0), pictures)
    coded = encoded(pictures, np.random.default_rng(0), 1.0)
    assert coded.shape == pictures.shape
    assert 0.001 < float((coded - pictures).abs().mean()) < 0.1
