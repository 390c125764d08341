"""Accepted clips to the plain arrays that training reads (see :mod:`lipwright.data.packed`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.data.cut import crop_path, mark_crop
from lipwright.data.packed import ClipRow, write_rows
from lipwright.data.rows import PrepareSettings, Row
from lipwright.data.storage import read_crops
from lipwright.errors import LipwrightError


def pack_corpus(
    out: Path,
    rows: list[Row],
    settings: PrepareSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write ``out/packed`` from the accepted clips; nothing is done when it holds them already.

    Args:
        out: the corpus.
        rows: manifest rows of clips.
        settings: of the corpus.
        progress: called with the clips that are done, and all of them; not if nothing is to do.

    Raises:
        LipwrightError: nothing was accepted.
    """
    accepted = sorted((r for r in rows if not r["reason"]), key=lambda r: str(r["clip"]))
    if not accepted:
        raise LipwrightError(
            f"no clip of {out} was accepted; see the reasons in {out / 'manifest.jsonl'}."
        )
    folder = out / "packed"
    folder.mkdir(exist_ok=True)
    planned = _plan(accepted)
    size, margin = settings.pack_size, settings.margin(settings.pack_size)
    if _same(folder, planned, size, margin):
        return
    (folder / "rows.json").unlink(missing_ok=True)
    side = size + 2 * margin
    total = sum(r.frames for r in planned)
    frames = np.lib.format.open_memmap(
        folder / "frames.npy", mode="w+", dtype=np.uint8, shape=(total, side, side, 3)
    )
    arrays: dict[str, list[NDArray[np.generic]]] = {}
    progress(0, len(planned))
    for count, row in enumerate(planned, 1):
        crops = read_crops(crop_path(out / "clips", row.clip, settings.size, settings))
        for i, crop in enumerate(crops):
            frames[row.start + i] = mark_crop(reduced(crop, side), settings.mark)
        with np.load(out / "clips" / f"{row.clip}.npz") as features:
            for name in features:
                value = features[name]
                arrays.setdefault(name, []).append(value.T if name == "mel" else value)
        progress(count, len(planned))
    frames.flush()
    np.save(folder / "mel.npy", np.concatenate(arrays.pop("mel")))
    meshes = arrays.pop("landmarks")
    points = min(m.shape[1] for m in meshes)  # the first 468 are the same in both networks
    np.save(folder / "landmarks.npy", np.concatenate([m[:, :points] for m in meshes]))
    np.savez(
        folder / "features.npz",
        allow_pickle=False,
        **{name: np.concatenate(parts) for name, parts in arrays.items()},
    )
    write_rows(folder, planned, size, margin)


def reduced(crop: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A crop at another size; area average when it shrinks."""
    if crop.shape[0] == side:
        return crop
    method = cv2.INTER_AREA if side < crop.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(crop, (side, side), interpolation=method), np.uint8)


def _plan(accepted: list[Row]) -> list[ClipRow]:
    planned = []
    start = 0
    for row in accepted:
        count = int(row["frames"])
        planned.append(
            ClipRow(
                clip=str(row["clip"]),
                identity=str(row["identity"]),
                split=str(row["split"]),
                source=str(row["source"]),
                start=start,
                frames=count,
                column=4 * start,
                columns=4 * count,
            )
        )
        start += count
    return planned


def _same(folder: Path, planned: list[ClipRow], size: int, margin: int) -> bool:
    import json
    from dataclasses import asdict

    path = folder / "rows.json"
    if not path.is_file():
        return False
    header = json.loads(path.read_text(encoding="utf-8"))
    wanted = {"size": size, "margin": margin, "clips": [asdict(r) for r in planned]}
    return bool(header == wanted)
