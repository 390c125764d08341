"""The trained expert as judge of offsets, on tiny random networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lipwright.data.rows import PrepareSettings, StepContext
from lipwright.data.sync_expert import expert_curve, load_judge
from lipwright.errors import LipwrightError
from lipwright.lip_agreement import REACH
from lipwright.models.expert import SyncExpert
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint
from tests.data.crops import write_crops

VQGAN_MODEL = {
    "channels": [8, 8],
    "blocks": 1,
    "decoder_blocks": 1,
    "z_channels": 8,
    "dim": 4,
    "n_codes": 16,
    "attention": False,
    "groups": 4,
    "patch": 2,
}
EXPERT = {
    "window": 5,
    "code_dim": 4,
    "stem": 4,
    "channels": [16, 16, 32, 32],
    "dim": 64,
    "audio_channels": [8, 16, 32, 32],
    "audio_blocks": 1,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    folder = tmp_path / "run"
    face = folder / "vqgan" / "vqgan.safetensors"
    header = {"method": "vqgan", "networks": {"vqgan": VQGAN_MODEL}, "size": 64}
    save_checkpoint(face, header, {"vqgan": VQGAN(**VQGAN_MODEL)})
    header = {
        "method": "expert",
        "networks": {"expert": EXPERT},
        "size": 64,
        "parents": {"vqgan": load_checkpoint(face).sha256},
    }
    save_checkpoint(
        folder / "expert" / "expert.safetensors", header, {"expert": SyncExpert(**EXPERT)}
    )
    return folder


def test_curve_of_every_shift(run: Path, tmp_path: Path) -> None:
    settings = PrepareSettings(size=64)
    work = StepContext(str(tmp_path / "corpus"), settings, str(run))
    work.clips.mkdir(parents=True)
    work.scratch.mkdir()
    rng = np.random.default_rng(0)
    write_crops(work.clips / "a.mp4", rng.integers(0, 255, (12, 72, 72, 3), dtype=np.uint8))
    np.save(work.scratch / "s.npy", (rng.normal(0, 3000, 640 * 60)).astype(np.int16))
    row = {"source": "s", "name": "s"}
    piece = {"clip": "a", "first": 20, "frames": 12}
    curve = expert_curve(row, piece, work)
    assert curve.shape == (2 * REACH + 1,)
    assert (curve >= 0).all()
    assert (curve <= 1 + 1e-6).all()
    assert curve.std() > 0  # the sound differs from shift to shift
    later = expert_curve(row, {**piece, "first": 23}, work)
    assert np.allclose(later[:-3], curve[3:], atol=0.02)  # the same sound, three frames on
    assert not expert_curve(row, {**piece, "frames": 4}, work).any()  # too short for the window


def test_a_run_without_expert_is_refused(run: Path) -> None:
    with pytest.raises(LipwrightError, match=r"has no vqgan\.safetensors"):
        load_judge(str(run / "nowhere"))
    vqgan = VQGAN(**VQGAN_MODEL)
    header = {"method": "vqgan", "networks": {"vqgan": VQGAN_MODEL}, "size": 64}
    save_checkpoint(run / "vqgan" / "vqgan.safetensors", header, {"vqgan": vqgan})
    with pytest.raises(LipwrightError, match="another VQGAN"):
        load_judge(str(run))
