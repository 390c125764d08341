"""What a memory begins with: clusters, and the steps before them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.models.whisper_encoder import WhisperEncoder
from lipwright.training import speech_encoding
from lipwright.training.config import parse
from lipwright.training.stages.memory import MemoryStage
from lipwright.training.stages.memory_config import MemoryConfig
from lipwright.training.stages.memory_start import clusters, means
from lipwright.training.trainer import train
from lipwright.weights.checkpoint import load_checkpoint
from tests.data.test_encoded_speech import corpus as sounding_corpus
from tests.training.test_memory_stages import CONFIG

from .tiny import log_of

ENCODER: dict[str, Any] = {
    **{"kind": "encoder", "width": 8, "layers": 2, "centred": True},
    **{"encoder_width": 16, "encoder_heads": 2, "encoder_layers": 1},
}


@pytest.fixture(autouse=True)
def small_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights in the place of the published ones, and few of them."""

    def load(layers: int) -> WhisperEncoder:
        torch.manual_seed(5)
        return WhisperEncoder(16, 2, layers).eval().requires_grad_(False)

    monkeypatch.setattr(speech_encoding, "load_whisper", load)


@pytest.mark.parametrize("seed", range(5))
def test_clusters_that_lie_apart_are_found(seed: int) -> None:
    torch.manual_seed(seed)
    true = torch.arange(60) % 4
    features = torch.eye(4)[true] * (1 + torch.rand(60, 1)) + 0.05 * torch.randn(60, 4)
    number = clusters(features, 4, np.random.default_rng(seed))
    pairs = {(int(a), int(b)) for a, b in zip(true, number, strict=True)}
    assert len(pairs) == 4  # every true cluster is one found cluster


def test_means_by_hand_and_no_slot_stays_empty() -> None:
    features = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]])
    found = means(features, torch.tensor([0, 0, 2]), 3)
    assert found[[0, 2]].tolist() == [[2.0, 0.0], [0.0, 5.0]]
    assert found[1].tolist() in features.tolist()
    with pytest.raises(ValueError, match="cannot fill"):
        clusters(features, 4, np.random.default_rng(0))


def stage(packed: PackedCorpus, folder: Path, **changes: Any) -> MemoryStage:
    values = {
        **CONFIG["memory"],
        "model": {**CONFIG["memory"]["model"], "audio": ENCODER},
        "loss": {"sync": 0, "discriminator": 0, "motion": 0.1, "correlation": 0.1, "usage": 0.1},
        **{"speech_jitter": None, "variants": 1, "lips_first": 2, "draw_start": 3, "first_more": 9},
        **{"run": {**CONFIG["memory"]["run"], "steps": 4}, **changes},
    }
    return MemoryStage(parse(MemoryConfig, values, "test"), packed, None, folder)


def test_lips_come_first_then_the_memory_then_pictures(tmp_path: Path) -> None:
    packed = sounding_corpus(tmp_path / "corpus")
    made = stage(packed, tmp_path / "features")
    before = made.network.talker.memory.value.clone()
    train(made, tmp_path / "run", "cpu")
    lines = log_of(tmp_path / "run")
    steps = {r["step"] - 1: r for r in lines if r["kind"] == "train"}
    assert [s for s, r in steps.items() if "store" in r] == [2, 3]
    assert [s for s, r in steps.items() if "motion" in r and "recalled" in r] == [3]
    assert all("motion_heard" in r and "read" in r for r in steps.values())
    assert not torch.allclose(made.network.talker.memory.value, before, atol=0.05)
    again = stage(packed, tmp_path / "features")
    again.run = again.run.model_copy(update={"max_minutes": 0.0})
    for _ in range(4):  # one step each time
        train(again, tmp_path / "parts", "cpu")
        again = stage(packed, tmp_path / "features")
        again.run = again.run.model_copy(update={"max_minutes": 0.0})
    found = [load_checkpoint(tmp_path / n / "memory.safetensors") for n in ("run", "parts")]
    networks = [c.network("talker") for c in found]
    assert all(torch.equal(networks[0][k], networks[1][k]) for k in networks[0])
    assert found[0].header["audio"] == {"steps": 1, "before": 0, "features": "whisper"}


def test_what_does_not_go_with_an_encoder_is_refused(tmp_path: Path) -> None:
    packed = sounding_corpus(tmp_path / "corpus")
    with pytest.raises(LipwrightError, match="pace"):
        stage(packed, tmp_path, variation={"pace": 0.1})
    with pytest.raises(LipwrightError, match="speech_jitter"):
        stage(packed, tmp_path, speech_jitter={})
