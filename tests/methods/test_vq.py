"""The VQ method: batch size, backends, errors."""

from __future__ import annotations

import hashlib
import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from lipwright.errors import LipwrightError
from lipwright.face_regions import DRAWN_BOX, pixel_box
from lipwright.lip_motion import NeutralMouth
from lipwright.media.mel import mel_spectrogram, windows
from lipwright.methods.articulation import stretched
from lipwright.methods.base import ReferenceLips
from lipwright.methods.engine import build_engine, choose_device
from lipwright.methods.graphs import export_graphs
from lipwright.methods.registry import SHIPPED, load_method, shipped
from lipwright.methods.vq import put_back
from lipwright.methods.vq_networks import build_networks
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.lip_space import LipSpace
from lipwright.models.speech_lips import SpeechToLips
from lipwright.models.vq_pipeline import CodeEncoder
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint
from lipwright.weights.container import read_graphs, read_header
from tests.methods.tensors import TensorMethod

FACE = {
    "channels": [8, 16],
    "blocks": 1,
    "z_channels": 16,
    "dim": 8,
    "n_codes": 32,
    "attention": False,
    "groups": 4,
    "patch": 2,
    "codebook": "cosine",
}
GENERATOR = {
    "code_dim": 8,
    "channels": [16, 16, 16],
    "control": 16,
    "groups": 4,
    "key": 4,
    "lip_dim": 3,
}
NEUTRAL = NeutralMouth(0.01, np.zeros((40, 2)))
SPEECH = {"dim": 3, "channels": [4, 4, 8], "width": 16, "layers": 1}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    face, pose, generator = VQGAN(**FACE), VQGAN(**FACE), GalleryGenerator(**GENERATOR)
    speech, space = SpeechToLips(**SPEECH), LipSpace(3)
    space.basis.normal_()
    for p in generator.parameters():
        if not p.any():
            torch.nn.init.normal_(p, 0.0, 0.1)
    header = {
        "method": "vq",
        "arch": "gallery",
        "size": 64,
        "audio": {"steps": 20, "before": 8},
        "snap": "soft",
        "sigma": {"face": 1.0, "pose": 1.0},
        "networks": {"face": FACE, "pose": FACE, "generator": GENERATOR, "speech": SPEECH},
    }
    path = tmp_path_factory.mktemp("vq") / "vq.safetensors"
    networks = {"face": face, "pose": CodeEncoder(pose), "generator": generator}
    save_checkpoint(path, header, {**networks, "speech": speech, "space": space})
    return path


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    """The same checkpoint with its graphs in it."""
    path = checkpoint.with_name("with.safetensors")
    path.write_bytes(checkpoint.read_bytes())
    assert export_graphs(path)
    return path


def copy_of(path: Path, folder: Path) -> Path:
    """A file of the test's own, to be changed."""
    return Path(shutil.copy(path, folder))


