"""``lipwright prepare``: raw videos to a corpus, resumable, with a reason for every rejection.

Each source file is one job; its manifest rows are appended when its clips are on disk, so that an
interrupted run loses at most the files in work and a second run does only what is missing. Jobs
run in parallel processes. At the end the accepted clips are packed into plain arrays
(:mod:`lipwright.data.packed`), which is all that training reads.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.data.extract import ExtractSettings, extract, read_crops
from lipwright.data.labels import default_label, read_labels
from lipwright.data.packed import ClipRow, write_rows
from lipwright.errors import LipwrightError

log = logging.getLogger("lipwright.prepare")

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v", ".ts"}


@dataclass(frozen=True)
class PrepareSummary:
    """Counts of a finished preparation."""

    sources: int
    clips: int
    minutes: float
    identities: int
    rejected: dict[str, int]


def prepare(
    sources: Iterable[Path],
    out: Path,
    labels: Path | None = None,
    settings: ExtractSettings | None = None,
    workers: int = 2,
    pack: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> PrepareSummary:
    """Cut all sources into ``out/clips``, record them in ``out/manifest.jsonl``, pack them.

    Args:
        sources: video files, or folders that are searched for them.
        out: the corpus folder; made if missing, continued if not.
        labels: CSV with the columns file, identity, split (see :mod:`lipwright.data.labels`).
        settings: crop size and limits; a corpus keeps the settings that it was begun with.
        workers: processes.
        pack: write the packed arrays at the end.
        progress: called with (sources done, sources in all).

    Raises:
        LipwrightError: no source found, settings differ from the corpus', labels unreadable.
    """
    settings = settings or ExtractSettings()
    files = find_sources(sources)
    table = read_labels(labels) if labels is not None else {}
    (out / "clips").mkdir(parents=True, exist_ok=True)
    _keep_settings(out, settings)
    manifest = out / "manifest.jsonl"
    done = {str(row["source"]) for row in read_manifest(manifest)}
    todo = [f for f in files if str(f) not in done]
    finished = len(files) - len(todo)
    for source, found in _run(todo, out / "clips", settings, workers):
        label = table.get(str(source), default_label(source))
        with manifest.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({**row, **asdict(label)}) + "\n" for row in found)
        finished += 1
        if progress is not None:
            progress(finished, len(files))
    rows = read_manifest(manifest)
    if pack:
        pack_corpus(out, rows, settings)
    accepted = [r for r in rows if not r["reason"]]
    reasons = Counter(str(r["reason"]).split(":")[0] for r in rows if r["reason"])
    return PrepareSummary(
        sources=len({r["source"] for r in rows}),
        clips=len(accepted),
        minutes=round(sum(int(r["frames"]) for r in accepted) / 25 / 60, 1),
        identities=len({r["identity"] for r in accepted}),
        rejected=dict(reasons),
    )


def _run(
    todo: list[Path], out: Path, settings: ExtractSettings, workers: int
) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Sources with their manifest rows, in the order in which they are finished."""
    if workers == 1:
        for source in todo:
            yield source, _job(source, clip_name(source), out, settings)
        return
    # Fresh processes: a fork would inherit locks held by the threads of torch and OpenVINO.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_one_thread) as pool:
        jobs = {pool.submit(_job, f, clip_name(f), out, settings): f for f in todo}
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def find_sources(sources: Iterable[Path]) -> list[Path]:
    """Video files among and below the given paths, sorted, absolute.

    Raises:
        LipwrightError: a path does not exist, or nothing was found.
    """
    found: set[Path] = set()
    for path in sources:
        if path.is_dir():
            found |= {p.resolve() for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES}
        elif path.is_file():
            found.add(path.resolve())
        else:
            raise LipwrightError(f"the source {path} does not exist; check the path.")
    if not found:
        raise LipwrightError("no video file was found in the given sources; check the paths.")
    return sorted(found)


def clip_name(source: Path) -> str:
    """A short unique name: the file's own, cut, plus a hash of its full path."""
    digest = hashlib.sha256(str(source).encode()).hexdigest()[:8]
    plain = "".join(c if c.isalnum() else "_" for c in source.stem)[:40]
    return f"{plain}_{digest}"


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """Rows of a manifest; a last line cut off by a crash is ignored."""
    rows: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                log.warning("ignored a broken line of %s", path)
    return rows


def _job(source: Path, clip: str, out: Path, settings: ExtractSettings) -> list[dict[str, Any]]:
    """One source in a worker; an unreadable source is a rejection, not a failure."""
    try:
        return [piece.row() for piece in extract(source, clip, out, settings)]
    except LipwrightError as error:
        reason = f"unusable: {error}"
        return [
            {
                "clip": clip,
                "source": str(source),
                "start": 0.0,
                "frames": 0,
                "face_height": 0.0,
                "reason": reason,
            }
        ]


def _one_thread() -> None:
    """Workers are the parallelism; threads inside them would only fight."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _keep_settings(out: Path, settings: ExtractSettings) -> None:
    path = out / "settings.json"
    ours = asdict(settings)
    if path.is_file():
        theirs = json.loads(path.read_text(encoding="utf-8"))
        if theirs != ours:
            changed = next(k for k in ours if ours[k] != theirs.get(k))
            raise LipwrightError(
                f"the corpus {out} was begun with {changed}={theirs.get(changed)}, not "
                f"{ours[changed]}; use the same settings or another folder."
            )
    else:
        path.write_text(json.dumps(ours), encoding="utf-8")


def pack_corpus(out: Path, rows: list[dict[str, Any]], settings: ExtractSettings) -> None:
    """Write ``out/packed`` from the accepted clips (see :mod:`lipwright.data.packed`).

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
    (folder / "rows.json").unlink(missing_ok=True)
    side = settings.size + 2 * settings.margin
    total = sum(int(r["frames"]) for r in accepted)
    frames = np.lib.format.open_memmap(
        folder / "frames.npy", mode="w+", dtype=np.uint8, shape=(total, side, side, 3)
    )
    mels, openings, lips, packed = [], [], [], []
    start = column = 0
    for row in accepted:
        stem = out / "clips" / str(row["clip"])
        crops = read_crops(stem.with_suffix(".mp4"))
        frames[start : start + len(crops)] = crops
        with np.load(stem.with_suffix(".npz")) as features:
            mels.append(features["mel"].T)
            openings.append(features["opening"])
            lips.append(features["lips"])
        packed.append(
            ClipRow(
                clip=str(row["clip"]),
                identity=str(row["identity"]),
                split=str(row["split"]),
                source=str(row["source"]),
                start=start,
                frames=len(crops),
                column=column,
                columns=len(mels[-1]),
            )
        )
        start += len(crops)
        column += len(mels[-1])
    frames.flush()
    np.save(folder / "mel.npy", np.concatenate(mels))
    np.savez(
        folder / "features.npz",
        opening=np.concatenate(openings),
        lips=np.concatenate(lips),
    )
    write_rows(folder, packed, settings.size, settings.margin)
