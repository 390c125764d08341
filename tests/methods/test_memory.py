"""The Audio-Lip Memory behind the contract: no lip encoder, any batch size, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lipwright.errors import LipwrightError
from lipwright.media.whisper_mel import whisper_log_power
from lipwright.methods.base import NeutralMouth, ReferenceLips
from lipwright.methods.graphs import export_graphs
from lipwright.methods.memory_networks import MemoryDrawer, SaidMotion, build_talker, mouth_mask
from lipwright.methods.opening_levels import shares
from lipwright.methods.registry import load_method
from lipwright.models.memory_lips import LipEncoder
from lipwright.models.memory_talker import MemoryTalker
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint
from tests.methods.tensors import TensorMethod
from tests.models.test_memory_networks import ENCODED, TINY

STEPS = 20


def write(path: Path, model: dict[str, Any] = TINY, **changes: Any) -> Path:
    torch.manual_seed(3)
    talker = MemoryTalker(**model)
    if talker.mover is not None:
        torch.nn.init.normal_(talker.mover.space.basis, 0.0, 0.02)
    header = {
        "method": "memory",
        "size": 32,
        "audio": {
            "steps": talker.audio.steps,
            "before": talker.audio.before,
            "features": talker.audio.features,
        },
        "networks": {"talker": model},
        **changes,
    }
    save_checkpoint(path, header, {"talker": talker})
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint in which there is no lip encoder at all."""
    return write(tmp_path / "memory.safetensors")


@pytest.fixture
def moving(tmp_path: Path) -> Path:
    """A checkpoint that moves the reference."""
    return write(tmp_path / "moving.safetensors", {**TINY, "move": {"motions": 3, "points": 5}})


def lips_of_references(count: int) -> ReferenceLips:
    rng = np.random.default_rng(0)
    shapes = rng.uniform(0.4, 0.8, (count, 5, 2))
    openings = np.linspace(0.0, 0.1, count)
    return ReferenceLips(openings, shapes, NeutralMouth.of(openings, shapes))


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_renders_and_does_not_depend_on_the_batch(checkpoint: Path, backend: str) -> None:
    method = TensorMethod(load_method(checkpoint, "cpu", backend))
    assert (method.name, method.size, method.audio.steps) == ("memory", 32, STEPS)
    faces, mel = torch.rand(11, 3, 32, 32) * 2 - 1, torch.randn(11, 80, STEPS)
    state = method.start(torch.rand(3, 3, 32, 32) * 2 - 1)
    whole = method.render(faces, mel, state).faces
    assert whole.shape == faces.shape
    assert whole.abs().max() <= 1.0
    parts = [method.render(faces[i : i + 3], mel[i : i + 3], state).faces for i in range(0, 11, 3)]
    # Full batches always; only a frame's place among the eight differs.
    assert torch.allclose(torch.cat(parts), whole, atol=1e-5)
    assert not torch.allclose(method.render(faces, mel + 1, state).faces, whole, atol=1e-3)


def test_backends_agree(checkpoint: Path) -> None:
    faces, mel = torch.rand(8, 3, 32, 32) * 2 - 1, torch.randn(8, 80, STEPS)
    made = []
    for backend in ("torch", "openvino"):
        method = TensorMethod(load_method(checkpoint, "cpu", backend))
        made.append(method.render(faces, mel, method.start(faces[:1])).faces)
    assert float((made[0] - made[1]).abs().mean()) < 0.02  # bfloat16 where the processor has it


def test_its_graph_draws_what_pytorch_draws(moving: Path, tmp_path: Path) -> None:
    path = tmp_path / "with.safetensors"
    path.write_bytes(moving.read_bytes())
    assert export_graphs(path)
    faces, mel = torch.rand(3, 3, 32, 32) * 2 - 1, torch.randn(3, 80, STEPS)
    made = []
    for method in (load_method(moving, "cpu", "torch"), load_method(path, "cpu")):
        state = method.start(faces[:2].numpy(), lips_of_references(2))
        made.append(method.render(faces.numpy(), mel.numpy(), state).faces)
    assert np.abs(made[0] - made[1]).mean() < 0.02  # bfloat16 where the processor has it
    assert np.abs(made[0] - faces.numpy()).mean() > 0.04


