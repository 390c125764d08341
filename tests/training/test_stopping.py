"""A training that is asked to stop saves what it has, and goes on to the same end."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from lipwright.data.packed import PackedCorpus
from lipwright.errors import Interrupted
from lipwright.training.config import RunConfig
from lipwright.training.stages.speech import SpeechConfig, SpeechStage
from lipwright.training.stopping import SIGNALS, StopRequest
from lipwright.training.trainer import train

from .tiny import make_corpus


class Impatient(SpeechStage):
    """Sends its own process a signal at the start of a step."""

    ask_at = -1
    number = signal.SIGINT

    def step(self, network: Any, step: int, context: Any) -> Any:
        if step == self.ask_at:
            os.kill(os.getpid(), self.number)
        return super().step(network, step, context)


def stage(corpus: Path, ask_at: int = -1, number: signal.Signals = signal.SIGINT) -> Impatient:
    model = {"channels": [4, 4, 4], "width": 8, "layers": 1}
    run = RunConfig(steps=6, batch=2, precision="fp32", validate_every=6)
    made = Impatient(SpeechConfig(model=model, frames=12, run=run), PackedCorpus(corpus))
    made.ask_at, made.number = ask_at, number
    return made


@pytest.mark.parametrize("number", SIGNALS)
def test_it_finishes_the_step_saves_and_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    before = [signal.getsignal(s) for s in SIGNALS]
    whole = stage(corpus)
    train(whole, tmp_path / "whole", "cpu")
    with pytest.raises(Interrupted, match="after step 3 of 6; the same command goes on"):
        train(stage(corpus, ask_at=2, number=number), tmp_path / "cut", "cpu")
    assert [signal.getsignal(s) for s in SIGNALS] == before
    assert torch.load(tmp_path / "cut" / "last.pt", weights_only=True)["step"] == 3
    assert (tmp_path / "cut" / "speech.safetensors").is_file()
    rest = stage(corpus)
    assert train(rest, tmp_path / "cut", "cpu").step == 6
    for a, b in zip(whole.network.parameters(), rest.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_request_in_the_last_step_is_no_interruption(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    assert train(stage(corpus, ask_at=5), tmp_path / "run", "cpu").step == 6


def test_the_second_request_is_obeyed_at_once() -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with StopRequest(), pytest.raises(KeyboardInterrupt):
        twice()


def test_a_request_that_comes_while_the_others_are_asked_counts_after_the_next_step() -> None:
    class Two:
        """Two processes; a signal reaches this one while it waits for the other."""

        num_processes = 2
        device = torch.device("cpu")

        def reduce(self, asked: torch.Tensor, reduction: str) -> torch.Tensor:
            if not asked:
                os.kill(os.getpid(), signal.SIGTERM)
            return asked.clone()

    with StopRequest() as request:
        assert not request.agreed(Two())  # type: ignore[arg-type]
        assert not request.agreed_to_stop
        assert request.agreed(Two())  # type: ignore[arg-type]
        assert request.agreed_to_stop


def test_other_threads_do_not_listen() -> None:
    found = []

    def listen() -> None:
        with StopRequest() as request:
            found.append((request.agreed_to_stop, signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert found == [(False, before)]
