"""Pose codes of the cells that are compared."""

from __future__ import annotations

import pytest
import torch

from lipwright.face_regions import blank_lower_half
from lipwright.models import pose_cells
from lipwright.models.gallery_generator import POSE_CELLS, GalleryGenerator
from lipwright.models.known_norms import KnownNorms, RecordedNorms
from lipwright.models.vq_pipeline import CodeEncoder
from lipwright.models.vqgan import VQGAN


def encoder() -> CodeEncoder:
    torch.manual_seed(3)
    return CodeEncoder(
        VQGAN((8, 8, 16), 1, z_channels=16, dim=8, n_codes=64, attention=False, groups=4, patch=2)
    ).eval()


def blanked() -> torch.Tensor:
    torch.manual_seed(4)
    return blank_lower_half(torch.rand(3, 3, 128, 128) * 2 - 1)


@torch.no_grad()
def test_with_all_surroundings_the_codes_are_those_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pose_cells, "MARGIN", 16)
    pose, faces, recorded = encoder(), blanked(), RecordedNorms()
    latent = pose_cells.latent(pose, faces, recorded)
    whole = pose(faces)
    assert torch.allclose(latent, pose.pre(pose.encoder(faces)), atol=1e-4)
    cells = pose_cells.compared_codes(pose, faces, KnownNorms(recorded.vector()))
    same = (cells - whole[:, :, POSE_CELLS[0], POSE_CELLS[1]]).abs().amax(1) < 1e-6
    assert same.float().mean() > 0.98  # rounding may turn a code


@torch.no_grad()
def test_with_a_margin_few_codes_change() -> None:
    pose, faces, recorded = encoder(), blanked(), RecordedNorms()
    pose_cells.latent(pose, faces, recorded)
    cells = pose_cells.compared_codes(pose, faces, KnownNorms(recorded.vector()))
    whole = pose(faces)[:, :, POSE_CELLS[0], POSE_CELLS[1]]
    assert cells.shape == whole.shape
    assert ((cells - whole).abs().amax(1) < 1e-6).float().mean() > 0.5


@torch.no_grad()
def test_a_kernel_alone_mixes_what_the_whole_generator_draws() -> None:
    torch.manual_seed(5)
    generator = GalleryGenerator(code_dim=8, lip_dim=3, correct=False)
    references = generator.encode_references(
        torch.randn(1, 4, 8, 16, 16), torch.randn(1, 4, 8, 16, 16), torch.randn(1, 4, 3)
    )
    pose, lips = torch.randn(2, 8, 16, 16), torch.randn(2, 3)
    codes, weights = generator(pose, references, lips)
    compared = pose[:, :, POSE_CELLS[0], POSE_CELLS[1]]
    again, same = generator.mix(compared, references, lips)
    assert torch.equal(weights, same)
    assert torch.equal(codes, again)
    expected = torch.einsum("br,rdhw->bdhw", weights, references.codes[0])
    expected = expected / expected.norm(dim=1, keepdim=True) * 8**0.5
    assert torch.allclose(codes, expected, atol=1e-5)
    each, many = generator.mix(compared, references.each(2), lips)
    assert torch.allclose(each, codes, atol=1e-5)
    assert torch.allclose(many, weights, atol=1e-6)
