"""Training with the frozen speech embedding: its weights come in, and stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.models.published import speech_embedding
from lipwright.models.speech_embedding import SpeechEmbedding
from lipwright.training.config import OptimiserConfig, RunConfig
from lipwright.training.stages.run import run_stage
from lipwright.training.stages.speech import SpeechConfig, SpeechStage
from lipwright.training.trainer import train
from lipwright.weights import fetch
from lipwright.weights.checkpoint import load_checkpoint

from .tiny import make_corpus

pytestmark = pytest.mark.usefixtures("no_graphs")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Random weights in the place of the published ones."""
    torch.manual_seed(3)
    state = {k: v.detach().clone() for k, v in SpeechEmbedding().state_dict().items()}
    monkeypatch.setattr(fetch, "resolve", lambda name: Path(name))
    monkeypatch.setattr(speech_embedding, "read_onnx", lambda path: state)
    return state


def stage(tmp_path: Path, steps: int) -> SpeechStage:
    config = SpeechConfig(
        model={"channels": [4, 4, 4], "width": 8, "layers": 1, "embedding": True},
        frames=12,
        optimiser=OptimiserConfig(lr=1e-2),
        run=RunConfig(steps=steps, batch=2, precision="fp32", validate_every=steps),
    )
    return SpeechStage(config, PackedCorpus(make_corpus(tmp_path / "corpus")))


def test_it_stays_as_published_while_the_rest_learns(
    published: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    made = stage(tmp_path, steps=2)
    before = {k: v.clone() for k, v in made.network.state_dict().items()}
    train(made, tmp_path / "run", "cpu")
    after = made.network.state_dict()
    frozen = [k for k in after if ".embedding." in k]
    assert len(frozen) == len(published)
    assert all(torch.equal(after[k], before[k]) for k in frozen)
    assert all(torch.equal(after[k], published[k.split(".embedding.")[1]]) for k in frozen)
    assert not torch.equal(after["plain.join.weight"], before["plain.join.weight"])


def test_the_checkpoint_holds_it(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """Who dubs with the result needs no file of the publisher."""
    train(stage(tmp_path, steps=1), tmp_path / "run", "cpu")
    checkpoint = load_checkpoint(tmp_path / "run" / "speech.safetensors")
    assert checkpoint.header["networks"]["speech"]["embedding"] is True
    from lipwright.models.speech_lips import SpeechToLips

    network = SpeechToLips(**checkpoint.header["networks"]["speech"])
    checkpoint.load_into("speech", network)
    assert network.embedding is not None
    assert torch.allclose(network.embedding.first.weight, published["first.weight"], atol=1e-3)


@pytest.fixture
def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published file is not here and cannot be fetched."""

    def nowhere(name: str) -> Path:
        raise LipwrightError(f"the network file {name} cannot be had")

    monkeypatch.setattr(fetch, "resolve", nowhere)


@pytest.mark.usefixtures("out_of_reach")
def test_without_the_file_one_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="speech-embedding cannot be had"):
        stage(tmp_path, steps=1)


@pytest.mark.usefixtures("out_of_reach")
def test_training_all_asks_for_the_file_before_anything_else(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    with pytest.raises(LipwrightError, match="whisper-tiny-en cannot be had"):
        run_stage("all", corpus, "tiny", tmp_path / "run", [], "cpu")
    assert not (tmp_path / "run").exists()
