"""Measuring a pair and many pairs: generated videos with known faces; resume; the command."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.evaluation import evaluate as engine
from lipwright.evaluation import measure
from lipwright.evaluation.evaluate import Pair, evaluate
from lipwright.evaluation.faces import FaceSeries
from lipwright.evaluation.metrics.catalogue import CATALOGUE
from lipwright.evaluation.networks import Networks
from tests.conftest import MakeVideo
from tests.faces.shapes import face

FRAMES = 40


def series(frames: int = FRAMES) -> FaceSeries:
    """A face that stands still and opens its mouth."""
    gaps = 8.0 * (1 + np.sin(np.arange(frames) / 3))
    faces = [face((160.0, 100.0), 70.0, opening=gap / 70.0) for gap in gaps]
    return FaceSeries(np.arange(frames) / 25, np.stack(faces), np.zeros(frames, np.int64))


class FakeInception:
    def features(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


class FakeI3D:
    def features(self, x: Tensor) -> Tensor:
        assert x.shape[1:] == (3, 16, 224, 224)
        assert -1 <= x.min() <= x.max() <= 1
        return x.mean(dim=(2, 3, 4))


class FakeSync:
    def embed_faces(self, frames: Tensor) -> Tensor:
        return frames.mean(dim=(2, 3, 4))

    def embed_speech(self, mfcc: Tensor) -> Tensor:
        return mfcc.mean(dim=(1, 3))[:, :3]


@pytest.fixture
def videos(make_video: MakeVideo) -> tuple[Path, Path]:
    tone = (0.3 * np.sin(np.arange(int(16000 * FRAMES / 25)) / 8)).astype(np.float32)
    real = make_video("real.mkv", size=(320, 240), frames=FRAMES, audio=tone)
    result = real.with_name("result.mkv")
    shutil.copy(real, result)
    return real, result


def test_a_copy_measures_as_a_copy(
    videos: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, result = videos
    monkeypatch.setattr(measure, "watch", lambda path, tracker: series())
    networks = Networks({"inception": FakeInception(), "i3d": FakeI3D(), "syncnet": FakeSync()})
    found = measure.measure_clip(result, real, list(CATALOGUE), networks, tracker=object())  # type: ignore[arg-type]
    assert found.frames == FRAMES
    assert found.result["psnr"] == 60.0
    assert found.result["ssim"] == pytest.approx(1.0)
    assert found.result["opening_r"] == pytest.approx(1.0)
    assert found.result["opening_offset"] == 0.0
    assert found.result["lmd"] == 0.0
    assert found.result["flicker"] == pytest.approx(1.0)
    assert found.result["seam_step"] == 0.0
    assert found.result["lip_colour"] == 0.0
    assert found.features["fid.real"].shape == (FRAMES, 3)
    assert np.array_equal(found.features["fid.real"], found.features["fid.result"])
    assert found.features["fvd.real"].shape == (FRAMES // 16, 3)
    assert found.real["lse_d"] == found.result["lse_d"]
    assert any("short" in note for note in found.notes)
    assert "psnr" not in found.real
    assert "expert_cosine" not in found.result


def test_shorter_results_and_other_sizes(
    videos: tuple[Path, Path], make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, _ = videos
    short = make_video("short.mkv", size=(320, 240), frames=20)
    lengths = {real: FRAMES, short: 20}
    monkeypatch.setattr(measure, "watch", lambda path, tracker: series(lengths.get(path, FRAMES)))
    found = measure.measure_clip(short, real, ["psnr", "envelope_r"], Networks(), tracker=object())  # type: ignore[arg-type]
    assert found.frames == 20
    assert any("no sound" in note for note in found.notes)
    small = make_video("small.mkv", size=(160, 120), frames=FRAMES)
    with pytest.raises(LipwrightError, match="compare videos of one size"):
        measure.measure_clip(small, real, ["psnr"], Networks(), tracker=object())  # type: ignore[arg-type]


def test_many_clips_resume_and_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIPWRIGHT_MODELS", raising=False)
    pairs = []
    for n in range(3):
        for kind in ("real", "out"):
            (tmp_path / f"{kind}{n}.mp4").write_bytes(f"{kind}{n}".encode())
        pairs.append(Pair(tmp_path / f"out{n}.mp4", tmp_path / f"real{n}.mp4"))
    calls: list[Path] = []

    def fake(result: Path, real: Path, names: list[str], *_: Any) -> measure.ClipResult:
        calls.append(result)
        n = int(result.stem[-1])
        out = measure.ClipResult(
            {"psnr": 30.0 + n, "ssim": math.nan}, {"envelope_r": 0.5}, frames=9
        )
        out.features = {"x": np.ones((2, 2), np.float32)}
        return out

    monkeypatch.setattr(engine, "measure_clip", fake)
    monkeypatch.setattr(engine, "FaceTracker", object)
    table = tmp_path / "table.json"
    first = evaluate(pairs, table)
    text = table.read_text()
    assert len(calls) == 3
    assert evaluate(pairs, table) == first
    assert len(calls) == 3
    assert table.read_text() == text
    assert first["rows"]["result"]["psnr"]["value"] == pytest.approx(31.0)
    assert first["rows"]["real video"]["envelope_r"]["value"] == 0.5
    assert first["clips"][0]["values"]["ssim"] is None
    assert "lse_c" in first["left_out"]
    assert first["protocol"]["crop"]
    json.loads(text)
    page = table.with_suffix(".md").read_text()
    assert "| PSNR, dB ↑ | - | 31.0 [30.0, 32.0] |" in page
    assert page.count("the published network 'syncnet'") == 1
    assert "6.86 (misprint)" in page
    assert table.with_suffix(".png").stat().st_size > 1000
    parts = tmp_path / "table.parts"
    before = set(parts.glob("*.json"))
    (tmp_path / "out1.mp4").write_bytes(b"another")  # a changed file is measured again
    evaluate(pairs, table)
    assert [p.name for p in calls[3:]] == ["out1.mp4"]
    (part,) = set(parts.glob("*.json")) - before
    part.write_text("{")  # so is one whose part is damaged
    evaluate(pairs, table)
    assert [p.name for p in calls[4:]] == ["out1.mp4"]


def test_a_metric_that_was_asked_for_must_be_computable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path))
    monkeypatch.delenv("LIPWRIGHT_MODELS", raising=False)
    with pytest.raises(LipwrightError, match=r"LSE-C cannot be computed.*syncnet_v2"):
        evaluate([], tmp_path / "t.json", ["lse_c"])
    with pytest.raises(LipwrightError, match="no front end"):
        evaluate([], tmp_path / "t.json", front="sideways")


@pytest.mark.slow
def test_real_clip_in_one_command(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real anchor against itself, through the command line, tracker and all."""
    from lipwright.cli import main

    clip = sorted((corpus / "anchors").glob("*/*.mp4"))[0]
    words = ["evaluate", clip, "--reference", clip, "-o", tmp_path / "t.json"]
    with pytest.raises(SystemExit) as left:
        main([str(w) for w in [*words, "--metrics", "psnr,lmd,opening_r,envelope_r"]])
    assert left.value.code == 0
    out = capsys.readouterr().out
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in out.splitlines()]
    assert ["PSNR, dB ↑", "-", "60.0"] in lines
    assert out.splitlines()[-1].startswith(f"Table {tmp_path / 't.json'}")
    assert "published, not comparable" not in out
    assert "published, not comparable" in (tmp_path / "t.md").read_text(encoding="utf-8")
    assert torch.is_grad_enabled()
