"""The stages of the landmark cascade on a tiny corpus, up to a checkpoint that renders."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from lipwright.data.landmarks import LandmarkCorpus, cache_landmarks
from lipwright.data.packed import PackedCorpus
from lipwright.data.vary_speech import SpeechVariation
from lipwright.errors import LipwrightError
from lipwright.methods.landmark import LandmarkMethod
from lipwright.methods.registry import load_method
from lipwright.models.landmark_space import LandmarkSpace
from lipwright.training.config import parse, read_yaml
from lipwright.training.stages.configs import find_config
from lipwright.training.stages.landmark_audio import (
    LandmarkAudioConfig,
    LandmarkAudioStage,
    measure,
    moving_mean,
)
from lipwright.training.stages.landmark_space import LandmarkSpaceConfig
from lipwright.training.stages.landmark_video import LandmarkVideoConfig, LandmarkVideoStage
from lipwright.training.stages.registry import STAGES
from lipwright.training.stages.run import run_stage
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import load_checkpoint, read_header
from tests.models.landmark_shapes import face
from tests.models.test_landmark_networks import AUDIO, DISCRIMINATOR, VIDEO

from .tiny import make_corpus, points_of, read_mfcc

pytestmark = pytest.mark.usefixtures("no_graphs")

RUN = {"batch": 2, "precision": "fp32", "validate_every": 4, "validate_batches": 1, "log_every": 2}
CONFIG: dict[str, Any] = {
    "landmarks": {},
    "landmark-space": {"components": 4},
    "landmark-audio": {
        "model": {"features": "mel", **AUDIO},
        "sequence": 6,
        "level": True,
        "flip": 0.5,
        "example_dropout": 0.5,
        "run": {"steps": 6, **RUN},
    },
    "landmark-video": {
        "model": {**VIDEO, "norm_kind": "group"},
        "discriminator": DISCRIMINATOR,
        "jitter": {"flip": 0.5},
        "loss": {"mouth_weight": 10.0, "gradient": 1.0, "adversarial_start": 1},
        "sequence": 3,
        "project": True,
        "run": {"steps": 4, **RUN},
    },
    "landmark": {},
}
CPU = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> PackedCorpus:
    return PackedCorpus(make_corpus(tmp_path_factory.mktemp("corpus")))


@pytest.fixture(scope="module")
def run_folder(packed: PackedCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages, run once."""
    out = tmp_path_factory.mktemp("run")
    config = out / "tiny.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    cache_landmarks(packed, out / "landmarks", None, points_of(packed), read_mfcc)
    for stage in ("landmark-space", "landmark-audio", "landmark-video", "landmark"):
        run_stage(stage, packed.folder.parent, config, out, [], "cpu")
    return out


def test_the_cache_can_be_stopped_and_continued(packed: PackedCorpus, tmp_path: Path) -> None:
    out = tmp_path / "landmarks"
    assert cache_landmarks(packed, out, 0.0, points_of(packed), read_mfcc) == 1
    held = LandmarkCorpus(packed, out)
    assert [r.split for r in held.split("val")] == ["val"]  # validation comes first
    with pytest.raises(LipwrightError, match="run longer"):
        held.split("train")
    assert cache_landmarks(packed, out, None, points_of(packed), read_mfcc) == len(packed.rows)
    corpus = LandmarkCorpus(packed, out)
    row = corpus.split("train")[1]
    expected = points_of(packed)(np.asarray(packed.frames[row.start : row.start + row.frames]))
    assert np.abs(corpus.clip_points(row) - expected).max() < 1e-3
    assert corpus.clip_sound(row, "mel").shape == (80, row.columns)
    assert np.array_equal(
        corpus.clip_sound(row, "mfcc"), np.full((12, row.columns), row.start - 4.0, np.float32)
    )