def said(path: Path, mel: torch.Tensor, articulation: float = 1.0) -> torch.Tensor:
    """(B, K) the lip motion that a checkpoint asks for, beside what it asks for in silence."""
    talker = build_talker(load_checkpoint(path))
    assert talker.mover is not None
    with torch.no_grad():
        features = (talker.recall(x)[0] for x in (talker.audio(mel), talker.audio.quiet()))
        heard, rest = (talker.mover.reader(x) for x in features)
    return (articulation * (heard - rest)).clamp(-4.0, 4.0)


def by_hand(
    path: Path, faces: torch.Tensor, mel: torch.Tensor, known: list[torch.Tensor], gain: float
) -> torch.Tensor:
    """What is shown when every frame is drawn from one reference of ``known``."""
    talker = build_talker(load_checkpoint(path))
    with torch.no_grad():
        features = talker.audio(mel)
        rest = talker.recall(talker.audio.quiet())[0]
        each = (t.expand(len(faces), *t.shape[1:]) for t in known)
        lips = talker.recall(features)[0]
        whole = talker.draw(lips, features, faces, *each, articulation=gain, rest=rest)
    return faces + mouth_mask(32) * (whole - faces)


@pytest.mark.parametrize("gain", [1.0, 2.5])
@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_frames_are_mixed_from_references_about_the_opening_that_is_said(
    tmp_path: Path, backend: str, gain: float
) -> None:
    model = {**TINY, "move": {"motions": 3, "points": 5}}
    path = write(tmp_path / "moving.safetensors", model, articulation=gain)
    method = TensorMethod(load_method(path, "cpu", backend))
    generator = torch.Generator().manual_seed(1)
    faces = torch.rand(3, 3, 32, 32, generator=generator) * 2 - 1
    mel = torch.randn(3, 80, STEPS, generator=generator)
    references = torch.rand(1, 3, 32, 32, generator=generator).expand(3, -1, -1, -1) * 2 - 1
    references = references * torch.tensor([0.5, 0.7, 0.9])[:, None, None, None]
    lips = lips_of_references(3)
    state = method.start(references, lips)
    where, motion = (torch.from_numpy(x) for x in state.lips)
    assert torch.allclose(where, torch.from_numpy(lips.shapes).float())  # by rising opening
    opening = said(path, mel, gain)[:, 0]
    levels = torch.quantile(opening, torch.tensor([0.2, 0.8, 1.0]))
    motion[:, 0] = levels
    state = type(state)(state.reference, (where.numpy(), motion.numpy()), state.poses)
    drawn = method.render(faces, mel, state).faces
    known = [[x[n : n + 1] for x in (references, where, motion)] for n in range(3)]
    each = [by_hand(path, faces, mel, reference, gain) for reference in known]
    weights = torch.from_numpy(shares(opening.numpy(), levels.expand(3, 3).numpy()))
    assert (weights > 0.05).sum() > 3  # some are mixed
    expected = sum(weights[:, n, None, None, None] * each[n] for n in range(3))
    assert float((drawn - expected).abs().mean()) < (1e-5 if backend == "torch" else 0.02)
    shifted = type(state)(state.reference, (where.numpy() + 0.1, motion.numpy()), state.poses)
    assert not torch.allclose(method.render(faces, mel, shifted).faces, drawn, atol=1e-3)
    assert method.render(faces, mel, method.start(references)).faces.isfinite().all()


