"""A corpus whose lips were measured by the coarser landmark network says so."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from lipwright.data import prepare
from lipwright.data.codes import lip_motions
from lipwright.data.packed import ClipRow, PackedCorpus, write_rows

FRAMES = 12


def corpus(folder: Path, points: int) -> PackedCorpus:
    """One training clip of noise."""
    rng = np.random.default_rng(0)
    packed = folder / "packed"
    packed.mkdir()
    np.save(packed / "frames.npy", np.zeros((FRAMES, 8, 8, 3), np.uint8))
    np.save(packed / "mel.npy", np.zeros((4 * FRAMES, 80), np.float16))
    np.save(packed / "landmarks.npy", np.zeros((FRAMES, points, 2), np.float16))
    opening, lips = rng.random(FRAMES), rng.random((FRAMES, 80))
    np.savez(packed / "features.npz", opening=np.float32(opening), lips=np.float32(lips))
    write_rows(packed, [ClipRow("a", "a", "train", "a.mp4", 0, FRAMES, 0, 4 * FRAMES)], 8, 0)
    return PackedCorpus(folder)


@pytest.mark.parametrize(("points", "warned"), [(468, True), (478, False)])
def test_training_warns_of_coarse_lips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, points: int, warned: bool
) -> None:
    packed = corpus(tmp_path, points)
    assert packed.landmark_points == points
    with caplog.at_level(logging.WARNING):
        lip_motions(packed, 8)
    assert ("468 points" in caplog.text) is warned


@pytest.mark.parametrize(("name", "warned"), [("landmarks-468", True), ("landmarks-478", False)])
def test_preparation_warns_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, warned: bool
) -> None:
    monkeypatch.setattr(prepare, "best_network", lambda: (name, Path()))
    with caplog.at_level(logging.WARNING):
        prepare.warn_of_coarse_lips()
    assert ("face_landmarker.task" in caplog.text) is warned


def test_a_corpus_without_meshes_is_not_judged(tmp_path: Path) -> None:
    packed = corpus(tmp_path, 468)
    (packed.folder / "landmarks.npy").unlink()
    assert packed.landmark_points == 0
