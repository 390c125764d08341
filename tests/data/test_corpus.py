"""Corpus preparation on generated and real clips, packed arrays, augmentation, code cache."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from lipwright.data.augment import NONE, Jitter, crop_batch, recolour
from lipwright.data.codes import lip_motions
from lipwright.data.extract import ExtractSettings, _nearest, read_crops, warp, write_crops
from lipwright.data.labels import default_label, read_labels
from lipwright.data.packed import PackedCorpus
from lipwright.data.prepare import clip_name, find_sources, prepare, read_manifest
from lipwright.errors import LipwrightError
from tests.training.tiny import make_corpus


def test_nearest_frame_in_time() -> None:
    times = [Fraction(n, 30) for n in range(30)]
    grid = [Fraction(n, 25) for n in range(25)]
    chosen = _nearest(times, grid)
    assert chosen[0] == 0
    assert all(abs(times[i] - t) <= Fraction(1, 60) for i, t in zip(chosen, grid, strict=True))
    assert _nearest([Fraction(0)], grid[:3]) == [0, 0, 0]


def test_warp_recovers_a_crop_and_averages_when_shrinking() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    shift = np.array([[1.0, 0.0, 8.0], [0.0, 1.0, 16.0]])
    assert np.array_equal(warp(image, shift, 32), image[16:48, 8:40])
    shrink = np.array([[4.0, 0.0, 1.5], [0.0, 4.0, 1.5]])  # crop pixel n covers 4n .. 4n + 3
    small = warp(image, shrink, 16).astype(float)
    exact = image.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - exact)[1:-1, 1:-1].mean() < 12  # noise of 255 levels, 16 px averaged
    assert small.std() < 0.5 * image.std()


def test_crops_survive_storage(tmp_path: Path) -> None:
    y, x = np.mgrid[0:48, 0:48]
    frames = np.stack([np.stack([x * 4 + t, y * 4, x + y], axis=2) for t in range(5)])
    write_crops(tmp_path / "a.mp4", frames.astype(np.uint8))
    back = read_crops(tmp_path / "a.mp4")
    assert back.shape == (5, 48, 48, 3)
    assert np.abs(back.astype(int) - frames).mean() < 2.5
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_labels(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("file,identity,split,other\na/b.mp4,ann,val,x\n")
    labels = read_labels(table)
    assert labels[str((tmp_path / "a/b.mp4").resolve())].identity == "ann"
    table.write_text("file,identity\nx,y\n")
    with pytest.raises(LipwrightError, match="lacks the column split"):
        read_labels(table)
    splits = [default_label(Path(f"clip{n}.mp4")).split for n in range(400)]
    assert 0.05 < splits.count("val") / 400 < 0.16


def test_sources(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for name in ("x/b.mp4", "a.mkv", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in find_sources([tmp_path])] == ["a.mkv", "b.mp4"]
    with pytest.raises(LipwrightError, match="does not exist"):
        find_sources([tmp_path / "gone"])
    with pytest.raises(LipwrightError, match="no video file"):
        find_sources([tmp_path / "x" / "..", tmp_path][:0])
    assert clip_name(Path("/a/c.mp4")) != clip_name(Path("/b/c.mp4"))


def test_bad_sources_are_rejected_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text.mp4").write_text("no video at all")
    (tmp_path / "in" / "empty.mp4").write_bytes(b"")
    out = tmp_path / "corpus"
    with pytest.raises(LipwrightError, match="no clip of"):
        prepare([tmp_path / "in"], out, workers=1)
    rows = read_manifest(out / "manifest.jsonl")
    assert {Path(r["source"]).name for r in rows} == {"text.mp4", "empty.mp4"}
    assert all(r["reason"].startswith("unusable: ") for r in rows)


def test_settings_of_a_corpus_are_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text.mp4").write_text("no video at all")
    out = tmp_path / "corpus"
    prepare_quietly = pytest.raises(LipwrightError)
    with prepare_quietly:
        prepare([tmp_path / "in"], out, workers=1)
    with pytest.raises(LipwrightError, match="begun with size=128"):
        prepare([tmp_path / "in"], out, settings=ExtractSettings(size=64), workers=1)


def test_broken_last_manifest_line_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(json.dumps({"source": "a"}) + '\n{"sour')
    assert read_manifest(path) == [{"source": "a"}]


def test_prepare_real_clips_and_resume(corpus: Path, tmp_path: Path) -> None:
    """Two real clips; a second call does nothing anew and packs the same corpus."""
    clips = sorted((corpus / "anchors").rglob("*.mp4"))[:2]
    out = tmp_path / "corpus"
    first = prepare([clips[0]], out, labels=corpus / "clips.csv", workers=1)
    assert first.clips == 1
    stamp = next((out / "clips").glob("*.mp4")).stat().st_mtime_ns
    summary = prepare(clips, out, labels=corpus / "clips.csv", workers=1)
    assert summary.sources == 2
    assert stamp in {p.stat().st_mtime_ns for p in (out / "clips").glob("*.mp4")}
    packed = PackedCorpus(out)
    assert packed.frames.shape[1:] == (144, 144, 3)
    assert len(packed.rows) == summary.clips
    row = packed.rows[-1]
    assert row.columns == 4 * row.frames
    assert packed.clip_mel(row).shape == (80, row.columns)
    assert packed.opening.std() > 0


def test_centre_crop_and_jitter() -> None:
    frames = torch.randint(0, 255, (4, 20, 20, 3), dtype=torch.uint8)
    plain = crop_batch(frames, 16, NONE)
    expected = frames[:, 2:18, 2:18].permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.allclose(plain, expected)
    still = Jitter(0, 0, 0, 0, 0, 0, 0)
    assert torch.equal(crop_batch(frames, 16, still, np.random.default_rng(0)), plain)
    same = crop_batch(
        frames[:1].repeat(4, 1, 1, 1), 16, Jitter(), np.random.default_rng(0), group=2
    )
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[1], same[2])
    assert same.min() >= -1
    assert same.max() <= 1
    again = crop_batch(
        frames[:1].repeat(4, 1, 1, 1), 16, Jitter(), np.random.default_rng(0), group=2
    )
    assert torch.equal(same, again)


def test_mirror_is_exact() -> None:
    frames = torch.randint(0, 255, (1, 16, 16, 3), dtype=torch.uint8)
    only_flip = Jitter(0, 0, 0, 1.0, 0, 0, 0)
    out = crop_batch(frames, 16, only_flip, np.random.default_rng(0))
    assert torch.allclose(out, crop_batch(frames, 16).flip(3), atol=1e-5)


def test_recolour_by_hand() -> None:
    x = torch.full((1, 3, 2, 2), 0.0)  # mid grey
    none = torch.zeros(1)
    assert torch.allclose(recolour(x, torch.tensor([0.2]), none, none), x + 0.2)
    assert torch.allclose(recolour(x, none, torch.tensor([0.5]), torch.tensor([0.5])), x)


def test_packed_corpus(tmp_path: Path) -> None:
    packed = PackedCorpus(make_corpus(tmp_path))
    assert packed.summary()["val"] == {"clips": 2, "identities": 1, "frames": 80, "minutes": 0.1}
    identities = {s: {r.identity for r in packed.split(s)} for s in ("train", "val")}
    assert not identities["train"] & identities["val"]
    with pytest.raises(LipwrightError, match="no clips of split 'test'"):
        packed.split("test")
    space, motion = lip_motions(packed, 3)
    assert motion.shape == (240, 3)
    assert space.scale.shape == (3,)
    clip = packed.rows[0]
    part = slice(clip.start, clip.start + clip.frames)
    assert np.corrcoef(motion[part, 0], packed.opening[part])[0, 1] == pytest.approx(1.0, abs=1e-3)
