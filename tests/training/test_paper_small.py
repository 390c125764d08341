"""What the small configuration of the paper's path adds: VQGANs taken from a joined checkpoint,
codes without short clips, an expert that sees frame by frame and hears a speech encoder, lips
first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from lipwright.data.codes import CodeCorpus
from lipwright.data.encoded_speech import EncodedSpeech
from lipwright.data.packed import ClipRow, PackedCorpus, write_rows
from lipwright.errors import LipwrightError
from lipwright.models.expert import SyncExpert
from lipwright.training.expert_speech import ExpertSpeech
from lipwright.training.stages import expert as expert_stage
from lipwright.training.stages.run import run_stage
from lipwright.weights.checkpoint import load_checkpoint

from .test_paper_path import CONFIG
from .tiny import log_of, make_corpus

pytestmark = pytest.mark.usefixtures("no_graphs")

SHARED = {"window": 5, "dim": 20, "shared": True, "shared_channels": [8, 8], "shared_width": 16}


@pytest.fixture(scope="module")
def joined(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the whole path without an expert; its last file has everything."""
    path = tmp_path_factory.mktemp("config") / "toy.yaml"
    sections = {k: v for k, v in CONFIG.items() if k != "expert"}
    path.write_text(yaml.safe_dump(sections))
    out = tmp_path_factory.mktemp("joined")
    return run_stage("all", corpus, path, out, ["generator.loss.sync=0"], "cpu")


def write_config(folder: Path, joined: Path, **changes: dict[str, Any]) -> Path:
    """The toy config with VQGANs taken from ``joined``, and changed sections."""
    sections = {name: {**CONFIG[name], **changes.get(name, {})} for name in CONFIG}
    for name in ("vqgan", "pose-vqgan"):
        sections[name] = {**sections[name], "taken_from": str(joined)}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


def test_taken_vqgans_give_the_codes_and_the_checkpoint_they_gave(
    corpus: Path, joined: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, joined)
    out = tmp_path / "run"
    made = run_stage("all", corpus, config, out, ["generator.run.steps=1"], "cpu")
    assert not (out / "vqgan" / "log.jsonl").exists()  # nothing was trained
    for name in ("face", "pose"):
        first, second = (np.load(p / "codes" / f"{name}.npy") for p in (joined.parent, out))
        assert np.array_equal(first, second)
    before, after = load_checkpoint(joined), load_checkpoint(made)
    for key, value in before.tensors.items():
        if not key.startswith("generator."):
            assert torch.equal(value, after.tensors[key]), key
    # Whoever takes them again gets the same file, so that a run can go on.
    parent = load_checkpoint(out / "vqgan" / "vqgan.safetensors").sha256
    run_stage("vqgan", corpus, config, out, [], "cpu")
    assert load_checkpoint(out / "vqgan" / "vqgan.safetensors").sha256 == parent


def test_what_cannot_be_taken_is_said(corpus: Path, joined: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, joined)
    with pytest.raises(LipwrightError, match="no such file"):
        run_stage("vqgan", corpus, config, tmp_path / "r", ["taken_from=nowhere"], "cpu")
    part = joined.parent / "generator" / "generator.safetensors"
    with pytest.raises(LipwrightError, match="not a joined one"):
        run_stage("vqgan", corpus, config, tmp_path / "r", [f"taken_from={part}"], "cpu")
    with pytest.raises(LipwrightError, match="faces of 128 pixels, but the corpus was packed"):
        run_stage("vqgan", corpus, config, tmp_path / "r", ["taken_from=vq"], "cpu")


