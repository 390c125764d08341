"""All stages on a tiny corpus, from nothing to a checkpoint that renders; exact resume of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.methods.registry import load_method
from lipwright.training.stages.run import run_stage
from lipwright.weights.checkpoint import load_checkpoint, read_header

from .tiny import log_of

pytestmark = pytest.mark.usefixtures("no_graphs")

TINY_VQGAN: dict[str, Any] = {
    "channels": [8, 16],
    "blocks": 1,
    "decoder_blocks": 1,
    "z_channels": 16,
    "dim": 8,
    "n_codes": 32,
    "attention": False,
    "groups": 4,
    "codebook": "cosine",
    "warmup": 3,
}
RUN = {"batch": 4, "validate_every": 6, "validate_batches": 1, "log_every": 2, "ema": 0.9}
CONFIG: dict[str, Any] = {
    "vqgan": {
        "model": TINY_VQGAN,
        "loss": {"gradient": 0.5, "mouth_weight": 2.0},
        "run": {"steps": 12, **RUN},
    },
    "pose-vqgan": {"model": {**TINY_VQGAN, "dim": 4}, "run": {"steps": 6, **RUN}},
    "codes": {"flip": True, "batch": 16},
    "expert": {
        "model": {
            "window": 5,
            "stem": 4,
            "channels": [8, 8, 8, 8],
            "dim": 8,
            "audio_channels": [4, 4, 8, 8],
            "audio_blocks": 1,
        },
        "matching": {"group": 2, "lip_dim": 3},
        "run": {"steps": 6, **RUN},
    },
    "speech": {
        "model": {"channels": [4, 4, 8], "width": 16, "layers": 1},
        "lip_dim": 3,
        "frames": 12,
        "run": {"steps": 8, **RUN, "precision": "fp32"},
    },
    "generator": {
        "model": {"channels": [16, 16, 16], "control": 16, "groups": 4, "key": 4},
        "lip_dim": 3,
        "loss": {"sync": 0.03, "min_accuracy": 0.0, "sync_gate": 100.0, "pixel": 0.1},
        "window": 5,
        "run": {"steps": 12, **RUN, "batch": 10},
    },
    "decoder": {
        "model": {"nearness": [4.0, 2.0, 1.0]},
        "window": 3,
        "min_references": 3,
        "references": 5,
        "true_frames": 2,
        "run": {"steps": 8, **RUN, "batch": 6},
    },
}


@pytest.fixture(scope="module")
def finished(corpus: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    run_stage("all", corpus, config, out, [], "cpu")
    return out


def test_all_stages_end_in_a_checkpoint_that_renders(finished: Path) -> None:
    method = load_method(finished / "vq.safetensors", device="cpu", backend="torch")
    assert method.name == "vq"
    assert method.size == 32
    state = method.start(np.full((3, 3, 32, 32), 0.5, np.float32))
    columns = method.speech_features(np.zeros(16000, np.float32))
    assert columns.shape == (3, 101)
    faces = np.random.default_rng(0).uniform(-1, 1, (5, 3, 32, 32)).astype(np.float32)
    out = method.render(faces, columns[:, :20:4].T, state)
    assert out.faces.shape == (5, 3, 32, 32)
    assert out.restored is not None
    assert np.abs(out.faces).max() <= 1.0


def test_a_kernel_needs_neither_codes_nor_training(
    finished: Path, corpus: Path, tmp_path: Path
) -> None:
    values = {k: v for k, v in CONFIG.items() if k not in ("codes", "expert", "decoder")}
    model = {"correct": False, "nearness": [4, 2, 1], "pose_gain": 5}
    values["generator"] = {"lip_dim": 3, "model": model}
    values["vq"] = {"snap": "raw", "articulation": 1.5}
    config = tmp_path / "kernel.yaml"
    config.write_text(yaml.safe_dump(values))
    for part in ("vqgan", "pose-vqgan", "speech"):
        (tmp_path / part).symlink_to(finished / part)
    run_stage("all", corpus, config, tmp_path, [], "cpu")
    assert not (tmp_path / "codes").exists()
    method = load_method(tmp_path / "vq.safetensors", device="cpu", backend="torch")
    state = method.start(np.full((3, 3, 32, 32), 0.5, np.float32))
    made = method.render(np.zeros((2, 3, 32, 32), np.float32), np.zeros((2, 3), np.float32), state)
    assert made.restored is not None
    assert made.restored.shape == (2, 3, 32, 32)


def test_sync_loss_came_on_and_is_recorded(finished: Path) -> None:
    header = read_header(finished / "generator" / "generator.safetensors")
    assert header["training"]["sync_on"] is True
    assert header["training"]["steps"] == 12
    assert "copy_l1" in header["training"]["validation"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["vqgan", "pose-vqgan", "expert", "speech", "generator", "decoder"]
)
def test_resume_gives_the_same_weights(
    stage: str, finished: Path, corpus: Path, config: Path, tmp_path: Path
) -> None:
    """Stopped in the middle and resumed, a stage ends with the weights of an unbroken run."""
    for part in ("vqgan", "pose-vqgan", "codes", "expert", "generator"):
        if part != stage:
            (tmp_path / part).symlink_to(finished / part)
    # The time limit is checked after every step, so the first call stops after one.
    run_stage(stage, corpus, config, tmp_path, ["run.max_minutes=0"], "cpu")
    broken = torch.load(tmp_path / stage / "last.pt", weights_only=True)
    assert broken["step"] == 1
    run_stage(stage, corpus, config, tmp_path, [], "cpu")
    ours = load_checkpoint(tmp_path / stage / f"{stage}.safetensors")
    theirs = load_checkpoint(finished / stage / f"{stage}.safetensors")
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name, tensor in theirs.tensors.items():
        assert torch.equal(ours.tensors[name], tensor), name


def test_frozen_expert_is_untouched_by_the_generator(finished: Path, corpus: Path) -> None:
    from lipwright.data.codes import CodeCorpus
    from lipwright.training.config import parse
    from lipwright.training.stages.generator import GeneratorStage
    from lipwright.training.stages.generator_config import GeneratorConfig
    from lipwright.training.trainer import Context

    codes = CodeCorpus(PackedCorpus(corpus), finished / "codes", 3)
    stage = GeneratorStage(
        parse(GeneratorConfig, CONFIG["generator"], "test"),
        codes,
        finished / "vqgan" / "vqgan.safetensors",
        finished / "expert" / "expert.safetensors",
    )
    assert stage.expert is not None
    before = {k: v.clone() for k, v in stage.expert.state_dict().items()}
    context = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))
    network = stage.network.train()
    network.sync_on.fill_(False)
    assert "sync" not in stage.step(network, 0, context)
    network.sync_on.fill_(True)
    losses = stage.step(network, 0, context)
    losses["sync"].backward()
    assert any(p.grad is not None and p.grad.any() for p in network.parameters())
    assert all(p.grad is None for p in stage.expert.parameters())
    assert not stage.expert.training
    assert all(torch.equal(v, before[k]) for k, v in stage.expert.state_dict().items())


def test_weak_expert_is_refused(finished: Path, corpus: Path, config: Path, tmp_path: Path) -> None:
    for part in ("vqgan", "pose-vqgan", "codes", "expert"):
        (tmp_path / part).symlink_to(finished / part)
    with pytest.raises(LipwrightError, match="below the 101%"):
        run_stage("generator", corpus, config, tmp_path, ["loss.min_accuracy=1.01"], "cpu")


def test_wrong_stage_config_and_overrides(corpus: Path, config: Path, tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="no training stage 'vqgn'"):
        run_stage("vqgn", corpus, config, tmp_path, [], "cpu")
    with pytest.raises(LipwrightError, match=r"run\.stesp"):
        run_stage("vqgan", corpus, config, tmp_path, ["run.stesp=3"], "cpu")
    with pytest.raises(LipwrightError, match="not an override"):
        run_stage("vqgan", corpus, config, tmp_path, ["steps"], "cpu")
    with pytest.raises(LipwrightError, match="run the stage 'vqgan' first"):
        run_stage("codes", corpus, config, tmp_path, [], "cpu")
    with pytest.raises(LipwrightError, match="no packed corpus"):
        run_stage("vqgan", tmp_path, config, tmp_path, [], "cpu")


def test_folder_of_another_stage_is_refused(finished: Path, corpus: Path, config: Path) -> None:
    from lipwright.training.trainer import _load

    with pytest.raises(LipwrightError, match="belongs to stage vqgan"):
        _load(finished / "vqgan" / "last.pt", "expert", {}, None, None, torch.device("cpu"))  # type: ignore[arg-type]


def test_training_learns(finished: Path) -> None:
    rows = log_of(finished / "vqgan")
    losses = [r["l1"] for r in rows if r["kind"] == "train"]
    assert losses[-1] < losses[0]
    assert all(np.isfinite(r["loss"]) for r in rows if r["kind"] == "train")


@pytest.mark.parametrize("name", ["tiny", "base", "paper"])
def test_shipped_configs_are_valid_and_build(name: str) -> None:
    from lipwright.models.gallery_generator import GalleryGenerator
    from lipwright.models.generator import CodeGenerator
    from lipwright.models.speech_networks import build_speech_network
    from lipwright.models.vqgan import VQGAN
    from lipwright.training.config import parse
    from lipwright.training.stages.configs import find_config
    from lipwright.training.stages.decoder import DecoderConfig
    from lipwright.training.stages.expert import ExpertConfig
    from lipwright.training.stages.generator_config import GeneratorConfig
    from lipwright.training.stages.speech import SpeechConfig
    from lipwright.training.stages.vqgan import VQGANConfig

    values = yaml.safe_load(find_config(name).read_text())
    kinds = {"expert": ExpertConfig, "decoder": DecoderConfig}
    for section, kind in kinds.items():
        if section in values:
            parse(kind, values[section], name)
    with torch.device("meta"):
        for section in ("vqgan", "pose-vqgan"):
            VQGAN(**parse(VQGANConfig, values[section], name).model)
        generator = parse(GeneratorConfig, values["generator"], name)
        if generator.arch == "gallery":
            GalleryGenerator(**generator.model)
            speech = parse(SpeechConfig, values["speech"], name)
            build_speech_network("encoder" if speech.encoder else "mel", **speech.model)
        else:
            CodeGenerator(**generator.model)


@pytest.mark.parametrize("tempo", [0.0, 0.3])
def test_speech_and_lips_change_pace_together(corpus: Path, tempo: float) -> None:
    from lipwright.training.stages.speech import SpeechConfig, SpeechStage

    calm = {"gain": 0, "tilt": 0, "floor": 0, "shift": 0, "stretch": 0, "band": 0, "tempo": tempo}
    from lipwright.training.config import parse

    values = {**CONFIG["speech"], "frames": 24, "silence": 0.0, "jitter": calm}
    stage = SpeechStage(parse(SpeechConfig, values, "test"), PackedCorpus(corpus))
    rng, follows = np.random.default_rng(0), []
    for _ in range(20):
        mel, real, valid = stage._stretch(rng)
        loud = mel[:20].mean(dim=0)[stage.audio.before :: 4][: len(real)]
        follows.append(np.corrcoef(loud[valid], real[valid, 0])[0, 1])
    assert min(follows) > 0.9


def test_values_between_columns() -> None:
    from lipwright.training.stages.speech import _between

    values = torch.tensor([[0.0, 1.0, 4.0]])
    places = torch.tensor([-1.0, -0.5, 0.0, 0.25, 1.5, 2.0, 2.5, 9.0])
    expected = [[-4.0, -2.0, 0.0, 0.25, 2.5, 4.0, 0.0, -4.0]]
    assert torch.equal(_between(values, places, -4.0), torch.tensor(expected))


def test_two_runs_do_not_write_one_folder(corpus: Path, config: Path, tmp_path: Path) -> None:
    from lipwright.lock import OutputLock

    (tmp_path / "speech").mkdir()
    with (
        OutputLock((tmp_path / "speech").resolve()),
        pytest.raises(LipwrightError, match="Another job is writing"),
    ):
        run_stage("speech", corpus, config, tmp_path, [], "cpu")
    assert list((tmp_path / "speech").iterdir()) == []
    run_stage("speech", corpus, config, tmp_path, [], "cpu")
    assert not list(tmp_path.glob(".*lock"))
