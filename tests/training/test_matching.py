"""Learning a sync expert from groups of moments: drawing, losses, and that it learns."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lipwright.data.augment import Jitter
from lipwright.data.clip_windows import ClipWindows, ReferenceRule, spread_starts
from lipwright.data.packed import PackedCorpus
from lipwright.data.pixels import PixelWindows
from lipwright.face_regions import lower_half
from lipwright.media.mel import AudioSpec
from lipwright.models.expert import SyncExpert
from lipwright.models.pixel_expert import PixelExpert
from lipwright.training.config import parse
from lipwright.training.losses.multiway import (
    matching_accuracy,
    multiway_loss,
    pairwise_sync_loss,
)
from lipwright.training.losses.sync import sync_loss
from lipwright.training.stages.matching import LipTargets, Matching, MatchingConfig
from lipwright.training.stages.pixel_expert import PixelExpertConfig, PixelExpertStage
from lipwright.training.trainer import Context

from .tiny import make_corpus

CPU = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PackedCorpus:
    return PackedCorpus(make_corpus(tmp_path_factory.mktemp("corpus"), size=48))


@given(
    seed=st.integers(0, 99), last=st.integers(0, 60), far=st.integers(1, 9), most=st.integers(1, 8)
)
def test_starts_are_spread(seed: int, last: int, far: int, most: int) -> None:
    starts = spread_starts(np.random.default_rng(seed), last, far, most)
    assert len(starts) == min(most, last // far + 1)
    assert all(0 <= s <= last for s in starts)
    assert all(b - a >= far for a, b in itertools.pairwise(starts))


def test_starts_reach_both_ends() -> None:
    rng = np.random.default_rng(0)
    seen = {s for _ in range(200) for s in spread_starts(rng, 6, 3, 2)}
    assert seen == set(range(7))


def test_pairs_are_of_one_clip(corpus: PackedCorpus) -> None:
    windows = ClipWindows(corpus.split("train"), 5, min_offset=6)
    drawn = windows.draw_groups(np.random.default_rng(1), 20, 4)
    assert len(drawn) == 20
    assert drawn.pairs.diagonal().all()
    for i, a in enumerate(drawn):
        for j, b in enumerate(drawn):
            if drawn.pairs[i, j]:
                assert a.row is b.row
                assert i == j or abs(a.first - b.first) >= 6
    assert 2 < drawn.pairs.sum(axis=1).mean() <= 4


def test_windows_of_moments(corpus: PackedCorpus) -> None:
    windows = PixelWindows(corpus, "train", 48, 5, ReferenceRule(0), AudioSpec(), min_offset=6)
    rng = np.random.default_rng(0)
    faces, mel, drawn = windows.draw_groups(rng, 7, torch.device("cpu"), group=3)
    assert faces.shape == (7, 5, 3, 24, 48)
    row, t = drawn.windows[3].row, drawn.windows[3].first
    m = corpus.margin
    frame = corpus.frames[row.start + t + 2][m + 24 : m + 48, m : m + 48]
    assert np.allclose(faces[3, 2].permute(1, 2, 0).numpy() * 255, frame, atol=1e-3)
    assert torch.equal(
        mel[3], torch.from_numpy(corpus.clip_mel(row).astype(np.float32))[:, 4 * t : 4 * t + 20]
    )


@pytest.mark.parametrize("jitter", [Jitter(), Jitter(0.1, 0.1, 20.0, 1.0, 0.0, 0.0, 0.0)])
def test_lower_halves_are_those_of_whole_crops(corpus: PackedCorpus, jitter: Jitter) -> None:
    from lipwright.data.augment import crop_batch

    plain = Jitter(jitter.shift, jitter.scale, jitter.turn, jitter.flip, 0.0, 0.0, 0.0)
    frames = torch.from_numpy(np.array(corpus.frames[:6]))
    whole, half = (
        crop_batch(frames, 48, plain, np.random.default_rng(5), group=2, lower=lower)
        for lower in (False, True)
    )
    assert torch.allclose(lower_half(whole), half, atol=1e-4)


def test_multiway_loss_by_hand() -> None:
    cosine = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.8, 0.4], [0.5, 0.6, 0.7]])
    pairs = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    a, b, c, d = (v / 0.5 for v in (0.9, 0.1, 0.2, 0.8))
    rows = [math.log(1 + math.exp(b - a)), math.log(1 + math.exp(c - d)), 0.0]
    columns = [math.log(1 + math.exp(c - a)), math.log(1 + math.exp(b - d)), 0.0]
    expected = (sum(rows) + sum(columns)) / 6
    assert float(multiway_loss(cosine, pairs, 0.5)) == pytest.approx(expected, rel=1e-5)
    same = torch.full((4, 4), 0.3)
    assert float(multiway_loss(same, torch.ones(4, 4, dtype=torch.bool))) == pytest.approx(
        math.log(4), rel=1e-5
    )


def test_pairwise_sync_loss_by_hand() -> None:
    cosine = torch.tensor([[0.9, 0.1, 0.5], [0.2, 0.8, 0.5], [0.5, 0.5, 0.7]])
    pairs = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    right = -(math.log(0.9) + math.log(0.8) + math.log(0.7)) / 3
    wrong = -(math.log(0.9) + math.log(0.8)) / 2
    assert float(pairwise_sync_loss(cosine, pairs)) == pytest.approx((right + wrong) / 2, rel=1e-5)
    alone = torch.eye(3, dtype=torch.bool)
    own = sync_loss(cosine.diagonal(), torch.ones(3))
    assert float(pairwise_sync_loss(cosine, alone)) == pytest.approx(float(own))
    for extreme in (torch.zeros(3, 3), torch.ones(3, 3)):
        assert torch.isfinite(pairwise_sync_loss(extreme, pairs))
    assert float(matching_accuracy(cosine, pairs)) == 1.0
    assert float(matching_accuracy(cosine, torch.ones_like(pairs))) == 1.0
    assert float(matching_accuracy(cosine.flip(1), torch.ones_like(pairs))) < 0.5


def test_losses_of_pairs_have_right_gradients() -> None:
    torch.manual_seed(0)
    cosine = (torch.rand(4, 4, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()
    pairs = torch.tensor(np.kron(np.eye(2), np.ones((2, 2))) > 0)
    for loss in (multiway_loss, pairwise_sync_loss):
        loss(cosine, pairs).backward()
        assert cosine.grad is not None
        grad, cosine.grad = cosine.grad.clone(), None
        assert (grad[~pairs] == 0).all()
        step = 1e-3  # the losses work in single precision
        for i, j in ((0, 0), (0, 1), (3, 2)):
            moved = [cosine.detach().clone() for _ in range(2)]
            moved[0][i, j] += step
            moved[1][i, j] -= step
            slope = (float(loss(moved[0], pairs)) - float(loss(moved[1], pairs))) / (2 * step)
            assert float(grad[i, j]) == pytest.approx(slope, rel=0.02, abs=2e-3)


def test_lip_targets_are_those_of_the_window(corpus: PackedCorpus) -> None:
    windows = ClipWindows(corpus.split("train"), 5, min_offset=6)
    drawn = windows.draw_groups(np.random.default_rng(1), 6, 3)
    predicted = LipTargets(corpus, 3, 5).of(drawn)
    assert predicted.shape == (6, 15)
    opening = corpus.opening[drawn.frames[2]]
    ours = predicted[2].reshape(5, 3)[:, 0].numpy()
    assert np.corrcoef(opening, ours)[0, 1] > 0.99


@pytest.mark.parametrize("kind", ["pixels", "shared", "codes"])
def test_embeddings_are_unit_vectors(kind: str) -> None:
    torch.manual_seed(0)
    if kind != "codes":
        expert = PixelExpert(48, 5, 20, 0.06, shared=kind == "shared")
        network, faces = Matching(expert, 4), torch.rand(3, 5, 3, 24, 48)
    else:
        small = SyncExpert(5, 8, 4, (8, 8, 8, 8), 8, (4, 4, 8, 8), 1)
        network, faces = Matching(small), torch.randn(3, 5, 8, 16, 16)
    seen, audio_embedding, predicted = network(faces, torch.randn(3, 80, 20))
    assert torch.allclose(seen.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(audio_embedding.norm(dim=1), torch.ones(3), atol=1e-5)
    assert predicted.shape == (2, 3, 0 if kind == "codes" else 4)
    assert bool((seen >= 0).all() and (audio_embedding >= 0).all())


def test_shared_frames_are_told_apart_by_their_place() -> None:
    torch.manual_seed(0)
    encoder = PixelExpert(48, 5, 20, 0.12, shared=True).eval()
    frames = torch.rand(1, 5, 3, 24, 48)
    swapped = frames[:, [1, 0, 2, 3, 4]]
    each = encoder.face_encoder.frame(frames[0] - 0.5)  # type: ignore[operator, union-attr]
    again = encoder.face_encoder.frame(swapped[0] - 0.5)  # type: ignore[operator, union-attr]
    assert torch.allclose(each[0], again[1], atol=1e-5)
    assert not torch.allclose(encoder.embed_faces(frames), encoder.embed_faces(swapped), atol=1e-3)


@pytest.mark.parametrize("shared", [pytest.param(False, marks=pytest.mark.slow), True])
def test_an_expert_learns_from_groups(shared: bool, corpus: PackedCorpus) -> None:
    values = {
        "size": 48,
        "width": 0.12,
        "shared": shared,
        "matching": {"group": 4, "lip_dim": 3, "lips_first": 10 * shared},
        "run": {"batch": 16, "steps": 1},
    }
    stage = PixelExpertStage(parse(PixelExpertConfig, values, "test"), corpus)
    optimiser = torch.optim.Adam(stage.network.parameters(), 3e-3)
    found = []
    for step in range(100):  # 60 were too few where convolutions round otherwise
        losses = stage.step(stage.network.train(), step, CPU)
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        found.append(float(losses["found"]))
    assert np.mean(found[:5]) < 0.45
    assert np.mean(found[-15:]) > 0.5  # chance is 0.25: four moments of a clip


def test_no_lips_are_told_without_groups() -> None:
    assert MatchingConfig().lips_predicted(5) == 0
    assert MatchingConfig(group=4).lips_predicted(5) == 40
    assert MatchingConfig(group=4, lips=0.0).lips_predicted(5) == 0