def test_points_come_from_the_packed_meshes_and_mfcc_from_the_clips(tmp_path: Path) -> None:
    """Neither network nor source video is needed where the corpus holds both."""
    from lipwright.data.finish import write_speech
    from lipwright.faces.points68 import MESH_TO_68
    from lipwright.media.mfcc import mfcc

    corpus = PackedCorpus(make_corpus(tmp_path / "corpus", clips=2))
    rng = np.random.default_rng(0)
    meshes = rng.uniform(-0.4, 0.4, (len(corpus.frames), 478, 2)).astype(np.float16)
    np.save(corpus.folder / "landmarks.npy", meshes)
    folder = corpus.folder.parent / "clips"
    folder.mkdir(exist_ok=True)
    waves = {}
    for row in corpus.rows:
        waves[row.clip] = rng.normal(0, 0.1, 640 * row.frames).astype(np.float32).clip(-1, 1)
        write_speech(folder / f"{row.clip}.flac", waves[row.clip])
    manifest = [json.dumps({"clip": r.clip, "start": 0.0}) for r in corpus.rows]
    (corpus.folder.parent / "manifest.jsonl").write_text("\n".join(manifest))
    assert cache_landmarks(corpus, tmp_path / "landmarks") == 2
    made = LandmarkCorpus(corpus, tmp_path / "landmarks")
    row = corpus.rows[1]
    expected = meshes[row.start : row.start + row.frames, list(MESH_TO_68)].astype(np.float64) + 0.5
    assert np.abs(made.clip_points(row) - expected).max() < 1e-3
    own = mfcc(waves[row.clip])[:, : row.columns]
    found = made.clip_sound(row, "mfcc")[:, : own.shape[1]] + 4.0
    assert np.abs(found - own).mean() < 0.05 * np.abs(own).mean()


def test_at_net_learns_on_top_of_a_speech_encoder(
    run_folder: Path, packed: PackedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipwright.data.encoded_speech import EncodedSpeech
    from lipwright.training.stages import landmark_audio

    frames = len(packed.frames)
    rows = np.random.default_rng(0).normal(size=(frames, 32)).astype(np.float16)
    places = {r.clip: (r.start, r.frames, 1.0) for r in packed.rows}

    def hear(*args: Any) -> EncodedSpeech:
        return EncodedSpeech([rows], [places], rows[:8])

    monkeypatch.setattr(landmark_audio, "encode_with_whisper", hear)
    space = load_checkpoint(run_folder / "landmark-space" / "landmark-space.safetensors")
    corpus = LandmarkCorpus(packed, run_folder / "landmarks")
    encoder = {"width": 8, "layers": 1, "encoder_width": 16, "encoder_heads": 2}
    model = {"features": "whisper", "hidden": 8, "layers": 1, "example": [4, 6]}
    config = LandmarkAudioConfig(model={**model, "encoder": encoder}, sequence=6)
    stage = LandmarkAudioStage(config, corpus, space, tmp_path)
    context = Context(torch.device("cpu"), lambda: torch.autocast("cpu", enabled=False))
    loss = stage.step(stage.network, 0, context)["loss"]
    loss.backward()
    assert stage.network.encoded.members[0].join.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in stage.network.encoded.encoder.parameters())
    stage.network.eval()
    assert np.isfinite(stage.validate(stage.network, context)["opening"])
    stage.export(stage.network, tmp_path / "audio.safetensors", {})
    header = read_header(tmp_path / "audio.safetensors")
    assert header["audio"] == {"steps": 1, "before": 0, "features": "whisper"}
    uneven = config.model_copy(update={"variation": SpeechVariation(pace=0.1)})
    with pytest.raises(LipwrightError, match="pace"):
        LandmarkAudioStage(uneven, corpus, space, tmp_path)


