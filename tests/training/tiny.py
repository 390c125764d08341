"""A tiny packed corpus with a known link between sound and mouth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.data.packed import ClipRow, PackedCorpus, write_rows
from tests.models.landmark_shapes import face


def make_corpus(root: Path, clips: int = 6, frames: int = 40, size: int = 32) -> Path:
    """Faces are smooth colour fields with a dark mouth that opens with the sound's energy."""
    rng = np.random.default_rng(0)
    margin, pictures, mels, openings, rows = 2, [], [], [], []
    side = size + 2 * margin
    y, x = np.mgrid[0:side, 0:side] / side
    for c in range(clips):
        opening = 0.5 + 0.5 * np.sin(np.cumsum(rng.uniform(0.1, 0.9, frames)))
        colour = rng.uniform(80, 220, 3)
        light = 0.7 + 0.3 * np.sin(3 * x + c) * np.cos(2 * y)
        mouth = np.exp(-(((x - 0.5) / 0.2) ** 2))
        for o in opening:
            dark = mouth * np.exp(-(((y - 0.72) / (0.03 + 0.1 * o)) ** 2))
            pictures.append((colour * (light * (1 - 0.8 * dark))[..., None]).clip(0, 255))
        steps = np.repeat(opening, 4)
        mels.append(
            np.outer(steps, np.linspace(1, 0.2, 80)) * 8 - 4 + rng.normal(0, 0.1, (len(steps), 80))
        )
        openings.append(opening)
        rows.append(
            ClipRow(
                clip=f"c{c}",
                identity=f"id{c // 2}",
                split="val" if c >= clips - 2 else "train",
                source=f"s{c}",
                start=c * frames,
                frames=frames,
                column=c * frames * 4,
                columns=frames * 4,
            )
        )
    folder = root / "packed"
    folder.mkdir(parents=True)
    np.save(folder / "frames.npy", np.stack(pictures).astype(np.uint8))
    np.save(folder / "mel.npy", np.concatenate(mels).astype(np.float16))
    o = np.concatenate(openings).astype(np.float32)
    contour = rng.random((1, 40, 2)) + np.linspace(-1, 1, 40)[None, :, None] * o[:, None, None]
    lips = contour.reshape(len(o), 80).astype(np.float32)
    np.savez(folder / "features.npz", opening=o, lips=lips)
    write_rows(folder, rows, size, margin)
    return root


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The lines that a stage's training wrote into its folder."""
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def points_of(corpus: PackedCorpus) -> Callable[[np.ndarray], np.ndarray]:
    """A reader of landmarks that knows the clips by their pixels, in whatever order they come."""
    first = {corpus.frames[r.start].tobytes(): r for r in corpus.rows}

    def read(frames: np.ndarray) -> np.ndarray:
        row = first[frames[0].tobytes()]
        openings = corpus.opening[row.start : row.start + row.frames]
        return np.stack([face(0.1 * float(o)).numpy() for o in openings]) * 0.6 + 0.4

    return read


def read_mfcc(row: ClipRow) -> np.ndarray:
    """A reader of MFCC, in the place of the source videos: numbers that tell the clip."""
    return np.full((row.columns, 12), row.start, np.float32)
