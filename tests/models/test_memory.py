"""The Audio-Lip Memory: addresses, storing, recalling, aligning, and which gradients flow."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lipwright.models.memory import (
    AudioLipMemory,
    GradientRule,
    address,
    effective_slots,
    sharpness,
)
from lipwright.training.losses.memory_align import align_loss
from lipwright.training.losses.memory_store import store_loss
from lipwright.training.losses.memory_usage import entropy_loss, usage_loss


def memory(rule: GradientRule = "vam", slots: int = 7, dim: int = 5) -> AudioLipMemory:
    torch.manual_seed(0)
    return AudioLipMemory(slots, dim, 16.0, rule, audio_dim=6)


@given(st.integers(1, 9), st.integers(2, 20), st.integers(0, 1000))
def test_addresses_are_distributions(rows: int, slots: int, seed: int) -> None:
    torch.manual_seed(seed)
    m = AudioLipMemory(slots, 5)
    for found in (m.address_audio(torch.randn(rows, 5)), m.address_lips(torch.randn(rows, 5))):
        assert found.shape == (rows, slots)
        assert (found >= 0).all()
        assert torch.allclose(found.sum(-1), torch.ones(rows), atol=1e-6)


@given(st.floats(0.01, 100.0), st.integers(0, 1000))
def test_only_the_direction_of_a_feature_matters(scale: float, seed: int) -> None:
    m = memory()
    feature = torch.randn(3, 6, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(m.address_audio(feature * scale), m.address_audio(feature), atol=1e-5)


@given(st.permutations(range(7)))
def test_permuting_both_memories_changes_nothing_that_is_recalled(order: list[int]) -> None:
    m = memory()
    audio, lips = torch.randn(4, 6), torch.randn(4, 5)
    where, stored = m.address_audio(audio), m.store(lips)
    recalled = m.recall(where)
    with torch.no_grad():
        m.key.copy_(m.key[order].clone())
        m.value.copy_(m.value[order].clone())
    assert torch.allclose(m.address_audio(audio), where[:, order], atol=1e-6)
    assert torch.allclose(m.recall(m.address_audio(audio)), recalled, atol=1e-5)
    assert torch.allclose(m.store(lips).recalled, stored.recalled, atol=1e-5)


def test_address_by_hand() -> None:
    # Cosines 1, 0 and -1 with kappa 2: e^2, 1, e^-2.
    slots = torch.tensor([[3.0, 0.0], [0.0, 0.1], [-1.0, 0.0]])
    found = address(nn.Identity(), torch.tensor([[0.5, 0.0]]), slots, 2.0)[0]
    parts = torch.tensor([math.exp(2), 1.0, math.exp(-2)])
    assert torch.allclose(found, parts / parts.sum(), atol=1e-6)


def test_recall_stays_in_the_convex_hull_and_a_one_hot_address_gives_the_slot() -> None:
    m = memory()
    recalled = m.recall(m.address_audio(torch.randn(50, 6)))
    low, high = m.value.min(0).values, m.value.max(0).values
    assert ((recalled >= low - 1e-6) & (recalled <= high + 1e-6)).all()
    assert torch.equal(m.recall(torch.eye(7)), m.value)


def test_a_rate_changes_the_speed_of_learning_alone() -> None:
    torch.manual_seed(0)
    plain = AudioLipMemory(7, 5)
    fast = AudioLipMemory(7, 5, rate=8.0)
    fast.load_state_dict(
        {k: v / 8 if k in ("key", "value") else v for k, v in plain.state_dict().items()}
    )
    lips = torch.randn(4, 5)
    where = plain.address_audio(lips)
    assert torch.allclose(fast.address_audio(lips), where, atol=1e-6)
    assert torch.allclose(fast.recall(where), plain.recall(where), atol=1e-6)
    moved = []
    for m in (plain, fast):
        before = m.store(lips).recalled.detach()
        optimiser = torch.optim.Adam([m.value], 1e-3)
        store_loss(m.store(lips).recalled, lips).backward()
        optimiser.step()
        moved.append(float((m.store(lips).recalled.detach() - before).norm()))
    assert moved[1] == pytest.approx(8 * moved[0], rel=0.1)


def test_statistics_by_hand() -> None:
    assert effective_slots(torch.eye(4)) == pytest.approx(4.0)
    assert effective_slots(torch.tensor([[1.0, 0.0], [1.0, 0.0]])) == pytest.approx(1.0)
    assert sharpness(torch.eye(4)) == pytest.approx(1.0)
    assert sharpness(torch.full((3, 4), 0.25)) == pytest.approx(4.0)


def test_align_is_the_divergence_of_the_audio_from_the_lips() -> None:
    lips, audio = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.9, 0.1]])
    there = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    back = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert float(align_loss(lips, audio)) == pytest.approx(there, abs=1e-6)
    assert abs(there - back) > 0.1
    assert float(align_loss(audio, lips)) == pytest.approx(back, abs=1e-6)


@given(st.integers(0, 1000))
def test_align_is_never_negative_and_zero_only_for_equal_addresses(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    p = torch.softmax(torch.randn(3, 6, generator=g), -1)
    q = torch.softmax(torch.randn(3, 6, generator=g), -1)
    assert float(align_loss(p, p)) == pytest.approx(0.0, abs=1e-6)
    assert float(align_loss(p, q)) > 1e-4


def test_store_by_hand() -> None:
    recalled, target = (
        torch.tensor([[1.0, 2.0], [0.0, 0.0]]),
        torch.tensor([[0.0, 0.0], [3.0, 4.0]]),
    )
    assert float(store_loss(recalled, target)) == pytest.approx((5 + 25) / 2)


def gradients(rule: GradientRule, which: str) -> dict[str, bool]:
    """Does a loss move the lip and audio features, the memories and the embeddings?"""
    m = memory(rule)
    lips = torch.randn(4, 5, requires_grad=True)
    audio = torch.randn(4, 6, requires_grad=True)
    stored, where = m.store(lips), m.address_audio(audio)
    loss = {
        "store": lambda: store_loss(stored.recalled, stored.target),
        "align": lambda: align_loss(stored.address, where),
        "draw": lambda: m.recall(where).square().sum(),
    }[which]()
    loss.backward()
    parts = {
        "lips": lips,
        "audio": audio,
        "key": m.key,
        "value": m.value,
        "embed_audio": m.embed_audio.weight,
        "embed_lips": m.embed_lips.weight,
    }
    return {k: v.grad is not None and bool(v.grad.abs().max() > 1e-7) for k, v in parts.items()}


AUDIO_SIDE = {"audio", "key", "embed_audio"}
MOVED = {
    # Under vam storing trains the memory and its embedding, not the lip encoder; aligning moves the
    # audio side alone; drawing reads the slots but never overwrites them.
    ("vam", "store"): {"value", "embed_lips"},
    ("vam", "align"): AUDIO_SIDE,
    ("vam", "draw"): AUDIO_SIDE,
    ("literal", "store"): {"lips", "value", "embed_lips"},
    ("literal", "align"): AUDIO_SIDE | {"lips", "value", "embed_lips"},
    ("literal", "draw"): AUDIO_SIDE | {"value"},
}


@pytest.mark.parametrize(("rule", "loss"), MOVED)
def test_gradient_rules(rule: GradientRule, loss: str) -> None:
    moved = {name for name, yes in gradients(rule, loss).items() if yes}
    assert moved == MOVED[rule, loss]


def toy(align: float, steps: int) -> tuple[float, float]:
    """Ten sounds, each with its lips: share of sounds whose recalled feature is nearest to the
    right lips, and the divergence at the end."""
    torch.manual_seed(1)
    classes, dim = 10, 64
    lips, sounds = torch.randn(classes, dim), torch.randn(classes, dim)
    m = AudioLipMemory(32, dim, 16.0)
    optimiser = torch.optim.Adam(m.parameters(), 1e-3)

    def draw(n: int) -> tuple[Tensor, Tensor, Tensor]:
        c = torch.randint(classes, (n,))
        noise = 0.3 * torch.randn(2, n, dim)
        return c, lips[c] + noise[0], sounds[c] + noise[1]

    divergence = torch.zeros(())
    for _ in range(steps):
        _, f_lip, f_aud = draw(128)
        stored = m.store(f_lip)
        divergence = align_loss(stored.address, m.address_audio(f_aud))
        loss = store_loss(stored.recalled, stored.target) + align * divergence
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        c, _, f_aud = draw(1000)
        nearest = torch.cdist(m.recall(m.address_audio(f_aud)), lips).argmin(1)
    return float((nearest == c).float().mean()), float(divergence.detach())


def test_audio_alone_learns_to_recall_lips() -> None:
    accuracy, divergence = toy(align=1.0, steps=1000)
    assert accuracy >= 0.95
    assert divergence < 0.01


def test_without_alignment_recall_is_chance() -> None:
    accuracy, _ = toy(align=0.0, steps=300)
    assert accuracy < 0.35


def test_usage_and_entropy_by_hand() -> None:
    one, both = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    even = torch.full((3, 2), 0.5)
    for address_, usage, entropy in ((one, math.log(2), 0.0), (both, 0.0, 0.0)):
        assert float(usage_loss(address_)) == pytest.approx(usage, abs=1e-6)
        assert float(entropy_loss(address_)) == pytest.approx(entropy, abs=1e-6)
    assert float(usage_loss(even)) == pytest.approx(0.0, abs=1e-6)
    assert float(entropy_loss(even)) == pytest.approx(math.log(2), abs=1e-6)
    quarter = torch.tensor([[0.75, 0.25]])
    bits = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert float(usage_loss(quarter)) == pytest.approx(math.log(2) - bits, abs=1e-6)


@pytest.mark.parametrize("rule", ["vam", "literal"])
def test_usage_moves_slots_under_either_rule(rule: GradientRule) -> None:
    m = memory(rule)
    usage_loss(m.store(torch.randn(9, 5)).used).backward()
    assert m.value.grad is not None
    assert m.value.grad.abs().sum() > 0


def test_a_memory_that_begins_with_clusters_finds_them() -> None:
    m = AudioLipMemory(5, 5, 32.0, rate=4.0)
    audio, lips = torch.eye(5), torch.eye(5).roll(1, 0)
    m.initialise(audio, lips)
    assert m.address_audio(audio * 3).argmax(-1).tolist() == list(range(5))
    assert m.address_lips(lips).argmax(-1).tolist() == list(range(5))
    assert torch.allclose(m.recall(torch.eye(5)), lips)