def test_short_clips_are_left_out_of_the_codes(joined: Path, tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "c")
    packed = PackedCorpus(folder)
    rows = [ClipRow(**{**vars(r), "frames": 30}) if r.clip == "c1" else r for r in packed.rows]
    rest = ClipRow(**{**vars(rows[1]), "clip": "rest", "start": rows[1].start + 30, "frames": 10})
    write_rows(packed.folder, [*rows[:2], rest, *rows[2:]], packed.size, packed.margin)
    config = write_config(tmp_path, joined)
    out = tmp_path / "run"
    for stage in ("vqgan", "pose-vqgan"):
        run_stage(stage, folder, config, out, [], "cpu")
    made = run_stage("codes", folder, config, out, ["min_frames=31"], "cpu")
    codes = CodeCorpus(PackedCorpus(folder), made)
    assert [r.clip for r in codes.packed.rows] == ["c0", "c2", "c3", "c4", "c5"]
    assert [r.clip for r in codes.whole.rows] == ["c0", "c1", "rest", "c2", "c3", "c4", "c5"]
    full = np.load(joined.parent / "codes" / "face.npy")
    assert not codes.face[:, 40:80].any()
    kept = np.r_[0:40, 80:240]
    assert np.array_equal(codes.face[:, kept], full[:, kept])
    with pytest.raises(LipwrightError, match="no clip of 99 frames"):
        PackedCorpus(folder).without_short(99)


@pytest.mark.parametrize("inputs", [0, 12])
def test_a_shared_expert_is_an_expert(inputs: int) -> None:
    torch.manual_seed(0)
    expert = SyncExpert(code_dim=8, speech_inputs=inputs, **SHARED)  # type: ignore[arg-type]
    codes = torch.randn(6, 5, 8, 16, 16)
    speech = torch.randn(6, 12, 5) if inputs else torch.randn(6, 80, 20)
    assert expert.columns * 5 == speech.shape[2]
    seen, heard = expert.embed_faces(codes), expert.embed_speech(speech)
    assert seen.shape == heard.shape == (6, expert.dim)
    assert expert.dim == 20
    assert (seen >= 0).all()
    assert (heard >= 0).all()
    # Rows of the upper face are not looked at; those of the mouth are.
    expert.eval()
    upper, lower = codes.clone(), codes.clone()
    upper[..., :7, :] += 1
    lower[..., 9:12, :] += 1
    assert torch.equal(expert.embed_faces(upper), expert.embed_faces(codes))
    assert not torch.equal(expert.embed_faces(lower), expert.embed_faces(codes))


@pytest.mark.slow
def test_a_shared_expert_tells_pairs_that_belong_together() -> None:
    """Codes whose mouth cells follow a number that the speech follows too: 300 steps suffice."""
    torch.manual_seed(0)
    expert = SyncExpert(code_dim=4, speech_inputs=6, **SHARED)  # type: ignore[arg-type]
    optimiser = torch.optim.Adam(expert.parameters(), 3e-3)
    face, voice = torch.randn(4), torch.randn(6)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mouth, labels = torch.randn(count, 5), torch.rand(count) < 0.5
        sound = torch.where(labels[:, None], mouth, torch.randn(count, 5))
        codes = 0.3 * torch.randn(count, 5, 4, 16, 16)
        codes[..., 9:13, 5:11] += (mouth[..., None] * face)[..., None, None]
        return codes, sound[:, None] * voice[:, None] + 0.3 * torch.randn(count, 6, 5), labels

    for _ in range(150):
        codes, speech, labels = draw(32)
        p = expert(codes, speech).clamp(1e-6, 1 - 1e-6)
        optimiser.zero_grad()
        torch.nn.functional.binary_cross_entropy(p, labels.float()).backward()
        optimiser.step()
    expert.eval()
    codes, speech, labels = draw(200)
    assert ((expert(codes, speech) > 0.5) == labels).float().mean() > 0.85


def test_a_stacked_expert_hears_no_encoder() -> None:
    with pytest.raises(LipwrightError, match="has to be a shared one"):
        SyncExpert(window=5, code_dim=8, speech_inputs=12)


