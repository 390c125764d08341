"""Stage ``occlusion``: painted examples, and a checkpoint with a graph that says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lipwright.data.augment import NONE
from lipwright.data.packed import PackedCorpus
from lipwright.methods.runtime import GraphEngine
from lipwright.models.occlusion import OcclusionNetwork, lower_face
from lipwright.training.stages.occlusion import JITTER, OcclusionConfig, OcclusionStage, _Split
from lipwright.training.stages.run import run_stage
from lipwright.weights.checkpoint import load_checkpoint
from lipwright.weights.container import read_graphs

from .tiny import make_corpus

CONFIG = {
    "model": {"channels": [4, 8, 8]},
    "run": {"steps": 6, "batch": 8, "validate_every": 6, "validate_batches": 1, "ema": 0.9},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"occlusion": CONFIG}))
    run_stage("occlusion", corpus, config, folder / "out", [], "cpu")
    return folder / "out" / "occlusion" / "occlusion.safetensors"


def test_half_of_the_examples_have_something_before_the_face(corpus: Path) -> None:
    stage = OcclusionStage(OcclusionConfig.model_validate(CONFIG), PackedCorpus(corpus))
    split = _Split(stage.corpus.split("train"), 0.5)
    for jitter in (NONE, JITTER):
        crops, cover = stage.batch(split, 16, np.random.default_rng(0), jitter)
        assert crops.shape == (16, 3, 32, 32)
        assert cover.shape == (16, 1, 16, 16)
        assert crops.abs().max() <= 1
        assert cover.min() >= 0
        assert cover.max() <= 1
        shares = cover.mean(dim=(1, 2, 3))
        assert (shares[:8] > 1e-3).sum() >= 6
        assert (shares[8:] < 1e-6).all()


def test_the_graph_of_the_checkpoint_says_what_the_network_says(finished: Path) -> None:
    checkpoint = load_checkpoint(finished)
    assert checkpoint.header["method"] == "occlusion"
    assert checkpoint.header["size"] == 32
    network = checkpoint.build("occlusion", OcclusionNetwork)
    crops = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        expected = network(crops).numpy()
    graph = read_graphs(finished, checkpoint.header)["occlusion"]
    (found,) = GraphEngine(graph, exact=True)(crops.numpy())
    assert found.shape == (2, 1, 16, 16)
    assert expected.std() > 1e-3
    assert found == pytest.approx(expected, abs=2e-3)


def test_the_lower_face_is_what_counts() -> None:
    where = lower_face(64)
    assert where[45, 32] == 1
    assert where[5].max() == 0
    assert (where == where.flip(1)).all()
