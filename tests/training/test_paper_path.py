"""The paper's own path at toy size: corpus, two VQGANs with their discriminator, expert, generator
with the sync loss on, joined checkpoint, dubbed video. And the shipped configs of that path."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lipwright.data.packed import PackedCorpus
from lipwright.dubbing.job import DubOptions, dub
from lipwright.dubbing.render_job import StartedFaces
from lipwright.errors import LipwrightError
from lipwright.media.mel import SILENCE
from lipwright.methods.registry import load_method
from lipwright.training.config import read_yaml
from lipwright.training.stages.configs import find_config
from lipwright.training.stages.generator import GeneratorStage
from lipwright.training.stages.registry import STAGES
from lipwright.training.stages.run import StageRun, plan_stages, run_stage
from lipwright.training.stages.vqgan import VQGANStage
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import load_checkpoint, read_header
from tests.dubbing import clips
from tests.dubbing.clips import Actor

from .tiny import log_of

RUN = {"batch": 4, "validate_every": 4, "validate_batches": 1, "log_every": 1, "ema": 0.0}
VQGAN: dict[str, Any] = {
    "model": {
        "channels": [8, 16],
        "blocks": 1,
        "z_channels": 16,
        "dim": 8,
        "n_codes": 32,
        "attention": True,
        "groups": 4,
        "codebook": "euclidean",
        "beta": 0.25,
        "legacy": True,
    },
    "loss": {"adversarial": 0.8, "adversarial_start": 2},
    "optimiser": {"name": "adam", "lr": 1.0e-3, "warmup": 1, "schedule": "constant"},
    "run": {"steps": 4, **RUN, "precision": "fp32"},
}
CONFIG: dict[str, Any] = {
    "vqgan": VQGAN,
    "pose-vqgan": VQGAN,
    "codes": {},
    "expert": {
        "model": {
            "window": 5,
            "stem": 4,
            "channels": [8, 8, 8, 8],
            "dim": 8,
            "audio_channels": [4, 4, 8, 8],
            "audio_blocks": 1,
        },
        "run": {"steps": 4, **RUN},
    },
    "generator": {
        "arch": "paper",
        "model": {
            "channels": [8, 8, 8, 8, 8],
            "blocks": [1, 1, 1, 1],
            "dim": 8,
            "audio_channels": [4, 4, 8, 8],
        },
        "loss": {"l1": 1.0, "cross_entropy": 0.0, "sync": 0.03, "sync_gate": 9, "min_accuracy": 0},
        "window": 5,
        "references": 1,
        "min_distance": 25,
        "other_clip": 0.0,
        "silence": 0.0,
        "run": {"steps": 8, **RUN, "batch": 10},
    },
    "vq": {"snap": "raw"},
}


@pytest.fixture(scope="module")
def finished(corpus: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole path, by the one command."""
    out = tmp_path_factory.mktemp("run")
    assert run_stage("all", corpus, config, out, [], "cpu") == out / "vq.safetensors"
    return out


def rows(finished: Path, stage: str) -> list[dict[str, float]]:
    return [r for r in log_of(finished / stage) if r["kind"] == "train"]


@pytest.mark.parametrize("stage", ["vqgan", "pose-vqgan"])
def test_the_discriminator_joins_at_its_step(stage: str, finished: Path) -> None:
    found = rows(finished, stage)
    assert ["adversarial" in r for r in found] == [False, False, True, True]
    assert all("lambda" in r and "discriminator" in r for r in found[2:])
    assert all(np.isfinite(r["loss"]) for r in found)


def test_the_sync_loss_comes_on_behind_its_gate(finished: Path) -> None:
    found = rows(finished, "generator")
    assert ["sync" in r for r in found] == [False] * 4 + [True] * 4
    header = read_header(finished / "generator" / "generator.safetensors")
    assert header["arch"] == "paper"
    assert header["training"]["sync_on"] is True


def test_sigma_is_that_of_the_codes_in_use(finished: Path) -> None:
    """From the cached grids, by NumPy alone; the same number in all checkpoints of the run."""
    grids = np.load(finished / "codes" / "face.npy")
    with np.load(finished / "codes" / "books.npz") as books:
        sigma = books["face"][np.unique(grids)].std()
    for name in ("expert/expert", "generator/generator", "vq"):
        kept = read_header(finished / f"{name}.safetensors")["sigma"]
        assert np.isclose(kept["face"] if isinstance(kept, dict) else kept, sigma, rtol=1e-5)