def test_speech_of_a_slower_copy_belongs_to_the_same_frames(corpus: Path) -> None:
    packed = PackedCorpus(corpus)
    row = packed.rows[1]
    plain = np.repeat(np.arange(240, dtype=np.float16)[:, None], 3, axis=1)
    # The copy is half as fast: frame t of the clip is heard in its row 2 t.
    slow = np.repeat(np.arange(80, dtype=np.float16)[:, None] / 2, 3, axis=1)
    places = [{r.clip: (r.start, r.frames, 1.0) for r in packed.rows}, {row.clip: (0, 80, 0.5)}]
    speech = ExpertSpeech(packed, EncodedSpeech([plain, slow], places, plain[:1]))
    assert (speech.inputs, speech.variants) == (3, 2)
    assert speech.of(row, 10, 4)[0].tolist() == [50, 51, 52, 53]
    assert speech.of(row, 10, 4, variant=1)[0].tolist() == [10, 11, 12, 13]
    mel = ExpertSpeech(packed)
    assert (mel.inputs, mel.variants) == (0, 1)
    assert torch.equal(mel.of(row, 2, 3), packed.speech(row)[:, 8:20])


def test_expert_on_a_speech_encoder_gates_the_generator(
    corpus: Path, joined: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stages ``expert`` and ``generator`` with features of a stand-in for the encoder."""
    packed = PackedCorpus(corpus)
    features = np.repeat(packed.opening.astype(np.float16)[:, None], 6, axis=1)
    places = [{r.clip: (r.start, r.frames, 1.0) for r in packed.rows}]
    asked: list[tuple[str, Path]] = []

    def speech_for(whole: PackedCorpus, encoder: str, folder: Path, *_: object) -> ExpertSpeech:
        asked.append((encoder, folder))
        return ExpertSpeech(whole, EncodedSpeech([features], places, features[:1]))

    monkeypatch.setattr(expert_stage, "speech_for", speech_for)
    monkeypatch.setattr("lipwright.training.stages.generator.speech_for", speech_for)
    changes: dict[str, Any] = {
        "expert": {
            **{"model": SHARED, "encoder": "whisper-tiny-en", "code_noise": 0.1},
            "matching": {"group": 3, "lips_first": 2},
        },
        "generator": {"lips": {"weight": 0.1, "first": 2, "batch": 4}, "singles_first": 5},
    }
    config = write_config(tmp_path, joined, **changes)
    out = tmp_path / "run"
    monkeypatch.setattr("lipwright.training.stages.run._check_embedding", lambda run: None)
    run_stage("all", corpus, config, out, [], "cpu")
    header = load_checkpoint(out / "expert" / "expert.safetensors").header
    assert header["encoder"] == "whisper-tiny-en"
    assert header["networks"]["expert"]["speech_inputs"] == 6
    # Features are those of the expert's folder, computed once.
    assert asked == [("whisper-tiny-en", out / "expert" / "features")] * 2
    rows = log_of(out / "generator")
    steps = {r["step"]: r for r in rows if "loss" in r}
    assert "l1" not in steps[1]  # lips alone
    assert "l1" in steps[3]
    assert "sync" not in steps[4]  # single frames
    assert "sync" in steps[8]
    generator = load_checkpoint(out / "generator" / "generator.safetensors")
    assert not any("tell" in name for name in generator.tensors)


@pytest.mark.slow
def test_lips_first_resumes_exactly(corpus: Path, joined: Path, tmp_path: Path) -> None:
    changes = {"generator": {"lips": {"weight": 0.1, "first": 2, "batch": 4}, "singles_first": 4}}
    config = write_config(tmp_path, joined, **changes)
    found = []
    for name, pieces in (("whole", [[]]), ("parts", [["run.max_minutes=0"], [], []])):
        out = tmp_path / name
        out.mkdir()
        for stage in ("vqgan", "pose-vqgan", "codes"):
            (out / stage).symlink_to(joined.parent / stage)
        for extra in pieces:
            words = ["loss.sync=0", "run.steps=5", "run.precision=fp32", *extra]
            run_stage("generator", corpus, config, out, words, "cpu")
        found.append(load_checkpoint(out / "generator" / "generator.safetensors").tensors)
    assert all(torch.equal(found[0][k], found[1][k]) for k in found[0])
