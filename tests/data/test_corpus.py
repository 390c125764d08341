"""Corpus preparation on generated and real clips, packed arrays, augmentation, code cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lipwright.data.augment import NONE, Jitter, crop_batch, recolour
from lipwright.data.codes import lip_motions
from lipwright.data.labels import default_label, read_labels
from lipwright.data.packed import PackedCorpus
from lipwright.data.sources import clip_name, find_sources
from lipwright.data.storage import read_crops
from lipwright.errors import LipwrightError
from lipwright.faces.crop_pixels import warp
from tests.data.crops import write_crops
from tests.training.tiny import make_corpus


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
