"""Arrays and PyTorch predict the same lip motion from a whole recording."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lipwright.methods import encoded_speech
from lipwright.methods.encoded_speech import lip_motions
from lipwright.methods.export import Export, make_graph
from lipwright.methods.runtime import GraphEngine
from lipwright.methods.speech_graphs import Single
from lipwright.methods.vq_networks import MembersMean
from lipwright.models.encoder_lips import EncoderToLips

Array = NDArray[np.float32]


def network() -> EncoderToLips:
    torch.manual_seed(0)
    return EncoderToLips(3, 8, 2, 0.1, 2, 16, 2, 1).eval()


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 41, 1801, 3507])
def test_arrays_equal_pytorch(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_speech, "FRAMES", 100)  # several blocks
    net = network()
    log_power = np.random.default_rng(columns).uniform(-9, 1, (80, columns)).astype(np.float32)

    def run(module: torch.nn.Module):  # type: ignore[no-untyped-def]
        return lambda x: tuple(y.numpy() for y in module(torch.from_numpy(x)))

    with torch.inference_mode():
        expected = net.dense(torch.from_numpy(log_power)).numpy()
        found = lip_motions(
            run(Single(net.encoder)), run(Single(MembersMean(net))), log_power, net.layers
        )
    assert found.shape == expected.shape == (3, columns)
    assert np.abs(found - expected).max() < 1e-5


def test_graphs_of_any_length_equal_pytorch() -> None:
    net = network()
    window, rows = torch.zeros(1, 80, 40), torch.zeros(1, 2 * 16, 10 + 2 * net.layers)
    encoder = make_graph("speech-encoder", Export(Single(net.encoder), (window,), {0: 2}))
    members = make_graph("speech-members", Export(Single(MembersMean(net)), (rows,), {0: 2}))
    log_power = np.random.default_rng(1).uniform(-9, 1, (80, 2055)).astype(np.float32)
    found = lip_motions(
        GraphEngine(encoder, exact=True, any_length=True),
        GraphEngine(members, exact=True, any_length=True),
        log_power,
        net.layers,
    )
    with torch.inference_mode():
        expected = net.dense(torch.from_numpy(log_power)).numpy()
    # Constants of graphs have 16 bits.
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
