"""``lipwright prepare``: raw videos to a corpus, resumable, with a reason for every rejection.

The steps are pure functions from row to row (see :mod:`lipwright.data.rows`), run one after another
over all sources. What a step gave is appended to ``steps/<n>-<step>.jsonl`` at once, so that an
interrupted run loses at most the rows in work. At the end come the manifest (one line per clip),
the statistics page, the packed arrays that training reads and, if wanted, shards.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.data import cut as cutting
from lipwright.data import finish as finishing
from lipwright.data import judge as judging
from lipwright.data import sources as finding
from lipwright.data import sync as syncing
from lipwright.data import words as listed
from lipwright.data.labels import Label, check_split, default_label, read_labels
from lipwright.data.pack import pack_corpus
from lipwright.data.page import write_page
from lipwright.data.portraits import portraits
from lipwright.data.predictor import fit
from lipwright.data.rows import (
    PrepareSettings,
    Row,
    StepContext,
    append_row,
    drop_partial_last_line,
    keep_settings,
    read_rows,
)
from lipwright.data.shards import write_shards
from lipwright.data.sources import find_sources, new_row
from lipwright.data.statistics import statistics
from lipwright.data.workers import FAILED, StepFunction, Workers
from lipwright.data.workers import workers as make_workers
from lipwright.errors import LipwrightError
from lipwright.faces.landmarks import best_network
from lipwright.files.whole import write_json, write_text, written_whole
from lipwright.lock import OutputLock

log = logging.getLogger("lipwright.prepare")

read_manifest = read_rows
"""Rows of ``manifest.jsonl``, one per clip or rejected source."""

STEPS: tuple[tuple[str, StepFunction], ...] = (
    ("probe", finding.probe),
    ("listen", finding.listen),
    ("cut", cutting.cut),
    ("judge", judging.judge),
    ("sync", syncing.sync),
    ("words", listed.words),
    ("finish", finishing.finish),
)
DUPLICATE = "duplicate"
COARSE_LANDMARKS = "landmarks-468"

Progress = Callable[[str, int, int], None]
Labels = Callable[[str], Label]
"""Label of a source, by its path."""


@dataclass(frozen=True)
class PrepareOptions:
    """How a preparation is run, beside its settings.

    Attributes:
        labels: CSV with the columns file, identity, split (see :mod:`lipwright.data.labels`).
        workers: processes.
        ray: address of a Ray cluster, instead of processes.
        expert: folder of a training run whose sync expert judges offsets.
        words: file of words whose pieces are left out.
        pack: write the packed arrays at the end.
        shards: write WebDataset shards at the end.
        lips: the lip motion that the shipped speech network predicts judges offsets.
    """

    labels: Path | None = None
    workers: int = 2
    ray: str | None = None
    expert: Path | None = None
    words: Path | None = None
    pack: bool = True
    shards: bool = False
    lips: bool = False


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
    settings: PrepareSettings | None = None,
    options: PrepareOptions | None = None,
    progress: Progress = lambda step, done, total: None,
) -> PrepareSummary:
    """Make or continue the corpus ``out``.

    Args:
        sources: video files, or folders that are searched for them.
        out: the corpus folder.
        settings: crop sizes and limits; a corpus keeps the settings that it was begun with.
        options: see :class:`PrepareOptions`.
        progress: called with a step's name, the sources (clips, from packing on) that it has done
            and those that it has to do.

    Raises:
        LipwrightError: no source found, settings differ from the corpus', labels, words or expert
            unusable, nothing accepted.
    """
    settings, options = settings or PrepareSettings(), options or PrepareOptions()
    files = find_sources(sources)
    table = read_labels(options.labels) if options.labels is not None else {}
    work = StepContext(
        str(out.resolve()),
        settings,
        str(options.expert.resolve()) if options.expert else "",
        listed.read_words(options.words) if options.words else (),
        options.lips,
    )
    if work.expert and work.lips:
        raise LipwrightError("either an expert or --lips judges offsets; leave out one of them.")
    if work.lips:
        from lipwright.data.sync_lips import predictor

        predictor()  # say now what is missing, not hours later
    if work.expert:
        from lipwright.data.sync_expert import load_judge

        load_judge(work.expert)  # say now what is missing, not hours later
    warn_of_coarse_lips()
    for folder in (work.clips, work.scratch, out / "steps"):
        folder.mkdir(parents=True, exist_ok=True)
    keep_settings(out, settings)
    with OutputLock(out.resolve()), make_workers(options.workers, options.ray) as pool:
        for half_written in (*work.clips.glob(".*.part*"), *work.scratch.glob("*.part*")):
            half_written.unlink(missing_ok=True)
        known = _labels(out / "manifest.jsonl", table)
        rows = run_steps([new_row(f) for f in files], work, pool, progress, known)
        others = _others(out / "steps", {str(f) for f in files})
        clips = write_manifest(out, rows + others, known)
        numbers = statistics(rows + others, clips)
        write_json(out / "statistics.json", numbers)
        people = portraits(work.clips, clips, settings)
        write_page(out / "statistics.html", numbers, people)
        _tidy_up(rows, work)
        if options.pack:
            pack_corpus(out, clips, settings, partial(progress, "pack"))
        if options.shards:
            write_shards(out, clips, progress=partial(progress, "shards"))
    accepted = [c for c in clips if not c["reason"]]
    return PrepareSummary(
        sources=len({c["source"] for c in clips}),
        clips=len(accepted),
        minutes=round(sum(int(c["frames"]) for c in accepted) / 25 / 60, 1),
        identities=len({c["identity"] for c in accepted}),
        rejected=reasons(clips),
    )


def warn_of_coarse_lips() -> None:
    """Say so before hours of work where the better landmark network is not at hand."""
    name, _ = best_network()
    if name == COARSE_LANDMARKS:
        log.warning(
            "face_landmarker.task is not here and could not be fetched, so faces are measured by "
            "the network of 468 points, which follows the inner lips only coarsely; speech "
            "networks trained on this corpus will be worse. Put the file into the folder that "
            "LIPWRIGHT_MODELS names"
        )


def run_steps(
    rows: list[Row], work: StepContext, pool: Workers, progress: Progress, known: Labels
) -> list[Row]:
    """Take rows through all steps; those that a step has on record are not done again."""
    steps = Path(work.folder) / "steps"
    finished = {row["source"] for row in read_rows(_step_file(steps, len(STEPS) - 1))}
    for number, (name, step) in enumerate(STEPS):
        path = _step_file(steps, number)
        drop_partial_last_line(path)
        done = {str(row["source"]): row for row in read_rows(path) if not _failed(row)}
        todo = [r for r in rows if not r["reason"] and r["source"] not in done]
        if name == "sync" and todo:
            _fit_predictor(rows, work)
        if todo:
            progress(name, 0, len(todo))
        for count, row in enumerate(pool.map(step, todo, work), start=1):
            append_row(path, row)
            done[str(row["source"])] = row
            progress(name, count, len(todo))
            if name == "finish" and not _failed(row):
                finishing.tidy(row, work)
        rows = [r if r["reason"] else done[str(r["source"])] for r in rows]
        if name == "probe":
            rows = without_duplicates(rows, finished)
        if name == "sync":
            rows = syncing.follow_identity(rows, lambda r: known(r["source"]).identity, work)
    return rows


def _failed(row: Row) -> bool:
    """Whether a step broke down on a row; the next run tries again."""
    return str(row["reason"]).startswith(FAILED)


def _tidy_up(rows: list[Row], work: StepContext) -> None:
    """Remove the scratch files of rows that are done with."""
    for row in rows:
        if not _failed(row):
            finishing.tidy(row, work)
    with contextlib.suppress(OSError):  # rows that failed keep theirs for the next run
        work.scratch.rmdir()


def without_duplicates(rows: list[Row], finished: set[str]) -> list[Row]:
    """Reject files with the same content as another; one that is finished already stays."""
    first: dict[str, str] = {}
    out = {}
    for row in sorted(rows, key=lambda r: (r["source"] not in finished, r["source"])):
        if not row["reason"]:
            original = first.setdefault(str(row["sha256"]), str(row["source"]))
            if original != row["source"]:
                row = {**row, "reason": f"{DUPLICATE}: same content as {original}"}
        out[row["source"]] = row
    return [out[row["source"]] for row in rows]


def _labels(manifest: Path, table: dict[str, Label]) -> Labels:
    """The label of a source: the table's, else that of an earlier run, else one by its name."""
    earlier = {
        str(c["source"]): Label(c["identity"], c["split"], c.get("language", ""))
        for c in read_rows(manifest)
    }
    return lambda source: table.get(source) or earlier.get(source) or default_label(Path(source))


