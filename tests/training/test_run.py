"""What ``lipwright train`` checks before any work, and what it says while it works."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.training.stages.configs import find_config, method_of
from lipwright.training.stages.registry import STAGES
from lipwright.training.stages.run import plan_stages, run_stage
from lipwright.training.trainer import TimeLeft

from .test_stages import CONFIG
from .tiny import make_corpus


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config without a section for the expert."""
    path = tmp_path / "small.yaml"
    values = {k: v for k, v in CONFIG.items() if k not in ("expert", "decoder")}
    values["generator"] = {**values["generator"], "loss": {"sync": 0.0}}
    path.write_text(yaml.safe_dump(values))
    return path


def test_all_runs_the_stages_of_its_config_in_order(corpus: Path, config: Path) -> None:
    runs = plan_stages("all", corpus, config, config.parent / "run", ["vqgan.run.steps=3"], "cpu")
    names = [r.spec.name for r in runs]
    assert names == ["vqgan", "pose-vqgan", "codes", "speech", "generator", "vq"]
    assert runs[0].config.run.steps == 3
    assert not (config.parent / "run").exists()


def test_all_runs_the_method_whose_stages_the_config_has(corpus: Path, tmp_path: Path) -> None:
    config = tmp_path / "m.yaml"
    config.write_text("memory: {loss: {sync: 0}}\n")
    runs = plan_stages("all", corpus, config, tmp_path / "run", [], "cpu")
    assert [r.spec.name for r in runs] == ["memory"]
    config.write_text("memory: {}\nvqgan: {}\n")
    with pytest.raises(LipwrightError, match=r"several methods \(memory, vq\)"):
        plan_stages("all", corpus, config, tmp_path / "run", [], "cpu")
    assert method_of({"lipgan": {}}, config) == "baselines"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("run.steps=10", r"does not begin with a stage; with 'all' write vqgan\.run\.steps=10"),
        ("expert.run.steps=10", "has no stage expert; with 'all' it runs vqgan, pose-vqgan, codes"),
        ("vqgan=3", "has no stage vqgan|wrong at"),
        ("vqgan.run.stesp=3", r"\(vqgan\) is wrong at 'run\.stesp'"),
        ("memory.run.steps=3", "has no stage memory"),
    ],
)
def test_overrides_of_all_are_checked_before_any_work(
    corpus: Path, config: Path, override: str, words: str
) -> None:
    out = config.parent / "run"
    with pytest.raises(LipwrightError, match=words):
        run_stage("all", corpus, config, out, [override], "cpu")
    assert not out.exists()


def test_a_single_stage_wants_no_stage_in_front(corpus: Path, config: Path) -> None:
    with pytest.raises(LipwrightError, match=r"with a single stage write run\.steps=10"):
        run_stage("vqgan", corpus, config, config.parent / "r", ["vqgan.run.steps=10"], "cpu")


def test_a_stage_that_the_config_leaves_out_is_missed_at_once(corpus: Path, config: Path) -> None:
    out = config.parent / "run"
    with pytest.raises(LipwrightError, match=r"needs the stage 'expert', for which the config"):
        run_stage("all", corpus, config, out, ["generator.loss.sync=0.03"], "cpu")
    assert not out.exists()


@pytest.mark.parametrize(
    ("data", "device", "words"),
    [("nowhere", "cpu", "holds no packed corpus"), ("", "cuda", "'cuda' is not available here")],
)
def test_wrong_data_and_absent_devices_are_told_first(
    corpus: Path, config: Path, data: str, device: str, words: str
) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has one")
    out = config.parent / "run"
    with pytest.raises(LipwrightError, match=words):
        run_stage("all", corpus / data if data else corpus, config, out, [], device)
    assert not out.exists()


def test_another_config_in_the_same_folder_is_refused(corpus: Path, config: Path) -> None:
    out = config.parent / "run"
    run_stage("vqgan", corpus, config, out, ["run.steps=1"], "cpu")
    with pytest.raises(LipwrightError, match=r"was begun with model\.dim=8, not 16"):
        run_stage("vqgan", corpus, config, out, ["model.dim=16"], "cpu")
    with pytest.raises(LipwrightError, match=r"was begun with run\.batch=4, not 5"):
        run_stage("vqgan", corpus, config, out, ["run.batch=5"], "cpu")
    run_stage("vqgan", corpus, config, out, ["run.steps=2", "run.log_every=1"], "cpu")
    # A folder from before settings were kept: the state itself tells that the network is another.
    (out / "vqgan" / "settings.json").unlink()
    with pytest.raises(LipwrightError, match="another network than the config describes"):
        run_stage("vqgan", corpus, config, out, ["model.dim=16"], "cpu")


def test_lines_tell_stage_step_and_time_left(
    corpus: Path, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = config.parent / "run"
    with caplog.at_level(logging.INFO, "lipwright.train"):
        made = run_stage("vqgan", corpus, config, out, ["run.steps=3", "run.log_every=2"], "cpu")
        run_stage("vqgan", corpus, config, out, ["run.steps=3"], "cpu")
    assert made == out / "vqgan" / "vqgan.safetensors"
    lines = [r.getMessage() for r in caplog.records]
    lines = [line for line in lines if "has no bfloat16" not in line]  # as some processors have not
    assert lines[0] == "Stage 1 of 1: vqgan (the Face-VQGAN, from face crops)"
    assert lines[1].startswith("train, step 1 of 3: ")
    assert lines[2].startswith("train, step 2 of 3, about ")
    assert "s left: l1 " in lines[2]
    assert "vqgan: finished before, 3 steps" in lines


def test_time_left_by_hand() -> None:
    left = TimeLeft(100)
    assert left(1, 50.0) == ""  # nothing is known yet
    assert left(11, 60.0) == ", about 89 s left"  # a second each
    assert left(21, 250.0) == ", about 13 min left"  # 79 steps at 10 s
    assert left(31, 5000.0) == ", about 3 h 10 min left"  # 69 steps at 165 s
    assert left(100, 9999.0) == ""


def test_configs_by_size_and_stage() -> None:
    assert find_config("tiny").parent.name == "vq"
    assert find_config("tiny", STAGES["wav2lip"]).name == "wav2lip-tiny.yaml"
    assert find_config("tiny", STAGES["pixel-expert"]).name == "wav2lip-tiny.yaml"
    assert find_config("tiny", STAGES["lipgan"]).name == "lipgan.yaml"
    assert find_config("tiny", STAGES["memory"]).parent.name == "memory"
    with pytest.raises(LipwrightError, match=r"for the stage wav2lip; .* one of 768, 96, tiny"):
        find_config("huge", STAGES["wav2lip"])


@pytest.mark.parametrize("name", ["rows.json", "frames.npy", "mel.npy", "features.npz"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_corpus_is_one_sentence(name: str, damage: str, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    file = corpus / "packed" / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(LipwrightError, match=r"lipwright prepare") as caught:
        PackedCorpus(corpus)
    assert "\n" not in str(caught.value)


def test_arrays_that_do_not_belong_together(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    frames = np.load(corpus / "packed" / "frames.npy")
    np.save(corpus / "packed" / "frames.npy", frames[:-1])
    with pytest.raises(LipwrightError, match="do not belong together"):
        PackedCorpus(corpus)
