"""What ``lipwright prepare`` shows: progress by step, the summary, and the dry run."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft

from lipwright.cli.text import duration
from lipwright.data.labels import read_labels
from lipwright.data.page import counted
from lipwright.data.prepare import PrepareOptions, planned, prepare
from lipwright.data.rows import PrepareSettings
from lipwright.data.sources import find_sources
from lipwright.errors import Interrupted

TITLES = {
    "probe": "Looking at the sources",
    "listen": "Listening for speech",
    "cut": "Cutting faces",
    "judge": "Judging",
    "sync": "Comparing lips and sound",
    "words": "Reading transcripts",
    "finish": "Writing sound and features",
    "pack": "Packing",
    "shards": "Writing shards",
}
STEP = 10  # percent between two lines where there is no terminal
TIMES_REAL_TIME = 1.8
"""A rough figure for one core at rest and 1080p, all steps; see benchmarks/prepare_speed.py."""
START_SECONDS = 8
"""What starting the processes and loading the networks costs, however little there is to do."""
CROP_BYTES, PACKED_BYTES = 6_000, 66_000


class _ConsoleHandler(logging.Handler):
    """Prints what data preparation logs above the bars instead of across them."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._to = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        self._to.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)


class Steps:
    """Progress of a preparation: one bar a step on a terminal, lines anywhere else."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._shown: dict[str, int] = {}
        self._logger = logging.getLogger("lipwright")
        self._handler = _ConsoleHandler(self._console)
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(*columns, TimeLeft(), console=self._console)

    def __enter__(self) -> Steps:
        if self._bar is not None:
            self._bar.start()
        self._logger.addHandler(self._handler)
        self._logger.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._handler)
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Told by the preparation."""
        title = TITLES[step]
        if self._bar is not None:
            if step not in self._tasks:
                self._tasks[step] = self._bar.add_task(title, total=total)
            self._bar.update(self._tasks[step], completed=done)
            return
        percent = 100 * done // max(total, 1)
        if percent >= self._shown.get(step, -STEP) + STEP:
            self._shown[step] = percent - percent % STEP
            self._console.print(f"{title}: {done} of {total}", highlight=False)


def run(sources: list[Path], out: Path, settings: PrepareSettings, options: PrepareOptions) -> None:
    """Prepare, and say what came of it."""
    try:
        with Steps() as steps:
            summary = prepare(sources, out, settings, options, steps)
    except KeyboardInterrupt:
        raise Interrupted(
            "The preparation was interrupted; the same command goes on from there."
        ) from None
    print(
        f"{summary.clips} {counted(summary.clips, 'clip', 'clips')}, {summary.minutes} minutes, "
        f"{summary.identities} {counted(summary.identities, 'person', 'people')} from "
        f"{summary.sources} {counted(summary.sources, 'source', 'sources')} in {out}"
    )
    for reason, count in summary.rejected.items():
        print(f"rejected {count}: {reason}")
    print(f"statistics: {out / 'statistics.html'}")


def dry_run(sources: list[Path], out: Path, workers: int, labels: Path | None = None) -> None:
    """Say what would be done, how long it may take and how much room it needs."""
    plan = planned(sources, out)
    if labels is not None:
        table = read_labels(labels)
        known = sum(str(path) in table for path in find_sources(sources))
        print(f"{known} of {plan['sources']} sources have a label in {labels}")
    print(f"{plan['sources']} sources, of which {plan['finished']} are finished in {out}")
    for reason, count in plan["rejected"].items():
        print(f"would be rejected at once {count}: {reason}")
    print(f"{plan['usable']} to be prepared: {plan['minutes']} minutes")
    if plan["usable"] == 0:
        return
    busy = min(workers, os.cpu_count() or workers)
    seconds = START_SECONDS + plan["minutes"] * 60 / TIMES_REAL_TIME / busy
    space = plan["frames"] * (CROP_BYTES + PACKED_BYTES) / 1e9
    print(
        f"roughly {duration(seconds)} with {workers} processes on a machine without other work, "
        f"and up to {max(space, 0.1):.1f} GB of disk"
    )