def write_manifest(out: Path, rows: list[Row], known: Labels) -> list[Row]:
    """Write ``manifest.jsonl``, one line per clip or rejected source, and give its rows.

    Raises:
        LipwrightError: an identity would be in both splits.
    """
    labels = {str(r["source"]): known(r["source"]) for r in rows}
    check_split(labels.values(), "the corpus")
    clips = [
        {**clip, **asdict(labels[str(row["source"])])}
        for row in sorted(rows, key=lambda r: str(r["source"]))
        for clip in _clips_of(row)
    ]
    write_text(out / "manifest.jsonl", "".join(json.dumps(clip) + "\n" for clip in clips))
    return clips


def _clips_of(row: Row) -> list[Row]:
    """Manifest rows of a source: its pieces, or itself when all of it was rejected."""
    if row["reason"] or not row["pieces"]:
        nothing = {"clip": row["name"], "start": 0.0, "frames": 0, "face_height": 0.0}
        return [{**nothing, "source": row["source"], "reason": row["reason"]}]
    of_source: Row = {k: row[k] for k in ("fps", "width", "height") if k in row}
    shown = ({k: v for k, v in piece.items() if k != "curve"} for piece in row["pieces"])
    return [{**piece, "source": row["source"], **of_source} for piece in shown]


def _others(steps: Path, given: set[str]) -> list[Row]:
    """Sources of earlier runs that are done with, and were not given this time."""
    last: dict[str, Row] = {}
    for number in range(len(STEPS)):
        for row in read_rows(_step_file(steps, number)):
            done = (row["reason"] and not _failed(row)) or number == len(STEPS) - 1
            if done and row["source"] not in given:
                last[str(row["source"])] = row
    return list(last.values())


