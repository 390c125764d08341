"""The stage ``speech`` on top of a frozen encoder: members, resume, and what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lipwright.data.packed import PackedCorpus
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.speech_networks import build_speech_network
from lipwright.models.whisper_encoder import WhisperEncoder
from lipwright.training import speech_encoding
from lipwright.training.config import OptimiserConfig, RunConfig
from lipwright.training.stages.speech import SpeechConfig
from lipwright.training.stages.speech_encoded import EncodedSpeechStage
from lipwright.training.trainer import train
from lipwright.weights.checkpoint import load_checkpoint
from tests.data.test_encoded_speech import corpus


@pytest.fixture(autouse=True)
def small_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights in the place of the published ones, and few of them."""

    def load(layers: int) -> WhisperEncoder:
        torch.manual_seed(5)
        return WhisperEncoder(16, 2, layers).eval().requires_grad_(False)

    monkeypatch.setattr(speech_encoding, "load_whisper", load)


def stage(packed: PackedCorpus, folder: Path, steps: int) -> EncodedSpeechStage:
    config = SpeechConfig(
        encoder="whisper-tiny-en",
        model={
            **{"width": 8, "layers": 2, "members": 2},
            **{"encoder_width": 16, "encoder_heads": 2, "encoder_layers": 1},
        },
        frames=12,
        variants=1,
        optimiser=OptimiserConfig(lr=1e-2),
        run=RunConfig(steps=4, batch=2, precision="fp32", validate_every=4),
    )
    config = config.model_copy(update={"run": config.run.model_copy(update={"steps": steps})})
    return EncodedSpeechStage(config, packed, folder)


def test_it_learns_resumes_exactly_and_writes_all_that_dubbing_needs(tmp_path: Path) -> None:
    packed = corpus(tmp_path / "corpus")
    whole = stage(packed, tmp_path / "features", 4)
    before = {k: v.clone() for k, v in whole.network.state_dict().items()}
    train(whole, tmp_path / "run", "cpu")
    assert not torch.equal(
        whole.network.state_dict()["members.1.join.weight"], before["members.1.join.weight"]
    )
    parts = stage(packed, tmp_path / "features", 4)
    short = RunConfig(steps=4, batch=2, precision="fp32", validate_every=4, max_minutes=0.0)
    parts.run = short
    train(parts, tmp_path / "parts", "cpu")  # stops after its first step
    again = stage(packed, tmp_path / "features", 4)
    train(again, tmp_path / "parts", "cpu")
    found = [load_checkpoint(tmp_path / n / "speech.safetensors") for n in ("run", "parts")]
    networks = [c.network("speech") for c in found]
    assert all(torch.equal(networks[0][k], networks[1][k]) for k in networks[0])
    header = found[0].header
    assert header["audio"] == {"steps": 1, "before": 0, "features": "whisper"}
    made = build_speech_network(**header["networks"]["speech"])
    assert isinstance(made, EncoderToLips)
    found[0].load_into("speech", made)
    encoder = speech_encoding.load_whisper(1)
    assert torch.allclose(made.encoder.conv1.weight, encoder.conv1.weight, atol=1e-3)
    with torch.no_grad():
        assert made.eval().dense(torch.full((80, 30), -10.0)).shape == (8, 30)


def test_members_learn_from_their_own_examples(tmp_path: Path) -> None:
    made = stage(corpus(tmp_path / "corpus"), tmp_path / "features", 1)
    features = torch.randn(4, 32, 12 + 4)
    made.network.train()
    torch.manual_seed(0)
    together = made.network(features)
    assert together.shape == (4, 12, 8)
    made.network.eval()
    with torch.no_grad():
        each = [m(features) for m in made.plain.members]
        assert torch.allclose(made.network(features), (each[0] + each[1]) / 2, atol=1e-6)