def test_mfcc_come_from_where_the_sound_was_found_to_lie(
    packed: PackedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`start` is that of the pictures; the sound lies `offset` frames later, or earlier."""
    from lipwright.data import prepare
    from lipwright.data.landmarks import SourceMfcc
    from lipwright.media import audio, mfcc

    row = packed.rows[0]
    clips = [{"clip": row.clip, "start": 0.2, "offset": o} for o in (0, 2, -6)]
    columns = torch.arange(1000.0).expand(12, -1)
    monkeypatch.setattr(audio, "load_speech", lambda path: np.zeros(4, np.float32))
    monkeypatch.setattr(mfcc, "mfcc", lambda wave: columns)
    for clip, first in zip(clips, (20, 28, -4), strict=True):
        monkeypatch.setattr(prepare, "read_manifest", lambda path, clip=clip: [clip])
        part = SourceMfcc(packed)(row)
        assert part.shape == (row.columns, 12)
        expected = np.arange(first, first + row.columns).clip(0)  # silence before the recording
        assert np.array_equal(part[:, 0], expected)


def test_landmarks_of_another_corpus_are_refused(packed: PackedCorpus, tmp_path: Path) -> None:
    other = PackedCorpus(make_corpus(tmp_path / "other", clips=4))
    cache_landmarks(other, tmp_path / "landmarks", None, points_of(other), read_mfcc)
    with pytest.raises(LipwrightError, match="another corpus"):
        LandmarkCorpus(packed, tmp_path / "landmarks")
    with pytest.raises(LipwrightError, match="another corpus"):
        cache_landmarks(packed, tmp_path / "landmarks", None, points_of(packed), read_mfcc)
    with pytest.raises(LipwrightError, match="'landmarks' first"):
        LandmarkCorpus(packed, tmp_path / "nothing")


def test_the_stages_end_in_a_checkpoint_that_renders(run_folder: Path) -> None:
    method = load_method(run_folder / "landmark.safetensors", "cpu", "torch")
    assert isinstance(method, LandmarkMethod)
    method._read_points = lambda _: face(0.03).numpy() * 0.6 + 0.4
    reference = np.random.default_rng(0).uniform(-1, 1, (1, 3, 32, 32)).astype(np.float32)
    made = method.render(reference, np.zeros((1, 80, 28), np.float32), method.start(reference))
    assert np.isfinite(made.faces).all()
    header = read_header(run_folder / "landmark.safetensors")
    assert set(header["parents"]) == {"landmark-space", "landmark-audio", "landmark-video"}
    assert "licence" in header
    assert list((run_folder / "landmark-video" / "samples").glob("*.png"))


def test_a_space_survives_its_file(run_folder: Path) -> None:
    checkpoint = load_checkpoint(run_folder / "landmark-space" / "landmark-space.safetensors")
    space = LandmarkSpace(**checkpoint.header["networks"]["space"])
    checkpoint.load_into("space", space)
    h = torch.randn(3, 4)
    assert torch.allclose(space.encode(space.decode(h)), h, atol=1e-4)
    assert checkpoint.header["training"]["validation"]["held_out"] > 0.9


def test_parts_of_different_spaces_are_not_joined(
    run_folder: Path, packed: PackedCorpus, tmp_path: Path
) -> None:
    import shutil

    out = tmp_path / "run"
    shutil.copytree(run_folder, out)
    config = run_folder / "tiny.yaml"
    run_stage("landmark-space", packed.folder.parent, config, out, ["per_clip=7"], "cpu")
    with pytest.raises(LipwrightError, match="another landmark space"):
        run_stage("landmark", packed.folder.parent, config, out, [], "cpu")


def test_missing_stages_are_named(packed: PackedCorpus, tmp_path: Path) -> None:
    data = packed.folder.parent
    cache_landmarks(packed, tmp_path / "landmarks", None, points_of(packed), read_mfcc)
    with pytest.raises(LipwrightError, match="'landmark-space' first"):
        run_stage("landmark-audio", data, "tiny", tmp_path, [], "cpu")
    with pytest.raises(LipwrightError, match="'landmarks' first"):
        run_stage("landmark-space", data, "tiny", tmp_path / "other", [], "cpu")


@pytest.mark.slow
def test_at_net_learns_one_clip(run_folder: Path, packed: PackedCorpus) -> None:
    """Overfits: squared error below 5 % of the variance within 500 steps."""
    space = load_checkpoint(run_folder / "landmark-space" / "landmark-space.safetensors")
    corpus = LandmarkCorpus(packed, run_folder / "landmarks")
    config = LandmarkAudioConfig(model={"features": "mel", **AUDIO}, sequence=12)
    stage = LandmarkAudioStage(config, corpus, space)
    h, _, sound = stage.clip(stage.windows.rows[0])
    target = h[1:25][None]
    optimiser = torch.optim.Adam(stage.network.parameters(), 3e-3)
    window = stage.sound(sound, 1, 24)[None]
    for _ in range(500):
        found, _ = stage.network(h[:1], window)
        loss = (found - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if float(loss.detach()) < 0.04 * float(target.var(unbiased=False)):
            break
    assert float(loss.detach()) < 0.05 * float(target.square().mean())


@pytest.mark.slow
def test_vg_net_learns_and_draws_where_it_moves(run_folder: Path, packed: PackedCorpus) -> None:
    space = load_checkpoint(run_folder / "landmark-space" / "landmark-space.safetensors")
    corpus = LandmarkCorpus(packed, run_folder / "landmarks")
    config = LandmarkVideoConfig.model_validate(
        {
            "model": {**VIDEO, "norm_kind": "group", "dropout": 0.0},
            "loss": {"adversarial": 0.0, "landmark": 0.0},
            "sequence": 4,
        }
    )
    stage = LandmarkVideoStage(config, corpus, space)
    assert stage.discriminator is None
    from lipwright.data.augment import NONE

    rng = np.random.default_rng(0)
    batch = stage.draw(stage.clips.draw(rng, 1), rng, NONE, CPU)
    assert batch.frames.shape == (1, 4, 3, 32, 32)
    assert batch.driving.shape == (1, 4, 136)
    optimiser = torch.optim.Adam(stage.network.parameters(), 4e-3)
    losses = []
    for _ in range(80):
        drawn = stage.network(batch.picture, batch.driving, batch.example)
        from lipwright.training.losses.dynamic_pixel import dynamic_pixel_loss

        loss = dynamic_pixel_loss(drawn.frames, batch.frames, drawn.alpha)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_mirrored_faces_come_with_mirrored_landmarks(
    run_folder: Path, packed: PackedCorpus
) -> None:
    space = load_checkpoint(run_folder / "landmark-space" / "landmark-space.safetensors")
    corpus = LandmarkCorpus(packed, run_folder / "landmarks")
    stage = LandmarkVideoStage(
        LandmarkVideoConfig.model_validate(
            {"model": VIDEO, "discriminator": DISCRIMINATOR, "sequence": 3}
        ),
        corpus,
        space,
    )
    row = stage.clips.rows[0]
    points = torch.from_numpy(corpus.clip_points(row)[:3])
    from lipwright.models.landmark_space import MIRROR

    plain, lying = stage.landmarks(points, row)
    mirrored, turned = stage.landmarks(points, row, mirror=True)
    for a, b in ((plain.unflatten(1, (68, 2)), mirrored.unflatten(1, (68, 2))), (lying, turned)):
        assert torch.allclose(b[:, list(MIRROR)] * torch.tensor([-1.0, 1.0]), a, atol=1e-3)
    # Nothing was projected away: the points lie where the frames have them.
    assert torch.allclose(lying, 2 * points - 1, atol=1e-4)


def test_measures_of_a_perfect_and_of_a_dead_prediction() -> None:
    space = LandmarkSpace()
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(136, 6))[0]
    space.basis.copy_(basis)
    h = torch.randn(30, 6)
    h = h - h.mean(0)
    real = [space.decode(h)]
    perfect = measure(space, real, [h], [h], 100)
    assert perfect["mouth"] < 1e-4
    assert perfect["mouth_nearer"] == pytest.approx(1.0)
    assert perfect["opening"] == pytest.approx(1.0)
    assert perfect["told_0"] == pytest.approx(1.0)
    half = measure(space, real, [0.5 * h], [h], 100)
    assert half["opening_spread"] == pytest.approx(0.5)
    assert half["told_0"] == pytest.approx(0.75, abs=0.01)
    dead = measure(space, real, [torch.zeros(30, 6)], [h], 100)
    assert dead["mouth_nearer"] == pytest.approx(0.0, abs=1e-6)
    assert dead["opening"] == 0.0
    assert dead["told_3"] == pytest.approx(0.0, abs=1e-6)
    assert "mouth_driven" not in dead  # speech drives nothing
    # Right in the first coefficient, far off in the others: those are taken from the frame.
    wild = torch.cat([h[:, :1], 3.0 * torch.randn(30, 5)], dim=1)
    first = measure(space, real, [wild], [h], 100)
    assert first["mouth_driven"] == pytest.approx(0.0, abs=1e-3)
    assert first["mouth_driven_nearer"] == pytest.approx(1.0, abs=1e-3)
    assert first["mouth"] > 1.0


def test_moving_mean_by_hand() -> None:
    x = torch.zeros(4, 68, 2)
    x[:, 0, 0] = torch.tensor([0.0, 3.0, 6.0, 0.0])
    assert moving_mean(x, 1)[:, 0, 0].tolist() == [1.5, 3.0, 3.0, 3.0]
    assert torch.equal(moving_mean(x, 0), x)


@pytest.mark.parametrize("name", ["tiny", "base", "paper"])
def test_shipped_configs_are_valid(name: str) -> None:
    path = find_config(name, STAGES["landmark"])
    values = read_yaml(path)
    parse(LandmarkSpaceConfig, values["landmark-space"], name)
    parse(LandmarkAudioConfig, values["landmark-audio"], name)
    video = parse(LandmarkVideoConfig, values["landmark-video"], name)
    if name == "paper":
        assert (video.loss.mouth_weight, video.loss.pixel, video.loss.beta) == (100.0, 10.0, 0.5)
        assert (video.sequence, video.run.batch, video.project) == (16, 10, False)


def test_training_needs_no_video_library() -> None:
    code = (
        "import sys\n"
        "for name in ('cv2', 'av', 'openvino', 'soxr'):\n    sys.modules[name] = None\n"
        "import lipwright.data.landmarks\n"
        "import lipwright.training.stages.landmark\n"
        "import lipwright.training.stages.landmark_space\n"
        "import lipwright.training.stages.landmark_audio\n"
        "import lipwright.training.stages.landmark_video\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