def test_silence_asks_for_rest_whatever_it_recalls(moving: Path) -> None:
    talker = build_talker(load_checkpoint(moving))
    assert talker.mover is not None
    with torch.no_grad():
        torch.nn.init.zeros_(talker.memory.key)  # all sounds recall the same, and it is not 0
        assert float(talker.mover.reader(talker.recall(talker.audio.quiet())[0]).abs().max()) > 0.01
    drawer = MemoryDrawer(talker, 3.0)
    (motion,) = SaidMotion(drawer)(torch.randn(4, 80, STEPS))
    assert motion.shape == (4, 3)
    assert not motion.any()


def test_a_reference_is_not_moved_from_nowhere(moving: Path) -> None:
    talker = build_talker(load_checkpoint(moving))
    x = torch.zeros(1, 3, 32, 32)
    with pytest.raises(ValueError, match="give both"):
        talker(x, x, torch.zeros(1, 80, STEPS))


def test_inference_is_the_training_path_of_the_recalled_image(checkpoint: Path) -> None:
    method = TensorMethod(load_method(checkpoint, "cpu", "torch"))
    talker = build_talker(load_checkpoint(checkpoint))
    faces, mel = torch.rand(8, 3, 32, 32) * 2 - 1, torch.randn(8, 80, STEPS)
    reference = torch.rand(1, 3, 32, 32) * 2 - 1
    drawn = method.render(faces, mel, method.start(reference)).faces
    with torch.no_grad():
        whole = talker(faces, reference.expand(8, -1, -1, -1), mel)
    mask = mouth_mask(32)
    assert torch.allclose(drawn, faces + mask * (whole - faces), atol=1e-4)
    inside, outside = (mask == 1).expand_as(drawn), (mask == 0).expand_as(drawn)
    assert torch.allclose(drawn[inside], whole[inside], atol=1e-4)
    assert torch.equal(drawn[outside], faces[outside])


def test_the_mask_lies_about_the_mouth_and_below_the_upper_half() -> None:
    mask = mouth_mask(128)[0, 0]
    assert mask[round(0.71 * 128), 64] == 1
    assert not mask[: 128 // 2].any()  # there the networks draw nothing
    assert not mask[-1].any()
    assert torch.allclose(mask, mask.flip(1), atol=1e-5)


def test_nothing_else_of_a_checkpoint_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "whole.safetensors")
    whole = load_checkpoint(path)
    lips = LipEncoder(32, 8, (8, 8), patch=2, groups=4)
    talker = MemoryTalker(**TINY)
    save_checkpoint(path, whole.header, {"talker": talker, "lips": lips})
    assert any(n.startswith("lips.") for n in load_checkpoint(path).tensors)
    assert not any(n.startswith("lips.") for n in load_checkpoint(path, only="talker").tensors)
    assert load_method(path, "cpu", "torch").name == "memory"


