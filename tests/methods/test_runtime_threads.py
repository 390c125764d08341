"""How many threads a network gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipwright.methods import runtime
from lipwright.methods.registry import shipped
from lipwright.methods.runtime import GraphEngine, cores, half_the_cores, network_threads
from lipwright.weights.container import read_graphs, read_header


def test_networks_loaded_within_get_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = runtime.compiled

    def noted(identity: str, config: dict[str, Any], build: Any) -> Any:
        seen.append(config["INFERENCE_NUM_THREADS"])
        return real(identity, config, build)

    monkeypatch.setattr(runtime, "compiled", noted)
    graph = read_graphs(shipped("vq"), read_header(shipped("vq")))["speech-encoder"]
    with network_threads(3):
        made = GraphEngine(graph, exact=True)
    other = GraphEngine(graph, exact=True)
    power = np.random.default_rng(0).normal(-3, 1, (1, 80, 100)).astype(np.float32)
    found = made(power)[0], other(power)[0]
    assert seen == [3, half_the_cores()]
    assert np.abs(found[0] - found[1]).max() < 1e-3
    assert 1 <= half_the_cores() <= cores()
