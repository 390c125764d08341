"""A packed corpus: what training reads. Plain arrays, so that it needs no video library.

``CORPUS/packed/`` holds

* ``frames.npy``: uint8 (N, C, C, 3) RGB, aligned crops of all clips one after another, C = crop
  size plus the margin for shift and scale jitter (opened as a memory map);
* ``mel.npy``: float16 (M, 80), 100 columns a second, all clips one after another;
* ``features.npz``: per frame ``opening`` (inner lips over face height) and ``lips`` (lip shape);
* ``rows.json``: per clip its id, identity, split, source, first frame, frames, first mel column.
"""

from __future__ import annotations

from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lipwright.data.arrays import read_array, read_arrays, read_header
from lipwright.errors import LipwrightError
from lipwright.files.whole import write_json
from lipwright.media.mel import SILENCE, STEPS_PER_FRAME, AudioSpec


@dataclass(frozen=True)
class ClipRow:
    """One clip of a packed corpus; ``columns`` mel columns begin at ``column``."""

    clip: str
    identity: str
    split: str
    source: str
    start: int
    frames: int
    column: int
    columns: int


class PackedCorpus:
    """Read access to ``CORPUS/packed``.

    Attributes:
        frames: (N, C, C, 3) uint8 memory map.
        mel: (M, 80) float16.
        opening: (N,) float32 mouth opening over face height.
        lips: (N, K) float32 lip shape.
        rows: the clips.
        size: crop side without margin; ``margin`` pixels surround it on every side.
    """

    def __init__(self, corpus: Path) -> None:
        folder = corpus / "packed"
        if not (folder / "rows.json").is_file():
            raise LipwrightError(
                f"{corpus} holds no packed corpus; make one with 'lipwright prepare SRC "
                f"-o {corpus}'."
            )
        remedy = f"pack the corpus again with 'lipwright prepare SRC -o {corpus}'"
        header = read_header(folder / "rows.json", remedy)
        self.folder = folder
        try:
            self.size, self.margin = int(header["size"]), int(header["margin"])
            self.rows = [ClipRow(**row) for row in header["clips"]]
        except (KeyError, TypeError, ValueError) as error:
            raise LipwrightError(f"{folder / 'rows.json'} is damaged; {remedy}.") from error
        self.frames: NDArray[np.uint8] = read_array(folder / "frames.npy", remedy, "r")
        self.mel: NDArray[np.float16] = read_array(folder / "mel.npy", remedy)
        features = read_arrays(folder / "features.npz", ("opening", "lips"), remedy)
        self.opening: NDArray[np.float32] = features["opening"]
        self.lips: NDArray[np.float32] = features["lips"]
        frames = sum(r.frames for r in self.rows)
        side = self.size + 2 * self.margin
        if self.frames.shape != (frames, side, side, 3) or len(self.opening) != frames:
            raise LipwrightError(f"the arrays in {folder} do not belong together; {remedy}.")

    @property
    def landmark_points(self) -> int:
        """Points of the meshes that ``landmarks.npy`` holds, the fewest of any clip; 0 without."""
        path = self.folder / "landmarks.npy"
        if not path.is_file():
            return 0
        remedy = "pack the corpus again with 'lipwright prepare'"
        return int(read_array(path, remedy, "r").shape[1])

    def crops(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(N, S + 2 margin, S + 2 margin, 3) of ``frames`` -> (N, S, S, 3) without their margin."""
        m, size = self.margin, self.size
        return frames[:, m : m + size, m : m + size]

    def without_short(self, min_frames: int) -> PackedCorpus:
        """The same arrays with the clips of at least so many frames.

        Raises:
            LipwrightError: there are none.
        """
        out = copy(self)
        out.rows = [r for r in self.rows if r.frames >= min_frames]
        if not out.rows:
            raise LipwrightError(f"{self.folder} has no clip of {min_frames} frames or more.")
        return out

    def split(self, name: str) -> list[ClipRow]:
        """The clips of ``train`` or ``val``.

        Raises:
            LipwrightError: there are none.
        """
        rows = [r for r in self.rows if r.split == name]
        if not rows:
            raise LipwrightError(f"{self.folder} has no clips of split '{name}'.")
        return rows

    def clip_mel(self, row: ClipRow) -> NDArray[np.float16]:
        """(80, columns) of one clip."""
        return self.mel[row.column : row.column + row.columns].T

    def speech(self, row: ClipRow) -> Tensor:
        """(80, columns) float32 log-mel of one clip."""
        return torch.from_numpy(self.clip_mel(row).astype(np.float32))

    def heard(self, row: ClipRow, audio: AudioSpec, first: int, count: int) -> Tensor:
        """(80, columns) what ``count`` frames from ``first`` on hear; silence beyond the clip."""
        columns = audio.steps + STEPS_PER_FRAME * (count - 1)
        padded = F.pad(self.speech(row), (audio.before, columns), value=SILENCE)
        return padded[:, STEPS_PER_FRAME * first :][:, :columns]

    def summary(self) -> dict[str, object]:
        """Clips, identities, frames and minutes per split, for model cards."""
        out: dict[str, object] = {}
        for name in sorted({r.split for r in self.rows}):
            rows = [r for r in self.rows if r.split == name]
            frames = sum(r.frames for r in rows)
            out[name] = {
                "clips": len(rows),
                "identities": len({r.identity for r in rows}),
                "frames": frames,
                "minutes": round(frames / 25 / 60, 1),
            }
        return out


def row_weights(rows: list[ClipRow], balance: float) -> NDArray[np.float64]:
    """Drawing probabilities: frames of the clip times (frames of its identity) ** -balance."""
    per: dict[str, int] = {}
    for r in rows:
        per[r.identity] = per.get(r.identity, 0) + r.frames
    w = np.array([r.frames * per[r.identity] ** -balance for r in rows], dtype=np.float64)
    return np.asarray(w / w.sum())


def write_rows(folder: Path, rows: list[ClipRow], size: int, margin: int) -> None:
    """Write ``rows.json``, the file that makes a packed corpus complete (so it comes last)."""
    content = {"size": size, "margin": margin, "clips": [asdict(r) for r in rows]}
    write_json(folder / "rows.json", content, indent=None)
