"""VQGAN: sizes of the paper, quantisers, the leak that the pose path closes."""

from __future__ import annotations

import math

import pytest
import torch

from lipwright.face_regions import blank_lower_half
from lipwright.models.cosine_quantiser import CosineQuantiser
from lipwright.models.discriminator import PatchDiscriminator
from lipwright.models.quantiser import VectorQuantiser, perplexity
from lipwright.models.vqgan import VQGAN
from tests.models.sizes import count_parameters


def small(**changes: object) -> VQGAN:
    torch.manual_seed(0)
    arguments = {
        "channels": (16, 32),
        "blocks": 1,
        "z_channels": 16,
        "dim": 8,
        "n_codes": 32,
        "groups": 8,
        **changes,
    }
    return VQGAN(**arguments).eval()  # type: ignore[arg-type]


def test_paper_size_has_the_published_parameter_count() -> None:
    with torch.device("meta"):
        model = VQGAN()
        discriminator = PatchDiscriminator()
    assert count_parameters(model.encoder) == 29_298_176
    assert count_parameters(model.decoder) == 42_449_795
    assert count_parameters(model) == 72_141_699
    assert count_parameters(discriminator) == 2_765_633
    assert model.factor == 16


def test_shapes_and_index_range() -> None:
    model = small(patch=2)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    y, quantised = model(x)
    assert y.shape == x.shape
    assert quantised.codes.shape == (2, 8, 8, 8)
    assert quantised.indices.shape == (2, 8, 8)
    assert quantised.indices.min() >= 0
    assert quantised.indices.max() < 32


@pytest.mark.parametrize("codebook", ["euclidean", "cosine"])
def test_quantising_codes_again_changes_nothing(codebook: str) -> None:
    model = small(codebook=codebook, warmup=0)
    indices = torch.randint(0, 32, (2, 4, 4))
    codes = model.quantiser.lookup(indices)
    assert torch.equal(model.quantiser.nearest(codes), indices)


def test_straight_through_gradient_is_the_identity() -> None:
    quantiser = VectorQuantiser(16, 4)
    z = torch.randn(1, 4, 3, 3, requires_grad=True)
    c = torch.randn(1, 4, 3, 3)
    (quantiser(z).codes * c).sum().backward()
    assert torch.allclose(z.grad, c)


@pytest.mark.parametrize(("legacy", "expected"), [(True, 1.25), (False, 1.25)])
def test_both_loss_orders_weigh_the_same_distance(legacy: bool, expected: float) -> None:
    quantiser = VectorQuantiser(2, 1, beta=0.25, legacy=legacy)
    quantiser.embedding.weight.data = torch.tensor([[0.0], [10.0]])
    z = torch.tensor([[[[1.0]]]], requires_grad=True)
    result = quantiser(z)
    assert result.loss.item() == pytest.approx(expected)
    result.loss.backward()
    # The commitment term pulls z, the codebook term the entry: beta is on one or the other.
    commitment, codebook = (1.0, 0.25) if legacy else (0.25, 1.0)
    assert z.grad.item() == pytest.approx(2.0 * commitment)
    assert quantiser.embedding.weight.grad[0, 0].item() == pytest.approx(-2.0 * codebook)


def test_cosine_loss_by_hand() -> None:
    quantiser = CosineQuantiser(2, 2, beta=0.5, warmup=0).eval()
    quantiser.entries.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    z = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
    result = quantiser(z)
    assert result.indices.item() == 1
    assert result.loss.item() == pytest.approx(0.5 * (2 - 2 * 0.8))
    assert torch.allclose(result.codes.flatten(), torch.tensor([0.0, math.sqrt(2)]), atol=1e-6)


def _used_after_training() -> tuple[float, CosineQuantiser, torch.Tensor]:
    """Entries in use after 100 batches drawn round 40 directions, all entries starting alike."""
    torch.manual_seed(0)
    options = {"warmup": 0, "revive_every": 2, "decay": 0.9}
    quantiser = CosineQuantiser(64, 8, **options).train()  # type: ignore[arg-type]
    quantiser.calls.fill_(1)  # past the seeding, so that the poor start stays
    quantiser.entries[:] = quantiser.entries[:1] + 0.01 * quantiser.entries
    directions = torch.nn.functional.normalize(torch.randn(40, 8), dim=1)
    used = 0.0
    for _ in range(100):
        pick = directions[torch.randint(40, (4 * 64,))] + 0.02 * torch.randn(256, 8)
        z = pick.reshape(4, 8, 8, 8).permute(0, 3, 1, 2)
        used = float(perplexity(quantiser(z).indices, 64))
    return used, quantiser, directions


def test_cosine_entries_follow_their_latents_and_dead_ones_revive() -> None:
    used, quantiser, directions = _used_after_training()
    assert used > 20
    cosines = (directions @ quantiser.entries.T).max(1).values
    assert cosines.mean() > 0.95


def test_warmup_passes_latents_and_then_seeds() -> None:
    torch.manual_seed(0)
    quantiser = CosineQuantiser(8, 4, warmup=2).train()
    z = torch.randn(1, 4, 4, 4)
    before = quantiser.entries.clone()
    for _ in range(2):
        result = quantiser(z)
        unit = torch.nn.functional.normalize(z, dim=1) * 2.0
        assert torch.allclose(result.codes, unit, atol=1e-5)
    assert torch.equal(before, quantiser.entries)
    quantiser(z)
    assert not torch.equal(before, quantiser.entries)


def test_perplexity_of_uniform_and_single_use() -> None:
    assert float(perplexity(torch.arange(16), 16)) == pytest.approx(16.0, rel=1e-3)
    assert float(perplexity(torch.zeros(16, dtype=torch.long), 16)) == pytest.approx(1.0, rel=1e-3)


def test_lower_half_leaks_into_upper_codes_but_not_into_pose_codes() -> None:
    """Why a second VQGAN is needed: masking rows of the face code does not hide the mouth."""
    model = small(attention=True, channels=(16, 32, 32))
    a = torch.rand(1, 3, 64, 64) * 2 - 1
    b = a.clone()
    b[:, :, 32:] = torch.rand(1, 3, 32, 64) * 2 - 1
    assert torch.equal(blank_lower_half(a), blank_lower_half(b))
    assert torch.equal(model.latent(blank_lower_half(a)), model.latent(blank_lower_half(b)))
    assert not torch.equal(model.latent(a)[:, :, :8], model.latent(b)[:, :, :8])


def test_blank_is_black_and_leaves_the_upper_half() -> None:
    x = torch.rand(1, 3, 8, 8)
    y = blank_lower_half(x)
    assert torch.equal(y[:, :, :4], x[:, :, :4])
    assert (y[:, :, 4:] == -1.0).all()