def _step_file(steps: Path, number: int) -> Path:
    return steps / f"{number}-{STEPS[number][0]}.jsonl"


def _fit_predictor(rows: list[Row], work: StepContext) -> None:
    """Learn how lips follow the sound, once for a corpus, unless an expert is at hand."""
    path = Path(work.folder) / syncing.PREDICTOR_FILE
    if work.expert or work.lips or path.is_file():
        return
    # Rows that an earlier run took further have lost their scratch files.
    weights = fit((r for r in rows if finding.sound_path(work, r).is_file()), work)
    if weights is None:
        log.info("too few frames to learn how lips follow sound; judging by the loudness alone")
        return
    with written_whole(path) as temporary:
        np.save(temporary, weights)


def reasons(clips: list[Row]) -> dict[str, int]:
    """Rejected clips by the first part of their reason, most frequent first."""
    found = Counter(str(c["reason"]).split(":")[0] for c in clips if c["reason"])
    return dict(found.most_common())


def planned(sources: Iterable[Path], out: Path) -> dict[str, Any]:
    """What a run would do, without writing anything.

    Returns:
        ``sources``, ``finished``, ``unreadable``, ``minutes`` and ``frames`` at 25 fps still to be
        done.

    Raises:
        LipwrightError: no source found.
    """
    from lipwright.data.workers import attempt

    files = find_sources(sources)
    done = {str(r["source"]) for r in _others(out / "steps", set())}
    todo = [f for f in files if str(f) not in done]
    work = StepContext(str(out), PrepareSettings())
    rows = [attempt(finding.probe, new_row(f), work) for f in todo]
    usable = [r for r in without_duplicates(rows, done) if not r["reason"]]
    seconds = sum(float(r["seconds"] or 0.0) for r in usable)
    return {
        "sources": len(files),
        "finished": len(files) - len(todo),
        "rejected": reasons([r for r in rows if r["reason"]]),
        "usable": len(usable),
        "minutes": round(seconds / 60, 1),
        "frames": round(seconds * 25),
    }