def inputs(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    faces = torch.rand(n, 3, 64, 64, generator=g) * 2 - 1
    return faces, torch.randn(n, 3, generator=g), torch.rand(4, 3, 64, 64, generator=g)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_result_does_not_depend_on_the_batch_size(checkpoint: Path, backend: str) -> None:
    method = TensorMethod(load_method(checkpoint, "cpu", backend))
    faces, mel, reference = inputs(11)
    state = method.start(reference)
    whole = method.render(faces, mel, state)
    for size in (1, 4):
        parts = [
            method.render(faces[i : i + size], mel[i : i + size], state) for i in range(0, 11, size)
        ]
        assert torch.equal(torch.cat([p.faces for p in parts]), whole.faces)
        assert torch.equal(torch.cat([p.restored for p in parts]), whole.restored)
        assert np.array_equal(np.concatenate([p.weights for p in parts]), whole.weights)
    assert whole.weights is not None
    assert whole.weights.shape == (11, len(reference))
    assert whole.weights.min() >= 0.0
    assert whole.weights.sum(1) == pytest.approx(1.0, abs=2e-2)


def test_motions_of_a_recording_are_those_of_its_windows(checkpoint: Path) -> None:
    method = load_method(checkpoint, "cpu", "torch")
    assert method.info.whole_speech
    wave = torch.randn(6400, generator=torch.Generator().manual_seed(5)).numpy() * 0.1
    columns = [0, 13, 39]
    predicted = method.speech_features(wave)
    assert predicted.shape == (3, 41)
    cut = windows(mel_spectrogram(wave), [Fraction(c, 100) for c in columns], method.audio)
    speech = build_networks(load_checkpoint(checkpoint))[2]
    assert speech is not None
    with torch.no_grad():
        each = torch.cat([speech(torch.from_numpy(w)[None]) for w in cut])
    assert np.allclose(predicted[:, columns].T, each, atol=1e-4)


def test_backends_agree(checkpoint: Path) -> None:
    """Float32 to rounding, except where rounding turned a code; bfloat16 in the mean."""
    from lipwright.methods.engine import OpenVinoEngine

    faces, mel, reference = inputs(8)
    ours = TensorMethod(load_method(checkpoint, "cpu", "torch"))
    expected = ours.render(faces, mel, ours.start(reference))
    encoder = ours.references.engine.module.encoder  # type: ignore[attr-defined]
    renderer = ours.frames.engine.module.renderer  # type: ignore[attr-defined]
    for precision, tolerance in (("f32", 5e-3), ("bf16", 8e-2)):
        references = OpenVinoEngine(encoder, precision, "references of test_backends_agree")
        frames = OpenVinoEngine(renderer, precision, "frames of test_backends_agree")
        known = references(reference, torch.zeros(len(reference), 3))
        drawn, _, _, weights = (x.numpy() for x in frames(faces, mel, *known[:-1]))
        made = torch.from_numpy(put_back(drawn, weights, known[-1][0].numpy(), 64))
        assert (made - expected.restored).abs().mean() < tolerance
        assert precision != "f32" or (made - expected.restored).abs().median() < 1e-4


def test_the_first_run_of_a_graph_draws_what_later_runs_draw(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPWRIGHT_GRAPHS", str(tmp_path / "graphs"))
    faces, mel, reference = inputs(3)
    made = []
    for _ in range(2):
        method = TensorMethod(load_method(checkpoint, "cpu", "openvino"))
        made.append(method.render(faces, mel, method.start(reference)).restored)
    assert len(list((tmp_path / "graphs").glob("*.xml"))) == 3
    assert torch.equal(*made)


def test_what_the_autoencoder_missed_is_put_back(checkpoint: Path) -> None:
    """With a single look the restored face is that look, whatever the speech."""
    method = TensorMethod(load_method(checkpoint, "cpu", "torch"))
    renderer = method.frames.engine.module.renderer  # type: ignore[attr-defined]
    for p in renderer.generator.correction.parameters():  # copy the look and nothing else
        torch.nn.init.zeros_(p)
    faces, mel, reference = inputs(3)
    made = method.render(faces, mel, method.start(reference[:1]))
    assert made.restored is not None
    drawn = renderer.decoder(renderer.post(renderer.encode_face(reference[:1]))).clamp(-1, 1)
    inside = pixel_box(DRAWN_BOX, 64)
    missed = made.restored - reference[:1]
    part = (..., slice(inside[1], inside[3]), slice(inside[0], inside[2]))
    assert missed[part].abs().mean() < 0.3 * (drawn - reference[:1])[part].abs().mean()
    missed[part] = 0.0
    assert missed.abs().max() < 1e-5


def test_residuals_are_put_back_by_the_weights_of_their_references() -> None:
    left, top, right, bottom = pixel_box(DRAWN_BOX, 32)
    rng = np.random.default_rng(2)
    drawn = rng.uniform(-0.5, 0.5, (2, 3, bottom - top, right - left)).astype(np.float32)
    residual = rng.uniform(-0.4, 0.4, (3, 3 * 32 * 32)).astype(np.float32)
    weights = np.array([[0.5, 0.5, 0.0], [0.0, 0.1, 0.9]], np.float32)
    made = put_back(drawn, weights, residual, 32)
    expected = (weights.astype(np.float64) @ residual).reshape(2, 3, 32, 32)
    expected[:, :, top:bottom, left:right] += drawn
    assert np.allclose(made, expected.clip(-1, 1), atol=1e-6)
    alone = put_back(drawn[1:], weights[1:], residual, 32)
    assert np.array_equal(alone[0], made[1])  # a frame depends on nothing but itself
    with pytest.raises(LipwrightError, match="another part of the face"):
        put_back(drawn[:, :, 1:], weights, residual, 32)


def test_mouth_of_the_source_does_not_leak(checkpoint: Path) -> None:
    method = TensorMethod(load_method(checkpoint, "cpu", "torch"))
    faces, mel, reference = inputs(2)
    state = method.start(reference)
    changed = faces.clone()
    changed[:, :, 32:] = 0.3
    a, b = method.render(faces, mel, state), method.render(changed, mel, state)
    assert torch.equal(a.faces, b.faces)
    assert torch.equal(a.restored, b.restored)
    changed[:, :, :20] = 0.3  # above the middle it sees the head
    assert not torch.equal(method.render(changed, mel, state).faces, b.faces)


def test_what_the_lips_do_in_the_looks_matters(checkpoint: Path) -> None:
    method = TensorMethod(load_method(checkpoint, "cpu", "torch"))
    faces, mel, reference = inputs(2)
    rest = NeutralMouth(0.01, np.zeros((40, 2)))
    openings = np.array([0.01, 0.03, 0.06, 0.1])
    lips = ReferenceLips(openings, np.random.default_rng(0).random((4, 40, 2)), rest)
    still = ReferenceLips(np.full(4, 0.01), np.zeros((4, 40, 2)), rest)
    known, unknown, resting = (method.start(reference, x) for x in (lips, None, still))
    drawn = [method.render(faces, mel, state).faces for state in (known, unknown, resting)]
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[1], drawn[2])


def test_the_shape_of_the_lips_is_not_exaggerated(checkpoint: Path, tmp_path: Path) -> None:
    """An articulation of 2 stretches the opening and the jaw's component, and nothing else."""
    with safe_open(str(checkpoint), "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["lipwright"])
    wide = tmp_path / "wide.safetensors"
    save_file(arrays, str(wide), {"lipwright": json.dumps({**header, "articulation": 2.0})})
    usual, double = (TensorMethod(load_method(p, "cpu", "torch")) for p in (checkpoint, wide))
    assert np.asarray(double.articulation).tolist() == [2.0, 2.0, 1.0]
    faces, motions, reference = inputs(2)
    lips = ReferenceLips(
        np.linspace(0.01, 0.1, 4), np.random.default_rng(0).random((4, 40, 2)), NEUTRAL
    )
    wanted = torch.from_numpy(stretched(motions.numpy(), np.array([2.0, 2, 1], np.float32)))
    assert torch.equal(wanted[:, 2:], motions[:, 2:])
    expected = usual.render(faces, wanted, usual.start(reference, lips))
    found = double.render(faces, motions, double.start(reference, lips))
    assert torch.allclose(found.faces, expected.faces, atol=1e-5)


def test_wrong_checkpoints_are_refused_in_one_sentence(checkpoint: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    with pytest.raises(LipwrightError, match="not a readable safetensors"):
        TensorMethod(load_method(text))
    with pytest.raises(LipwrightError, match="no method and no checkpoint"):
        TensorMethod(load_method(tmp_path / "missing.safetensors"))
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, {"method": "expert", "networks": {}}, {"x": torch.nn.Linear(1, 1)})
    with pytest.raises(LipwrightError, match="not a dubbing method"):
        TensorMethod(load_method(other))
    data = bytearray(checkpoint.read_bytes())
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(LipwrightError):
        TensorMethod(load_method(cut))


def test_devices_and_backends_by_name() -> None:
    with pytest.raises(LipwrightError, match="no device 'tpu'"):
        choose_device("tpu")
    with pytest.raises(LipwrightError, match="no backend 'onnx'"):
        build_engine(torch.nn.Identity(), "cpu", "onnx")
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_default_is_shipped_and_loads(name: str) -> None:
    assert shipped(name).stat().st_size < 32_000_000
    assert load_method(name, "cpu", "torch").name == name


def test_graphs_of_a_checkpoint_draw_what_pytorch_draws(checkpoint: Path, exported: Path) -> None:
    """At another number of references and another length of speech than they were exported for."""
    plain, by_graphs = load_method(checkpoint, "cpu", "torch"), load_method(exported, "cpu")
    assert by_graphs.info.backend.startswith("openvino")
    wave = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    audio = [method.speech_features(wave) for method in (plain, by_graphs)]
    assert np.abs(audio[0] - audio[1]).max() < 0.02
    faces, _, _ = inputs(5)
    reference = torch.rand(7, 3, 64, 64, generator=torch.Generator().manual_seed(4)).numpy()
    made = []
    for method in (plain, by_graphs):
        state = method.start(reference)
        made.append(method.render(faces.numpy(), audio[0][:, :20:4].T, state))
    assert np.abs(made[0].faces - made[1].faces).mean() < 0.08  # bfloat16 may turn a code
    away = np.abs(made[0].weights - made[1].weights)
    assert away.max() < 0.15
    assert away.mean() < 0.03


@pytest.mark.parametrize("part", ["frames.xml", "frames.parts", "rest", "missing", "digest"])
def test_a_changed_graph_is_refused(exported: Path, tmp_path: Path, part: str) -> None:
    path = copy_of(exported, tmp_path)
    with safe_open(str(path), "np") as file:
        header = json.loads(file.metadata()["lipwright"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if part == "digest":
        header["graphs"]["frames"] = "0" * 64
    elif part == "missing":
        del arrays["graph/frames.parts"]
    else:
        arrays[f"graph/{part}"][20] ^= 1
    save_file(arrays, str(path), {"lipwright": json.dumps(header)})
    with pytest.raises(LipwrightError, match="not the one that it names"):
        load_method(path, "cpu")


def test_a_checkpoint_that_changes_while_it_is_in_use(exported: Path, tmp_path: Path) -> None:
    path = copy_of(exported, tmp_path)
    graph = read_graphs(path, read_header(path))["frames"]
    assert hashlib.sha256(graph.xml + graph.weights).hexdigest() == graph.digest
    with safe_open(str(path), "np") as file:
        metadata = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    arrays["face.decoder.stem.weight"] = arrays["face.decoder.stem.weight"] + np.float16(1)
    save_file(arrays, str(path), metadata)
    with pytest.raises(LipwrightError, match="was changed while it was in use"):
        _ = graph.weights


def test_networks_for_references_are_let_go(exported: Path) -> None:
    """They are large and wanted once per face; a second face gets the same from them."""
    method: Any = load_method(exported, "cpu")
    reference = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(4)).numpy()
    one = method.start(reference)
    assert not method.references._compiled
    assert not method.norms._compiled
    two = method.start(reference)
    assert all(np.array_equal(a, b) for a, b in zip(one.references, two.references, strict=True))
