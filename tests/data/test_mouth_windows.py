"""Mouth windows: the right frames, the right part of a large crop, and one sentence without any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lipwright.data.mouth_windows import MouthWindows, cut_windows
from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from tests.conftest import MakeVideo
from tests.training.tiny import make_corpus

OUTER, INNER = 144, 128  # eight pixels round a crop of 128, a sixteenth


def paint(index: int, planes: list[NDArray[Any]]) -> None:
    """Brightness tells frame and place: the mouth window of the crop is bright."""
    planes[0][:] = 40 + 2 * index
    left, top = 8 + round(0.2 * INNER), 8 + round(0.4 * INNER)
    planes[0][top : 8 + INNER, left : 8 + round(0.8 * INNER)] = 150 + 2 * index
    planes[1][:], planes[2][:] = 128, 128


def test_windows_of_large_crops(tmp_path: Path, make_video: MakeVideo) -> None:
    corpus = make_corpus(tmp_path / "corpus", clips=6, frames=20)
    (corpus / "clips").mkdir()
    for clip in ("c0", "c5"):
        made = make_video(f"{clip}.mkv", size=(OUTER, OUTER), frames=20, paint=paint)
        made.rename(corpus / "clips" / f"{clip}.hd.mp4")
    packed = PackedCorpus(corpus)
    windows = cut_windows(packed, tmp_path / "w", 32, per_clip=5)
    assert [(c.clip, c.split, c.first, c.count) for c in windows.clips] == [
        ("c0", "train", 0, 5),
        ("c5", "val", 5, 5),
    ]
    # Evenly spread: 0, 4.75, 9.5, 14.25 and 19, rounded to even; c5 begins at frame 100.
    assert windows.clips[0].frames == [0, 5, 10, 14, 19]
    assert windows.clips[1].frames == [100, 105, 110, 114, 119]
    assert windows.pixels.shape == (10, 32, 32, 3)
    for i, frame in enumerate(windows.clips[0].frames):
        inside = windows.pixels[i][2:-2, 2:-2].astype(float)
        expected = (150 + 2 * frame - 16) * 255 / 219
        assert np.abs(inside - expected).max() <= 2, "nothing of what lies round the window"
    before = (tmp_path / "w" / "windows.u8").stat().st_mtime_ns
    again = cut_windows(packed, tmp_path / "w", 32, per_clip=5)
    assert np.array_equal(again.pixels, windows.pixels)
    assert (tmp_path / "w" / "windows.u8").stat().st_mtime_ns == before, "cut once"


def test_a_corpus_without_large_crops(tmp_path: Path) -> None:
    packed = PackedCorpus(make_corpus(tmp_path / "corpus"))
    with pytest.raises(LipwrightError, match="holds no large crops; prepare it with") as caught:
        cut_windows(packed, tmp_path / "w", 16, per_clip=3)
    assert "\n" not in str(caught.value)


def test_damaged_windows_are_one_sentence(tmp_path: Path) -> None:
    packed = PackedCorpus(make_corpus(tmp_path / "corpus"))
    cut_windows(packed, tmp_path / "w", 16, per_clip=3, crops="packed")
    (tmp_path / "w" / "windows.u8").write_bytes(b"short")
    with pytest.raises(LipwrightError, match="are damaged; remove the folder"):
        MouthWindows(tmp_path / "w")
