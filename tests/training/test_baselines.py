"""Pixel baselines in the one trainer: they learn, resume, share data, and their files dub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipwright.data.clip_windows import ClipWindow, ReferenceRule
from lipwright.data.packed import PackedCorpus
from lipwright.data.pixels import PixelWindows
from lipwright.errors import LipwrightError
from lipwright.media.mel import SILENCE, AudioSpec
from lipwright.methods.registry import load_method
from lipwright.models.pixel_discriminators import JointDiscriminator, QualityDiscriminator
from lipwright.training.config import parse, read_yaml
from lipwright.training.losses.contrastive import contrastive
from lipwright.training.speech_jitter import SpeechJitter
from lipwright.training.stages.configs import find_config
from lipwright.training.stages.pixel import PixelConfig, PixelStage, varied
from lipwright.training.stages.pixel_expert import PixelExpertConfig
from lipwright.training.stages.registry import STAGES
from lipwright.training.stages.run import run_stage
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import load_checkpoint, read_header

from .tiny import log_of

pytestmark = pytest.mark.usefixtures("no_graphs")

CONFIGS = Path(__file__).parents[2] / "configs" / "baselines"
RUN = {
    "steps": 8,
    "batch": 4,
    "validate_every": 4,
    "validate_batches": 1,
    "log_every": 1,
    "ema": 0.0,
    "precision": "fp32",
}
FAST = {"name": "adam", "lr": 3e-3, "warmup": 1, "schedule": "constant"}
SMALL: dict[str, Any] = {"size": 48, "width": 0.06, "run": RUN, "optimiser": FAST}
CONFIG: dict[str, Any] = {
    "pixel-expert": {
        **SMALL,
        "window": 5,
        "matching": {"group": 3, "lip_dim": 3},
        "run": {**RUN, "steps": 4},
    },
    "wav2lip": {
        **SMALL,
        "window": 5,
        "loss": {"sync": 0.03, "sync_gate": 100.0, "discriminator": 0.07},
    },
    "lipgan": {**SMALL, "window": 1, "loss": {"discriminator": 0.01}},
    "speech2vid": {**SMALL, "window": 1},
}
CROP = 48
KINDS = ("wav2lip", "lipgan", "speech2vid")


@pytest.fixture(scope="module")
def finished(corpus: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    for stage in ("pixel-expert", *KINDS):
        run_stage(stage, corpus, config, out, [], "cpu")
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_loss_falls_on_one_batch(kind: str, corpus: Path) -> None:
    values = {**CONFIG[kind], "loss": {}, "run": {**RUN, "batch": 2}}
    stage = PixelStage(kind, parse(PixelConfig, values, "test"), PackedCorpus(corpus))  # type: ignore[arg-type]
    context = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))
    optimiser = torch.optim.Adam(stage.network.parameters(), 5e-3)
    losses = []
    for _ in range(30):
        loss = stage.step(stage.network.train(), 0, context)["loss"]  # step 0: the same batch
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_checkpoint_dubs(kind: str, finished: Path) -> None:
    lines = log_of(finished / kind)
    assert all(np.isfinite(r["loss"]) for r in lines if r["kind"] == "train")
    assert all("copy_l1" in r for r in lines if r["kind"] == "validation")
    method = load_method(finished / kind / f"{kind}.safetensors", "cpu", "torch")
    state = method.start(torch.rand(2, 3, 48, 48) * 2 - 1)
    steps = method.audio.steps
    faces = method.render(torch.rand(3, 3, 48, 48) * 2 - 1, torch.randn(3, 80, steps), state).faces
    assert faces.shape == (3, 3, 48, 48)


def test_the_sync_loss_came_on_after_the_gate(finished: Path) -> None:
    lines = log_of(finished / "wav2lip")
    train = [r for r in lines if r["kind"] == "train"]
    assert all("sync" not in r for r in train[:4])
    assert all("sync" in r for r in train[4:])
    header = read_header(finished / "wav2lip" / "wav2lip.safetensors")
    assert header["training"]["sync_on"] is True
    expert = load_checkpoint(finished / "pixel-expert" / "pixel-expert.safetensors")
    assert header["parents"]["expert"] == expert.sha256
    measured = expert.header["training"]["validation"]
    assert {"accuracy", "accuracy_offset1", "found", "opening_seen", "opening_heard"} <= set(
        measured
    )


@pytest.mark.slow
def test_resume_gives_the_same_weights(
    finished: Path, corpus: Path, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "pixel-expert").symlink_to(finished / "pixel-expert")
    # The time limit is checked after every step, so the first call stops after one.
    run_stage("wav2lip", corpus, config, tmp_path, ["run.max_minutes=0"], "cpu")
    run_stage("wav2lip", corpus, config, tmp_path, [], "cpu")
    ours = load_checkpoint(tmp_path / "wav2lip" / "wav2lip.safetensors")
    theirs = load_checkpoint(finished / "wav2lip" / "wav2lip.safetensors")
    for name, tensor in theirs.tensors.items():
        assert torch.equal(ours.tensors[name], tensor), name


def test_the_expert_is_frozen_and_in_eval_mode(finished: Path, corpus: Path) -> None:
    stage = PixelStage(
        "wav2lip",
        parse(PixelConfig, CONFIG["wav2lip"], "test"),
        PackedCorpus(corpus),
        finished / "pixel-expert" / "pixel-expert.safetensors",
    )
    assert stage.expert is not None
    before = {k: v.clone() for k, v in stage.expert.state_dict().items()}
    context = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))
    network = stage.network.train()
    assert "sync" not in stage.step(network, 0, context)
    stage.gated.sync_on.fill_(True)
    losses = stage.step(network, 0, context)
    losses["sync"].backward()
    assert any(p.grad is not None and p.grad.any() for p in network.parameters())
    assert all(p.grad is None for p in stage.expert.parameters())
    assert not stage.expert.training
    assert all(torch.equal(v, before[k]) for k, v in stage.expert.state_dict().items())


def test_equal_seeds_give_equal_batches_across_methods(corpus: Path) -> None:
    packed = PackedCorpus(corpus)
    context = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))
    batches = []
    for kind in ("lipgan", "wav2lip"):
        values = {**CONFIG["lipgan"], "loss": {}}
        stage = PixelStage(kind, parse(PixelConfig, values, "test"), packed)  # type: ignore[arg-type]
        rng = context.rng(0, 3)
        batches.append(stage.train_windows.draw(rng, 3, context.device, stage.jitter))
    for field in ("target", "reference", "mel", "long_mel"):
        assert torch.equal(getattr(batches[0], field), getattr(batches[1], field))


def test_windows_of_pixels_and_speech(corpus: Path) -> None:
    packed = PackedCorpus(corpus)
    rule = ReferenceRule(5, 6, order="window")
    windows = PixelWindows(packed, "train", 48, 5, rule, AudioSpec(20, 8), min_offset=6)
    row = windows.clips.rows[0]
    mel = packed.speech(row)
    none = np.zeros(0, np.int64)
    first = ClipWindow(row, np.arange(5), np.ones(5, bool), row, none)
    short, long = windows._speech(first, 10)
    assert torch.equal(short[0][:, 8:], mel[:, 0:12])
    assert (short[0][:, :8] == SILENCE).all()
    assert torch.equal(short[4], mel[:, 8:28])
    assert torch.equal(long, mel[:, 40:60])
    rng = np.random.default_rng(0)
    batch = windows.draw(rng, 200, torch.device("cpu"), shifted=True)
    assert batch.target.shape == (200, 5, 3, 48, 48)
    assert 0 <= batch.target.min() <= batch.target.max() <= 1
    assert 0.4 < batch.labels.float().mean() < 0.6
    for w in windows.clips.draw(rng, 50):
        assert np.abs(w.times[:, None] - w.references[None]).min() >= 6
        assert (np.diff(w.references) == 1).all()
    with pytest.raises(LipwrightError, match="none of 4 clips has the 46 frames"):
        PixelWindows(packed, "train", 48, 40, ReferenceRule(1, 6), AudioSpec())


def test_contrastive_loss_by_hand() -> None:
    d = torch.tensor([0.0, 0.5, 2.0])
    assert float(contrastive(d, 0.0)) == pytest.approx((0 + 0.25 + 4) / 3)
    assert float(contrastive(d, 1.0)) == pytest.approx((1 + 0.25 + 0) / 3)
    mixed = contrastive(d, torch.tensor([1.0, 0.0, 1.0]))
    assert float(mixed) == pytest.approx((1 + 0.25 + 0) / 3)


def test_critics() -> None:
    faces = torch.rand(4, 3, 64, 64)
    other = faces.clone()
    other[:, :, :32] = 0
    discriminator = QualityDiscriminator(4, 3)
    assert torch.equal(discriminator(faces), discriminator(other))  # lower halves only
    joint = JointDiscriminator(4, 3, 16)
    d = joint(faces, torch.randn(4, 80, 20))
    assert d.shape == (4,)
    assert (d >= 0).all()
    assert (d <= 2.001).all()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_configs_are_valid_and_build(path: Path) -> None:
    from lipwright.models.pixel_unet import PixelUNet

    for stage, values in read_yaml(path).items():
        if stage == "pixel-expert":
            parse(PixelExpertConfig, values, str(path))
            continue
        config = parse(PixelConfig, values, str(path))
        with torch.device("meta"):
            PixelUNet(config.size, 2, AudioSpec(**config.audio).steps, config.width)


def test_shipped_configs_are_found_by_name() -> None:
    assert find_config("tiny", STAGES["wav2lip"]) == CONFIGS / "wav2lip-tiny.yaml"
    for stage in ("wav2lip", "pixel-expert"):
        assert find_config("wav2lip-tiny", STAGES[stage]) == CONFIGS / "wav2lip-tiny.yaml"


def test_wrong_configs_are_refused(
    corpus: Path, config: Path, tmp_path: Path, finished: Path
) -> None:
    with pytest.raises(LipwrightError, match="run the stage 'pixel-expert' first"):
        run_stage("wav2lip", corpus, config, tmp_path, [], "cpu")
    with pytest.raises(LipwrightError, match="set window=1"):
        run_stage("lipgan", corpus, config, tmp_path, ["window=5"], "cpu")
    with pytest.raises(LipwrightError, match="has no discriminator"):
        run_stage("speech2vid", corpus, config, tmp_path, ["loss.discriminator=0.1"], "cpu")
    (tmp_path / "pixel-expert").symlink_to(finished / "pixel-expert")
    with pytest.raises(LipwrightError, match="train one with the same size"):
        run_stage("wav2lip", corpus, config, tmp_path, ["size=96"], "cpu")


def test_the_speech_encoder_learns_lips_before_anything_is_drawn(
    corpus: Path, tmp_path: Path
) -> None:
    values = {**CONFIG["speech2vid"], "lips": {"weight": 0.5, "first": 3, "batch": 8}, "lip_dim": 3}
    stage = PixelStage(
        "speech2vid", parse(PixelConfig, values, "test"), PackedCorpus(corpus), None, tmp_path
    )
    context = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))
    network = stage.network.train()
    first = stage.step(network, 2, context)
    assert set(first) == {"lips", "loss"}
    first["loss"].backward()
    generator = stage.gated.generator
    assert generator.speech_encoder[0].conv.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in generator.face_encoder.parameters())
    losses = stage.step(network, 3, context)
    assert {"lips", "l1"} < set(losses)
    total = 0.5 * losses["lips"] + losses["l1"]
    assert float(losses["loss"].detach()) == pytest.approx(float(total.detach()), rel=1e-6)
    stage.export(stage.network, tmp_path / "s.safetensors", {})
    assert not any("motion_head" in k for k in load_checkpoint(tmp_path / "s.safetensors").tensors)


def test_windows_of_one_example_are_varied_alike() -> None:
    """The same columns, seen by two windows, stay the same columns."""
    mel = torch.randn(80, 24)
    pair = torch.stack([mel[:, :20], mel[:, 4:]])
    made = varied(pair, np.random.default_rng(0), SpeechJitter(band=0, floor=0.0))
    assert made.shape == pair.shape
    assert torch.equal(made[0, :, 4:], made[1, :, :16])
    assert not torch.allclose(made, pair)


def test_a_baseline_learns_on_top_of_a_speech_encoder(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipwright.data.encoded_speech import EncodedSpeech
    from lipwright.training.stages import pixel

    packed = PackedCorpus(corpus)
    rows = np.arange(len(packed.frames), dtype=np.float16)[:, None].repeat(32, 1)
    places = {r.clip: (r.start, r.frames, 1.0) for r in packed.rows}
    encoded = EncodedSpeech([rows], [places], rows[:8])
    monkeypatch.setattr(pixel, "encode_with_whisper", lambda *_: encoded)
    encoder = {"width": 8, "layers": 2, "encoder_width": 16, "encoder_heads": 2}
    values = {**CONFIG["speech2vid"], "encoder": encoder}
    stage = PixelStage("speech2vid", parse(PixelConfig, values, "test"), packed, None, tmp_path)
    batch = stage.train_windows.draw(np.random.default_rng(0), 4, torch.device("cpu"))
    assert batch.mel.shape == (4, 1, 32, 5)
    assert (batch.mel[:, 0, 0].diff(dim=1) >= 0).all()  # the frame's own in the middle
    context = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))
    stage.step(stage.network, 0, context)["loss"].backward()
    assert stage.gated.generator.encoded.members[0].join.weight.grad.abs().sum() > 0
    stage.export(stage.network, tmp_path / "s.safetensors", {})
    assert read_header(tmp_path / "s.safetensors")["audio"]["features"] == "whisper"
    told = {**values, "lips": {"weight": 1.0, "first": 2, "batch": 3}, "lip_dim": 3}
    stage = PixelStage("speech2vid", parse(PixelConfig, told, "test"), packed, None, tmp_path)
    assert set(stage.step(stage.network, 1, context)) == {"lips", "loss"}
    uneven = parse(PixelConfig, {**values, "variation": {"pace": 0.1}}, "test")
    with pytest.raises(LipwrightError, match="pace"):
        PixelStage("speech2vid", uneven, packed, None, tmp_path)
