"""Stage ``vqgan``: the adversarial phase of a VQGAN that is trained already."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from lipwright.errors import LipwrightError
from lipwright.training.stages.run import run_stage
from lipwright.weights.checkpoint import load_checkpoint

from .test_paper_path import VQGAN
from .tiny import log_of


def config_of(folder: Path, codebook: str) -> Path:
    """The config of four plain steps."""
    model = {**VQGAN["model"], "codebook": codebook}
    section = {**VQGAN, "loss": {}, "discriminator": {"width": 4, "layers": 2}, "model": model}
    path = folder / "plain.yaml"
    path.write_text(yaml.safe_dump({"vqgan": section}))
    return path


@pytest.mark.parametrize("codebook", ["cosine", "euclidean"])
def test_decoder_alone_learns_against_a_discriminator_that_began_before(
    codebook: str, corpus: Path, tmp_path: Path
) -> None:
    config = config_of(tmp_path, codebook)
    before = run_stage("vqgan", corpus, config, tmp_path / "before", [], "cpu")
    phase = [
        f"initial={before}",
        "decoder_only=true",
        "loss.adversarial=0.8",
        "loss.discriminator_start=1",
        "loss.adversarial_start=3",
        "run.steps=5",
    ]
    after = run_stage("vqgan", corpus, config, tmp_path / "after", phase, "cpu")
    first, second = (load_checkpoint(path).network("vqgan") for path in (before, after))
    changed = {
        key.split(".")[0]
        for key in first
        if key != "quantiser.calls" and not torch.equal(first[key], second[key])
    }
    assert changed == {"decoder", "post"}
    rows = log_of(tmp_path / "after" / "vqgan")
    steps = {row["step"]: row for row in rows if row["kind"] == "train"}
    # Rows are written after their step: step 2 is the second one, which has the number 1.
    assert [s for s in steps if "discriminator" in steps[s]] == [2, 3, 4, 5]
    assert [s for s in steps if "adversarial" in steps[s]] == [4, 5]


def test_codes_can_only_be_kept_of_a_trained_network(corpus: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, "cosine")
    with pytest.raises(LipwrightError, match=r"decoder_only keeps the codes .* 'initial'"):
        run_stage("vqgan", corpus, config, tmp_path / "run", ["decoder_only=true"], "cpu")
