"""How many networks stay compiled: memory must not grow with the recordings that were heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipwright.media.mel import SAMPLE_RATE
from lipwright.methods import runtime
from lipwright.methods.base import predicted_motion
from lipwright.methods.registry import load_method, shipped
from lipwright.methods.runtime import KEPT_SHAPES, GraphEngine
from lipwright.weights.container import Graph, StoredGraph, read_graphs, read_header


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Networks that were compiled, one entry each."""
    made: list[str] = []
    real = runtime.compiled

    def noted(identity: str, config: dict[str, Any], build: Any) -> Any:
        made.append(identity)
        return real(identity, config, build)

    monkeypatch.setattr(runtime, "compiled", noted)
    return made


@pytest.fixture(scope="module")
def encoder() -> Graph | StoredGraph:
    return read_graphs(shipped("vq"), read_header(shipped("vq")))["speech-encoder"]


def power(columns: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(columns).normal(-3, 1, (1, 80, columns)).astype(np.float32)


def test_one_network_hears_every_length(encoder: Graph | StoredGraph, compiled: list[str]) -> None:
    every = GraphEngine(encoder, exact=True, any_length=True)
    found = [every(power(n))[0] for n in (60, 101, 60, 333)]
    assert len(compiled) == 1
    each = GraphEngine(encoder, exact=True)
    for n, features in zip((60, 101, 60, 333), found, strict=True):
        assert np.abs(features - each(power(n))[0]).max() < 1e-4
    assert len(compiled) == 4


def test_networks_of_shapes_long_unused_are_let_go(
    encoder: Graph | StoredGraph, compiled: list[str]
) -> None:
    engine = GraphEngine(encoder, exact=True)
    first = engine(power(40))[0]
    for n in range(42, 42 + 2 * KEPT_SHAPES, 2):
        engine(power(n))
    assert len(engine._compiled) == KEPT_SHAPES
    assert np.array_equal(engine(power(40))[0], first)
    engine(power(40))
    assert len(compiled) == KEPT_SHAPES + 2  # the first one twice


def test_the_default_compiles_its_speech_network_once(compiled: list[str]) -> None:
    method = load_method("vq", "cpu")
    rng = np.random.default_rng(0)
    for frames in (27, 40, 88):
        wave = (0.1 * rng.standard_normal(frames * SAMPLE_RATE // 25)).astype(np.float32)
        predicted_motion(method, wave)
    assert len(compiled) == 2  # encoder and members
