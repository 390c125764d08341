"""Landmarks and MFCC of a packed corpus, cached once outside of it.

The landmark stages learn from 68 points per frame and MFCC, which a packed corpus does not hold in
this form. One pass (:func:`cache_landmarks`) takes the points from the meshes that ``prepare``
packed and the MFCC from the clips' sound. Of older corpora, without either, it reads the points off
the aligned crops with the landmark network, and the MFCC off the source videos. Training reads the
result with numpy alone.

``FOLDER/`` holds

* ``points.npy``: float16 (N, 68, 2), in parts of the side of the crop without its margin;
* ``mfcc.npy``: float16 (M, 12), columns as those of ``mel.npy``;
* ``done.npy``: uint8 per clip, 1 where both are there: the pass can be stopped and continued, and
  what it has done so far can be trained on. Validation clips come first, then one clip of every
  identity after another.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.data.arrays import read_array, read_header
from lipwright.data.encoded_speech import clip_wave
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.faces.points68 import points_68

log = logging.getLogger("lipwright.train")

PointReader = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""Takes the frames (T, C, C, 3) of a clip, returns (T, 68, 2) in parts of the crop's side."""
SAVE_EVERY = 25  # clips
VERSION = 2
"""Of what is cached: since 2, MFCC follow the offsets that ``prepare`` corrected."""


def cache_landmarks(
    corpus: PackedCorpus,
    out: Path,
    max_minutes: float | None = None,
    read_points: PointReader | None = None,
    read_mfcc: Callable[[ClipRow], NDArray[np.float32]] | None = None,
) -> int:
    """Run the pass, or go on with it.

    Args:
        corpus: the packed corpus.
        out: folder of the cache.
        max_minutes: stop after that long.
        read_points: another source of landmarks than the packed meshes or the network.
        read_mfcc: another source of MFCC, (columns, 12), than the sound of the source videos.

    Returns:
        How many clips are done now.

    Raises:
        LipwrightError: the cache belongs to another corpus; a source is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    header = {
        "frames": len(corpus.frames),
        "columns": len(corpus.mel),
        "clips": len(corpus.rows),
        "version": VERSION,
    }
    points, sound, done = _arrays(out, header)
    meshes = None if read_points else packed_meshes(corpus)
    if meshes is None:
        read_points = read_points or crop_reader(corpus)
    read_mfcc = read_mfcc or SourceMfcc(corpus)
    began = time.monotonic()
    todo = [i for i in _order(corpus) if not done[i]]
    for n, index in enumerate(todo):
        row = corpus.rows[index]
        part = slice(row.start, row.start + row.frames)
        if meshes is not None:
            found = points_68(meshes[part].astype(np.float64)) + 0.5  # they count from the middle
        else:
            assert read_points is not None
            found = read_points(np.asarray(corpus.frames[part]))
        points[part] = found.astype(np.float16)
        sound[row.column : row.column + row.columns] = read_mfcc(row).astype(np.float16)
        done[index] = 1
        late = max_minutes is not None and time.monotonic() - began > 60.0 * max_minutes
        if (n + 1) % SAVE_EVERY == 0 or n + 1 == len(todo) or late:
            for array in (points, sound):
                if isinstance(array, np.memmap):
                    array.flush()
            np.save(out / "done.npy", done)
            log.info("landmarks: %d of %d clips", int(done.sum()), len(done))
        if late:
            break
    return int(done.sum())


def _arrays(
    out: Path, header: dict[str, int]
) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.uint8]]:
    path = out / "header.json"
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != header:
            raise _foreign(out)
        points = np.load(out / "points.npy", mmap_mode="r+")
        sound = np.load(out / "mfcc.npy", mmap_mode="r+")
        return points, sound, np.load(out / "done.npy")
    make = np.lib.format.open_memmap
    points = make(out / "points.npy", "w+", np.float16, (header["frames"], 68, 2))
    sound = make(out / "mfcc.npy", "w+", np.float16, (header["columns"], 12))
    done = np.zeros(header["clips"], np.uint8)
    np.save(out / "done.npy", done)
    path.write_text(json.dumps(header), encoding="utf-8")
    return points, sound, done


def _foreign(folder: Path) -> LipwrightError:
    return LipwrightError(
        f"the landmarks in {folder} were made from another corpus or by an older version; delete "
        "that folder and run the stage 'landmarks' again."
    )


def _order(corpus: PackedCorpus) -> list[int]:
    """Validation first, then the identities in turn."""
    seen: dict[str, int] = {}
    keys = []
    for i, row in enumerate(corpus.rows):
        turn = seen.get(row.identity, 0)
        seen[row.identity] = turn + 1
        keys.append((row.split != "val", turn, row.identity, i))
    return [key[-1] for key in sorted(keys)]


def packed_meshes(corpus: PackedCorpus) -> NDArray[np.float16] | None:
    """(N, 468 or 478, 2) landmarks of every frame, in parts of the crop's side from its middle.

    None where the corpus was packed without them.
    """
    path = corpus.folder / "landmarks.npy"
    if not path.is_file():
        return None
    found: NDArray[np.float16] = read_array(path, "prepare the corpus again", "r")
    return found if found.ndim == 3 and len(found) == len(corpus.frames) else None


def crop_reader(corpus: PackedCorpus) -> PointReader:
    """The landmark network on the corpus' crops."""
    from lipwright.faces.crop_points import CropPoints

    return CropPoints(corpus.size, corpus.margin)