def test_the_generator_learns_one_batch(finished: Path, corpus: Path) -> None:
    from lipwright.training.config import parse
    from lipwright.training.stages.generator import build
    from lipwright.training.stages.generator_config import GeneratorConfig

    values = {**CONFIG["generator"], "loss": {**CONFIG["generator"]["loss"], "sync": 0.0}}
    parsed = parse(GeneratorConfig, values, "test")
    stage = build(StageRun(STAGES["generator"], parsed, corpus, finished, "cpu"))
    assert isinstance(stage, GeneratorStage)
    context = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))
    optimiser = torch.optim.Adam(stage.network.parameters(), 5e-3)
    losses = []
    for _ in range(40):
        loss = stage.step(stage.network.train(), 0, context)["loss"]  # step 0: the same batch
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_the_checkpoint_dubs_a_video(finished: Path, tmp_path: Path) -> None:
    video, speech = tmp_path / "v.mp4", tmp_path / "s.wav"
    clips.write_video(video, 25, (160, 160))
    clips.write_speech(speech, 1.0)
    method = load_method(finished / "vq.safetensors", device="cpu", backend="torch")
    assert method.name == "vq"
    report = dub(
        video,
        speech,
        tmp_path / "out.mkv",
        DubOptions(watermark=False, manifest=False, lossless=True),
        method=method,
        tracker=clips.ScriptedTracker(lambda i: [Actor(0, 24, 16, 110)]),
    )
    assert report.counts()["synced"] > 0
    before = [picture.astype(int) for _, picture in clips.decoded(video)]
    after = [picture.astype(int) for _, picture in clips.decoded(tmp_path / "out.mkv")]
    assert len(after) == len(before) == 25
    # Lossless: whatever was not drawn is as it was. A toy draws faintly.
    assert any((a != b).any() for a, b in zip(after, before, strict=True))


def test_the_reference_is_an_option_of_a_dub(finished: Path, tmp_path: Path) -> None:
    """Every choice draws other frames, also one after the other with one model; the default method,
    which mixes its references, has no choice."""
    video, speech = tmp_path / "v.mp4", tmp_path / "s.wav"
    clips.write_video(video, 12, (160, 160))
    clips.write_speech(speech, 0.48)
    plain = DubOptions(watermark=False, manifest=False, lossless=True)
    method = load_method(finished / "vq.safetensors", device="cpu", backend="torch")
    started, drawn = StartedFaces(), []
    for reference in ("auto", "same", "fixed", "gallery"):
        started.clear()
        dub(
            video,
            speech,
            tmp_path / f"{reference}.mkv",
            replace(plain, reference=reference),
            method=method,
            tracker=clips.ScriptedTracker(lambda i: [Actor(0, 24, 16, 110)]),
            started=started,
        )
        drawn.append(np.stack([p for _, p in clips.decoded(tmp_path / f"{reference}.mkv")]))
    auto, same, fixed, gallery = drawn
    assert np.array_equal(auto, same)
    assert not np.array_equal(same, fixed)
    assert not np.array_equal(same, gallery)
    with pytest.raises(LipwrightError, match="'copy' cannot draw with reference=same"):
        dub(video, speech, tmp_path / "x.mkv", replace(plain, reference="same", method="copy"))
    assert not (tmp_path / "x.mkv").exists()


@pytest.mark.parametrize("name", ["paper", "paper-small"])
def test_shipped_configs_of_the_path_are_run_dry(
    name: str, finished: Path, corpus: Path, tmp_path: Path
) -> None:
    """Every stage is planned with its config, and its networks take a batch of the corpus' shapes.

    The networks are built without memory for their weights (the paper's are large), so shapes are
    what is proven here.
    """
    from lipwright.models import vqgan
    from lipwright.models.expert import SyncExpert
    from lipwright.models.generator import CodeGenerator

    sections = read_yaml(find_config(name))
    runs = plan_stages("all", corpus, find_config(name), tmp_path / "run", [], "cpu")
    assert [r.spec.name for r in runs] == [
        *("vqgan", "pose-vqgan", "codes", "expert", "generator", "vq")
    ]
    size = 256 if name == "paper" else 128
    window = sections["expert"]["model"]["window"]
    assert sections["generator"]["window"] == window
    assert sections["generator"]["min_distance"] == 25
    with torch.device("meta"):
        faces = torch.zeros(1, 3, size, size)
        codes = {}
        for stage in ("vqgan", "pose-vqgan"):
            network = vqgan.VQGAN(**runs[["vqgan", "pose-vqgan"].index(stage)].config.model)
            codes[stage] = network.eval().pre(network.encoder(faces))
            assert codes[stage].shape[2:] == (16, 16)
        dim = codes["vqgan"].shape[1]
        pose_dim = codes["pose-vqgan"].shape[1]
        inputs = 768 if sections["expert"].get("encoder") else 0
        model = {"code_dim": dim, "speech_inputs": inputs, **sections["expert"]["model"]}
        expert = SyncExpert(**model)
        speech = torch.zeros(2, inputs or 80, window * expert.columns)
        assert expert(torch.zeros(2, window, dim, 16, 16), speech).shape == (2,)
        model = {"code_dim": dim, "pose_dim": pose_dim, **sections["generator"].get("model", {})}
        generator = CodeGenerator(**model)
        pose, face = (torch.zeros(2, d, 16, 16) for d in (pose_dim, dim))
        assert generator(pose, face, torch.zeros(2, 80, 20)).shape == (2, dim, 16, 16)


