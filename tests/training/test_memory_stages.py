"""Audio-Lip Memory in the one trainer: schedule, leaks, learning, exact resume, dubbing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.methods.registry import load_method
from lipwright.models.memory_lips import LipEncoder
from lipwright.models.memory_talker import MemoryTalker
from lipwright.training.config import parse, read_yaml
from lipwright.training.losses.audio_visual import audio_visual_loss
from lipwright.training.losses.quality_adversarial import adversarial_loss, discriminator_loss
from lipwright.training.losses.visual_visual import visual_visual_loss
from lipwright.training.stages.configs import find_config
from lipwright.training.stages.memory import MemoryStage
from lipwright.training.stages.memory_config import MemoryConfig
from lipwright.training.stages.memory_network import TrainedMemory
from lipwright.training.stages.pixel_expert import PixelExpertConfig
from lipwright.training.stages.registry import STAGES
from lipwright.training.stages.run import run_stage
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import load_checkpoint, read_header

from .tiny import log_of

pytestmark = pytest.mark.usefixtures("no_graphs")

CONFIGS = Path(__file__).parents[2] / "configs" / "memory"
CONTEXT = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))
RUN = {
    "steps": 8,
    "batch": 5,
    "validate_every": 4,
    "validate_batches": 1,
    "log_every": 1,
    "ema": 0.9,
    "precision": "fp32",
}
FAST = {"name": "adam", "lr": 3e-3, "warmup": 1, "schedule": "constant"}
MODEL: dict[str, Any] = {
    "lip_dim": 8,
    "audio_dim": 6,
    "memory": {"slots": 6},
    "audio": {
        "kind": "context",
        "channels": [4, 4, 4],
        "width": 8,
        "layers": 1,
        "centred": True,
    },
    "identity": {"channels": [8, 8, 16], "patch": 2, "groups": 4},
    "decoder": {"channels": [8, 8, 16], "modulate": True, "lower": True},
}
CONFIG: dict[str, Any] = {
    "memory-expert": {
        "size": 48,
        "window": 5,
        "width": 0.05,
        "run": {**RUN, "steps": 2},
        "optimiser": FAST,
    },
    "memory": {
        "model": MODEL,
        "lips": {"channels": [8, 8], "patch": 2, "grey": True, "groups": 4, "centred": True},
        "discriminator": {"width": 4, "levels": 2},
        "loss": {
            "visual_start": 3,
            "sync_start": 4,
            "sync_gate": 100.0,
            "discriminator_start": 6,
            "motion": 0.1,
            "correlation": 0.1,
        },
        "speech_jitter": {},
        "stretch": 8,
        "more": 2,
        "window_every": 1,
        "silence": 0.2,
        "lip_dim": 3,
        "run": RUN,
        "optimiser": FAST,
    },
}


@pytest.fixture(scope="module")
def finished(corpus: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    for stage in ("memory-expert", "memory"):
        run_stage(stage, corpus, config, out, [], "cpu")
    return out


def stage_of(corpus: Path, expert: Path | None = None, **changes: Any) -> MemoryStage:
    values = {**CONFIG["memory"], **changes}
    return MemoryStage(parse(MemoryConfig, values, "test"), PackedCorpus(corpus), expert)


def network_of(stage: MemoryStage) -> TrainedMemory:
    assert isinstance(stage.network, TrainedMemory)
    return stage.network


def test_losses_come_on_in_their_order(finished: Path) -> None:
    lines = log_of(finished / "memory")
    train = {r["step"] - 1: r for r in lines if r["kind"] == "train"}
    always = {"recalled", "teacher_forced", "store", "align", "motion", "correlation"}
    assert all(always <= set(r) for r in train.values())
    assert [s for s, r in train.items() if "visual" in r] == list(range(3, 8))
    assert [s for s, r in train.items() if "sync" in r] == list(range(4, 8))  # validated at 4
    assert [s for s, r in train.items() if "adversarial" in r] == [6, 7]
    assert [s for s, r in train.items() if "discriminator" in r] == [6, 7]
    held = [r for r in lines if r["kind"] == "validation"]
    columns = {
        "recalled_l1",
        "teacher_forced_l1",
        "copy_l1",
        "slots_audio",
        "slots_lips",
        "sync_loss",
    }
    assert all(columns | {"opening_correlation"} <= set(r) for r in held)


def test_the_checkpoint_dubs_and_names_its_expert(finished: Path) -> None:
    path = finished / "memory" / "memory.safetensors"
    header = read_header(path)
    expert = load_checkpoint(finished / "memory-expert" / "memory-expert.safetensors")
    assert header["parents"] == {"expert": expert.sha256}
    assert header["training"]["sync_on"] is True
    method = load_method(path, "cpu", "torch")
    state = method.start(torch.rand(2, 3, 32, 32) * 2 - 1)
    mel = torch.randn(3, 80, method.audio.steps)
    assert method.render(torch.rand(3, 3, 32, 32) * 2 - 1, mel, state).faces.shape == (3, 3, 32, 32)
    assert list((finished / "memory" / "samples").glob("*.png"))


@pytest.mark.slow
def test_resume_gives_the_same_weights(
    finished: Path, corpus: Path, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "memory-expert").symlink_to(finished / "memory-expert")
    for _ in range(2):  # the time limit is checked after every step: one step each
        run_stage("memory", corpus, config, tmp_path, ["run.max_minutes=0"], "cpu")
    run_stage("memory", corpus, config, tmp_path, [], "cpu")
    ours = load_checkpoint(tmp_path / "memory" / "memory.safetensors")
    theirs = load_checkpoint(finished / "memory" / "memory.safetensors")
    assert set(ours.tensors) == set(theirs.tensors)
    for name, tensor in theirs.tensors.items():
        assert torch.equal(ours.tensors[name], tensor), name


@pytest.mark.slow
def test_a_moved_reference_trains_resumes_and_dubs(corpus: Path, tmp_path: Path) -> None:
    values = {**CONFIG["memory"], "model": {**MODEL, "move": {"motions": 3}}}
    values["loss"] = {**values["loss"], "sync": 0.0}
    config = tmp_path / "moving.yaml"
    config.write_text(yaml.safe_dump({"memory": values}))
    made = []
    for name, limits in (("whole", [[]]), ("parts", [["run.max_minutes=0"], []])):
        for limit in limits:
            run_stage("memory", corpus, config, tmp_path / name, limit, "cpu")
        made.append(load_checkpoint(tmp_path / name / "memory" / "memory.safetensors"))
    whole, parts = made
    assert all(torch.equal(parts.tensors[k], v) for k, v in whole.tensors.items())
    space = whole.tensors["talker.mover.space.basis"]
    assert space.shape == (80, 2)
    assert space.abs().sum() > 0
    method = load_method(tmp_path / "whole" / "memory" / "memory.safetensors", "cpu", "torch")
    state = method.start(torch.rand(2, 3, 32, 32) * 2 - 1)
    mel = torch.randn(3, 80, method.audio.steps)
    assert method.render(torch.rand(3, 3, 32, 32) * 2 - 1, mel, state).faces.shape[0] == 3


def test_movers_that_would_go_wrong_are_refused(corpus: Path) -> None:
    model = {**MODEL, "move": {"motions": 3}}
    with pytest.raises(LipwrightError, match=r"loss\.motion > 0"):
        stage_of(corpus, model=model, loss={**CONFIG["memory"]["loss"], "motion": 0.0})
    with pytest.raises(LipwrightError, match="must be equal"):
        stage_of(corpus, model={**MODEL, "move": {"motions": 4}})
    with pytest.raises(LipwrightError, match=r"jitter\.shift"):
        stage_of(corpus, model=model, jitter={"flip": 0.5})


def test_both_images_are_learnt_on_one_batch(corpus: Path) -> None:
    loss = {"visual": 0.0, "discriminator": 0.0, "sync": 0.0, "store": 0.1}
    stage = stage_of(corpus, loss=loss, run={**RUN, "batch": 2}, speech_jitter=None, silence=0.0)
    network = network_of(stage).train()
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    rows = []
    for _ in range(120):
        losses = stage.step(network, 0, CONTEXT)  # step 0: the same batch
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        rows.append({k: float(v.detach()) for k, v in losses.items()})
    assert rows[-1]["teacher_forced"] < 0.5 * rows[0]["teacher_forced"]
    assert rows[-1]["recalled"] < 1.5 * rows[-1]["teacher_forced"]
    assert rows[-1]["align"] < 0.6 * rows[0]["align"]


def test_which_losses_train_the_lip_encoder(corpus: Path) -> None:
    stage = stage_of(corpus)
    network = network_of(stage).train()
    made = network(stage.batch(0, CONTEXT))
    head, slots = network.lips.head.weight, network.talker.memory.value

    def reaches(value: torch.Tensor, parameter: torch.Tensor) -> bool:
        found = torch.autograd.grad(value, parameter, retain_graph=True, allow_unused=True)[0]
        return found is not None and bool(found.abs().max() > 0)

    assert reaches(made.teacher_forced.sum(), head)
    assert not reaches(made.recalled.sum(), head)
    assert not reaches(made.recalled.sum(), slots)
    assert not reaches(made.stored.recalled.sum(), head)
    assert reaches(made.stored.recalled.square().sum(), slots)
    key = network.talker.memory.key
    assert reaches(made.recalled.square().sum(), key)


def test_literal_rule_trains_the_lip_encoder_by_storing(corpus: Path) -> None:
    stage = stage_of(corpus, model={**MODEL, "memory": {"slots": 6, "rule": "literal"}})
    network = network_of(stage).train()
    made = network(stage.batch(0, CONTEXT))
    network.zero_grad()
    (made.stored.recalled - made.stored.target).square().sum().backward()
    assert network.lips.head.weight.grad is not None


def test_the_mouth_of_the_target_does_not_reach_what_is_recalled(corpus: Path) -> None:
    stage = stage_of(corpus, silence=0.0)
    network = network_of(stage).eval()
    batch = stage.batch(0, CONTEXT)
    frames = batch.frames.clone()
    frames[..., 16:, :] = torch.rand_like(frames[..., 16:, :])
    other = type(batch)(**{**vars(batch), "frames": frames})
    with torch.no_grad():
        first, second = network(batch), network(other)
    assert torch.equal(first.recalled, second.recalled)
    assert not torch.allclose(
        first.teacher_forced, second.teacher_forced
    )  # the teacher sees it through the lips


def test_silent_stretches_ask_for_rest(corpus: Path) -> None:
    stage = stage_of(corpus, speech_jitter=None)
    batch = stage.batch(0, CONTEXT)
    assert len(batch.speech) == len(batch.drawn_frames) + 1 == 6
    assert (batch.speech[-1] == -4).all()
    assert not batch.motion[-1].any()
    assert batch.valid[-1].all()


def test_five_frames_only_where_a_sync_loss_needs_them(corpus: Path) -> None:
    stage = stage_of(corpus, window_every=2)
    assert [stage.times(s) for s in range(8)] == [1, 1, 1, 1, 5, 1, 5, 1]
    assert stage.batch(4, CONTEXT).target.shape[:2] == (1, 5)  # five pictures of one clip
    assert stage.batch(5, CONTEXT).target.shape[:2] == (5, 1)


def test_an_expert_near_chance_is_not_listened_to(finished: Path, corpus: Path) -> None:
    expert = finished / "memory-expert" / "memory-expert.safetensors"
    assert stage_of(corpus, expert).expert is not None
    deaf = stage_of(corpus, expert, loss={"least_accuracy": 1.01})
    assert deaf.expert is None
    stage = stage_of(corpus, expert)
    network_of(stage).sync_on.fill_(True)
    losses = stage.step(network_of(stage).train(), 5, CONTEXT)
    losses["sync"].backward()
    assert stage.expert is not None
    assert not stage.expert.training
    assert all(p.grad is None for p in stage.expert.parameters())


def test_visual_visual_sync_trains_the_drawing_alone() -> None:
    encoder = LipEncoder(32, 8, (8, 8), patch=2, groups=4)
    drawn = (torch.rand(2, 5, 3, 32, 32) * 2 - 1).requires_grad_()
    true = encoder(drawn.detach())
    same = visual_visual_loss(encoder, drawn, true)
    assert float(same.detach()) == pytest.approx(0.0, abs=1e-6)
    loss = visual_visual_loss(encoder, drawn, true + 1.0)
    assert float(loss.detach()) == pytest.approx(1.0, abs=1e-5)
    loss.backward()
    assert drawn.grad is not None
    assert drawn.grad[..., 16:, :].abs().max() > 0
    assert not drawn.grad[..., :16, :].any()
    assert all(p.grad is None for p in encoder.parameters())


def test_losses_by_hand() -> None:
    cosine = torch.tensor([1.0, 0.5])
    assert float(audio_visual_loss(cosine)) == pytest.approx(0.5 * 0.693147, abs=1e-4)
    assert torch.isfinite(audio_visual_loss(torch.zeros(1)))
    zero = torch.zeros(3)
    assert float(adversarial_loss(zero)) == pytest.approx(0.693147, abs=1e-5)
    assert float(discriminator_loss(zero, zero)) == pytest.approx(0.693147, abs=1e-5)
    assert float(discriminator_loss(torch.tensor([9.0]), torch.tensor([-9.0]))) < 1e-3


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_configs_are_valid_and_build(path: Path) -> None:
    values = read_yaml(path)
    parse(PixelExpertConfig, values["memory-expert"], str(path))
    config = parse(MemoryConfig, values["memory"], str(path))
    size = 256 if path.stem == "base" else 128
    with torch.device("meta"):
        talker = MemoryTalker(size=size, **config.model)
        lips = LipEncoder(size, talker.memory.value.shape[1], **config.lips)
    if path.stem == "paper":
        assert (talker.audio.steps, config.loss.motion, config.loss.correlation) == (20, 0, 0)
        assert not talker.decoder.lower
        assert not lips.grey
    assert find_config(path.stem, STAGES["memory"]) == path


def test_wrong_configs_are_refused(corpus: Path, config: Path, tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="run the stage 'memory-expert' first"):
        run_stage("memory", corpus, config, tmp_path, [], "cpu")
    with pytest.raises(LipwrightError, match="set window=5"):
        run_stage("memory-expert", corpus, config, tmp_path, ["window=3"], "cpu")
    with pytest.raises(LipwrightError, match="is wrong at 'stretch'"):
        run_stage("memory", corpus, config, tmp_path, ["stretch=4"], "cpu")