class SourceMfcc:
    """MFCC of clips, from their own sound or, where that is not kept, from the videos' sound.

    Attributes:
        starts: seconds from the beginning of the video to the sound of each clip, which lies a few
            frames off its pictures where ``prepare`` found it so.
    """

    def __init__(self, corpus: PackedCorpus) -> None:
        from lipwright.data.prepare import read_manifest
        from lipwright.media.mel import MODEL_FPS

        self._corpus, self._folder = corpus, corpus.folder.parent / "clips"
        manifest = corpus.folder.parent / "manifest.jsonl"
        self.starts = {
            str(r["clip"]): float(r["start"]) + int(r.get("offset", 0)) / MODEL_FPS
            for r in read_manifest(manifest)
        }
        self._last: tuple[str, NDArray[np.float32]] | None = None

    def __call__(self, row: ClipRow) -> NDArray[np.float32]:
        """(columns, 12) of a clip; what lies beyond the recording is silence."""
        from lipwright.media.audio import load_speech
        from lipwright.media.mel import STEPS_PER_SECOND
        from lipwright.media.mfcc import mfcc

        if (self._folder / f"{row.clip}.flac").is_file():
            own = mfcc(clip_wave(self._corpus, row)).T[: row.columns]
            return np.pad(own, ((0, row.columns - len(own)), (0, 0)))
        if self._last is None or self._last[0] != row.source:
            self._last = row.source, mfcc(load_speech(Path(row.source)))
        first = round(self.starts[row.clip] * STEPS_PER_SECOND)
        part = self._last[1][:, max(0, first) : max(0, first + row.columns)].T
        early = min(max(0, -first), row.columns)  # sound may begin before the recording does
        return np.pad(part, ((early, row.columns - early - len(part)), (0, 0)))


class LandmarkCorpus:
    """The clips of a packed corpus whose landmarks have been read.

    Attributes:
        packed: pictures, mel, openings.
        points: (N, 68, 2) float32, in parts of the crop's side.
        mfcc: (M, 12) float16.
    """

    def __init__(self, packed: PackedCorpus, folder: Path) -> None:
        if not (folder / "header.json").is_file():
            raise LipwrightError(
                f"{folder} holds no landmarks; run the stage 'landmarks' first (it needs the "
                "landmark network and the source videos)."
            )
        remedy = f"delete {folder} and run the stage 'landmarks' again"
        header = read_header(folder / "header.json", remedy)
        here = {"frames": len(packed.frames), "clips": len(packed.rows), "version": VERSION}
        if any(header.get(key) != value for key, value in here.items()):
            raise _foreign(folder)
        self.packed = packed
        points = read_array(folder / "points.npy", remedy)
        self.points: NDArray[np.float32] = points.astype(np.float32)
        self.mfcc: NDArray[np.float16] = read_array(folder / "mfcc.npy", remedy)
        self._done = read_array(folder / "done.npy", remedy).astype(bool)

    def split(self, name: str) -> list[ClipRow]:
        """The clips of ``train`` or ``val`` that have landmarks.

        Raises:
            LipwrightError: there are none.
        """
        rows = [
            r
            for r, done in zip(self.packed.rows, self._done, strict=True)
            if done and r.split == name
        ]
        if not rows:
            raise LipwrightError(
                f"no clip of split '{name}' has landmarks yet; let the stage 'landmarks' run "
                "longer."
            )
        return rows

    def clip_points(self, row: ClipRow) -> NDArray[np.float32]:
        """(T, 68, 2) of one clip."""
        return self.points[row.start : row.start + row.frames]

    def clip_sound(self, row: ClipRow, features: str) -> NDArray[np.float32]:
        """(80 or 12, columns) of one clip: ``mel``, or ``mfcc`` shifted to mel's silence."""
        if features == "mel":
            return self.packed.clip_mel(row).astype(np.float32)
        part = self.mfcc[row.column : row.column + row.columns].T
        return part.astype(np.float32) - np.float32(4.0)