def test_resume_of_the_whole_command_runs_nothing_again(
    finished: Path, corpus: Path, config: Path
) -> None:
    before = load_checkpoint(finished / "generator" / "generator.safetensors").sha256
    run_stage("all", corpus, config, finished, [], "cpu")
    assert load_checkpoint(finished / "generator" / "generator.safetensors").sha256 == before
    assert PackedCorpus(corpus).rows


@pytest.mark.slow
def test_the_whole_command_stopped_twice_ends_with_the_same_checkpoint(
    finished: Path,
    corpus: Path,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGTERM in the middle of a VQGAN, then of the generator; the same words go on each time."""
    stopped = []

    def stop_at(stage: type[Any], step: int) -> None:
        plain = stage.step

        def stepped(self: Any, network: Any, number: int, context: Context) -> Any:
            if number == step and stage not in stopped:
                stopped.append(stage)
                signal.raise_signal(signal.SIGTERM)
            return plain(self, network, number, context)

        monkeypatch.setattr(stage, "step", stepped)

    stop_at(VQGANStage, 1)
    stop_at(GeneratorStage, 4)
    for _ in range(2):
        with pytest.raises(LipwrightError, match="the same command goes on from there"):
            run_stage("all", corpus, config, tmp_path, [], "cpu")
        assert not (tmp_path / "vq.safetensors").exists()
    run_stage("all", corpus, config, tmp_path, [], "cpu")
    assert stopped == [VQGANStage, GeneratorStage]
    ours, theirs = (load_checkpoint(f / "vq.safetensors") for f in (tmp_path, finished))
    assert ours.tensors.keys() == theirs.tensors.keys()
    for key, tensor in theirs.tensors.items():
        assert torch.equal(ours.tensors[key], tensor), key


def test_the_three_choices_of_a_reference(finished: Path) -> None:
    """Same: the frame itself; fixed: the first of the references; gallery: that of like pose."""
    method = load_method(finished / "vq.safetensors", device="cpu", backend="torch")
    assert method.info.reference_choices == ("same", "fixed", "gallery")
    rng = np.random.default_rng(0)
    faces, others = (rng.uniform(-1, 1, (3, 3, 32, 32)).astype(np.float32) for _ in range(2))
    speech = np.full((3, 80, 20), -4.0, np.float32)

    def drawn(choice: str, references: np.ndarray) -> np.ndarray:
        chosen = method.with_reference(choice)
        return chosen.render(faces, speech, chosen.start(references)).faces

    # Neither the order nor the number of references matters to a frame that is its own.
    assert np.array_equal(drawn("same", others), drawn("same", others[1:]))
    assert np.array_equal(drawn("fixed", others), drawn("fixed", others[:1]))
    assert not np.array_equal(drawn("fixed", others), drawn("fixed", others[1:]))
    # Among references that are the frames themselves each finds itself, whatever their order.
    assert np.allclose(drawn("gallery", faces[::-1]), drawn("same", others), atol=1e-5)
    assert not np.allclose(drawn("gallery", others), drawn("same", others), atol=1e-5)
    # Other choices leave the method as it was.
    unasked = method.render(faces, speech, method.start(others)).faces
    assert np.array_equal(unasked, drawn("same", others))
    with pytest.raises(LipwrightError, match="reference=mean; it knows same, fixed, gallery"):
        method.with_reference("mean")


def test_articulation_is_counted_from_silence(finished: Path, tmp_path: Path) -> None:
    """No articulation draws what silence draws, more of it goes beyond what speech draws."""
    checkpoint = load_checkpoint(finished / "vq.safetensors")
    rng = np.random.default_rng(1)
    faces = rng.uniform(-1, 1, (2, 3, 32, 32)).astype(np.float32)
    speech = rng.uniform(-4, 4, (2, 80, 20)).astype(np.float32)
    silent = np.full_like(speech, SILENCE)
    # Eight steps of training teach it nothing of speech: louder weights make it listen.
    loud = {
        name: value * 4 if ".speech." in name and value.ndim > 1 else value
        for name, value in checkpoint.tensors.items()
    }
    assert sum(value is not loud[name] for name, value in checkpoint.tensors.items()) > 3

    def drawn(articulation: float, mel: np.ndarray) -> np.ndarray:
        path = tmp_path / f"{articulation}.safetensors"
        header = {**checkpoint.header, "articulation": articulation}
        save_file(loud, path, metadata={"lipwright": json.dumps(header)})
        method = load_method(path, device="cpu", backend="torch")
        return method.render(faces, mel, method.start(faces)).faces

    plain, rest = drawn(1.0, speech), drawn(1.0, silent)
    assert not np.allclose(plain, rest, atol=1e-4)
    assert np.allclose(drawn(0.0, speech), rest, atol=1e-5)
    far = drawn(2.0, speech)
    assert np.abs(far - rest).sum() > np.abs(plain - rest).sum()
