"""Accepted clips as WebDataset shards: plain tar files whose members share a key per sample.

``shards/<split>-000000.tar`` holds for each clip ``<clip>.mp4`` (crops), ``<clip>.flac`` (speech at
16 kHz), ``<clip>.npz`` (mel and mouth measures), ``<clip>.json`` (its manifest row) and, where the
source has it, ``<clip>.hd.mp4``. Any reader of tar files can use them, in order, over a network.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from lipwright.data.rows import Row
from lipwright.files.whole import written_whole

LARGEST = 512 * 2**20


def write_shards(
    out: Path,
    rows: list[Row],
    largest: int = LARGEST,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write the shards of a corpus anew.

    Args:
        out: the corpus.
        rows: manifest rows of clips; rejected ones are left out.
        largest: bytes after which the next shard is begun.
        progress: called with the clips that are done, and all of them.

    Returns:
        The files, train before val.
    """
    folder = out / "shards"
    folder.mkdir(exist_ok=True)
    for old in (*folder.glob("*.tar"), *folder.glob(".*.part*")):
        old.unlink()
    written: list[Path] = []
    accepted = sorted((r for r in rows if not r["reason"]), key=lambda r: str(r["clip"]))
    progress(0, len(accepted))
    counted = itertools.count(1)

    def count_clip() -> None:
        progress(next(counted), len(accepted))

    for split in sorted({str(r["split"]) for r in accepted}):
        chosen = [r for r in accepted if r["split"] == split]
        number = 0
        while chosen:
            path = folder / f"{split}-{number:06d}.tar"
            written_clips = _write(path, out / "clips", chosen, largest, count_clip)
            chosen = chosen[written_clips:]
            written.append(path)
            number += 1
    return written


def _write(
    path: Path, clips: Path, rows: list[Row], largest: int, count_clip: Callable[[], None]
) -> int:
    """Fill one shard; how many rows went in (at least one), ``count_clip`` is called for each."""
    count = 0
    with written_whole(path) as temporary, tarfile.open(temporary, "w") as tar:
        for row in rows:
            if count and tar.offset > largest:
                break
            clip = str(row["clip"])
            for suffix in (".mp4", ".hd.mp4", ".flac", ".npz"):
                member = clips / f"{clip}{suffix}"
                if member.is_file():
                    _add(tar, member.name, member.read_bytes())
            shown = {k: v for k, v in row.items() if k != "source"}
            _add(tar, f"{clip}.json", json.dumps(shown).encode())
            count += 1
            count_clip()
    return count


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Members carry no time and no owner, so that the same corpus gives the same shard."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
