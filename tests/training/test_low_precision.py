"""bfloat16 where the machine computes in it, float32 elsewhere."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lipwright.data.packed import PackedCorpus
from lipwright.models import low_precision
from lipwright.models.low_precision import computes_bfloat16
from lipwright.training import trainer
from lipwright.training.config import RunConfig
from lipwright.training.stages.speech import SpeechConfig, SpeechStage

from .tiny import make_corpus

LINUX_PC = sys.platform == "linux" and platform.machine() == "x86_64"


@pytest.mark.skipif(not LINUX_PC, reason="the kernel's list of a processor's instructions")
def test_what_pytorch_says_of_the_processor_is_what_the_kernel_says() -> None:
    """oneDNN has bfloat16 convolutions from AVX512 (BW, DQ, VL) or AVX-NE-CONVERT on."""
    flags = set(Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split())
    expected = {"avx512bw", "avx512dq", "avx512vl"} <= flags or "avx_ne_convert" in flags
    assert computes_bfloat16("cpu") == expected


def test_a_pytorch_that_does_not_know_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(low_precision, "PROBES", ("no_such_operator",))
    assert not computes_bfloat16(torch.device("cpu"))


class Watched(SpeechStage):
    """Keeps in which precision its steps were computed."""

    def step(self, network: Any, step: int, context: Any) -> Any:
        with context.autocast():
            self.seen = (
                torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
            )
        return super().step(network, step, context)


@pytest.mark.parametrize(
    ("has", "precision", "seen"),
    [(True, "bf16", torch.bfloat16), (False, "bf16", None), (True, "fp32", None)],
)
def test_training_falls_back_to_float32(
    has: bool, precision: str, seen: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "computes_bfloat16", lambda device: has)
    model = {"channels": [4, 4, 4], "width": 8, "layers": 1}
    run = RunConfig(steps=1, batch=2, precision=precision, validate_every=1)
    config = SpeechConfig(model=model, frames=12, run=run)
    stage = Watched(config, PackedCorpus(make_corpus(tmp_path / "corpus")))
    trainer.train(stage, tmp_path / "run", "cpu")
    assert stage.seen is seen