def test_no_lip_encoder_is_built(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("inference must not need the lip encoder")

    monkeypatch.setattr(LipEncoder, "__init__", forbidden)
    method = TensorMethod(load_method(checkpoint, "cpu", "torch"))
    module = method.engine.engine.module
    assert not any(isinstance(m, LipEncoder) for m in module.modules())
    method.render(torch.zeros(1, 3, 32, 32), torch.zeros(1, 80, STEPS), method.start(NOBODY))


NOBODY = torch.zeros(2, 3, 32, 32)


def test_articulation_leads_away_from_rest(tmp_path: Path) -> None:
    torch.manual_seed(3)
    talker = MemoryTalker(**TINY).eval()
    plain, more = MemoryDrawer(talker, 1.0), MemoryDrawer(talker, 2.0)
    silent = torch.full((8, 80, STEPS), -4.0)
    faces = torch.rand(8, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        # At rest nothing is exaggerated.
        same = plain(faces, faces, silent)[0], more(faces, faces, silent)[0]
        assert torch.allclose(*same, atol=1e-5)
        loud = torch.randn(8, 80, STEPS)
        assert not torch.allclose(plain(faces, faces, loud)[0], more(faces, faces, loud)[0])
    path = write(tmp_path / "loud.safetensors", articulation=2.0)
    assert load_method(path, "cpu", "torch").engine.engine.module.articulation == 2.0  # type: ignore[attr-defined]


def test_the_reference_is_one_look_with_a_middling_mouth(checkpoint: Path) -> None:
    method = TensorMethod(load_method(checkpoint, "cpu", "torch"))
    references = torch.arange(5.0)[:, None, None, None].expand(5, 3, 32, 32) / 10
    shapes = np.zeros((5, 40, 2))
    lips = ReferenceLips(
        np.array([0.0, 0.06, 0.02, 0.1, 0.05]), shapes, NeutralMouth(0.0, shapes[0])
    )
    assert np.array_equal(method.start(references, lips).reference, references[4:5])
    assert np.array_equal(method.start(references).reference, references[2:3])


def test_nothing_but_speech_moves_the_mouth(checkpoint: Path) -> None:
    """With the same speech the source's mouth, whatever it does, changes nothing that is drawn."""
    method = TensorMethod(load_method(checkpoint, "cpu", "torch"))
    faces = torch.rand(8, 3, 32, 32) * 2 - 1
    other = faces.clone()
    other[:, :, 16:] = torch.rand_like(other[:, :, 16:])
    mel, state = torch.randn(8, 80, STEPS), method.start(faces[:1])
    inside = (mouth_mask(32) == 1).expand_as(faces)
    first, second = (method.render(x, mel, state).faces for x in (faces, other))
    assert torch.allclose(first[inside], second[inside], atol=1e-5)


def test_wrong_checkpoints(tmp_path: Path) -> None:
    other = write(tmp_path / "other.safetensors", method="vq")
    with pytest.raises(LipwrightError, match="not of the Audio-Lip Memory"):
        TensorMethod(load_method("memory", "cpu", "torch", other))
    with pytest.raises(LipwrightError, match="incomplete or wrong"):
        TensorMethod(load_method(write(tmp_path / "bare.safetensors", networks={}), "cpu", "torch"))
    wider = {**TINY, "lip_dim": 9}
    with pytest.raises(LipwrightError, match="does not fit"):
        TensorMethod(
            load_method(write(tmp_path / "wide.safetensors", networks={"talker": wider}), "cpu")
        )


def test_modules_of_the_drawer_need_no_gradient(checkpoint: Path) -> None:
    method = TensorMethod(load_method(checkpoint, "cpu", "torch"))
    module: nn.Module = method.engine.engine.module
    assert not any(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("graphs", [False, True])
def test_on_top_of_a_speech_encoder_it_hears_whole_recordings(tmp_path: Path, graphs: bool) -> None:
    path = write(tmp_path / "encoded.safetensors", ENCODED)
    if graphs:
        assert export_graphs(path)
    method = load_method(path, "cpu", "openvino" if graphs else "torch")
    assert method.info.whole_speech
    rng = np.random.default_rng(0)
    wave = rng.normal(0.0, 0.1, 16000).astype(np.float32)
    heard = method.speech_features(wave)
    assert heard.shape == (6, 101)
    talker = build_talker(load_checkpoint(path))
    encoder = talker.audio.encoder
    assert encoder is not None
    with torch.no_grad():
        log_power = torch.from_numpy(whisper_log_power(wave))
        rows = talker.audio.running_mean(encoder.dense(log_power).T) - talker.audio.quiet()
    assert np.abs(heard - rows.T.numpy()).max() < 0.02 * float(rows.abs().max())
    silence = method.speech_features(np.zeros(63840, np.float32))
    assert np.abs(silence[:, 200]).max() < 1e-2  # 0 is rest
    faces = rng.uniform(-1, 1, (3, 3, 32, 32)).astype(np.float32)
    made = method.render(faces, np.ascontiguousarray(heard[:, [0, 40, 80]].T), method.start(faces))
    assert np.isfinite(made.faces).all()
    assert np.abs(made.faces[1] - made.faces[2]).max() > 1e-4
