"""What ``lipwright prepare`` shows: progress by step, the summary, and the dry run."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft

from lipwright.cli.text import duration
from lipwright.data.prepare import PrepareOptions, planned, prepare
from lipwright.data.rows import PrepareSettings

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
TIMES_REAL_TIME = 2.5
"""A rough figure for one core at 1080p; see benchmarks/prepare_speed.py."""
CROP_BYTES, PACKED_BYTES = 6_000, 66_000


class Steps:
    """Progress of a preparation: one bar a step on a terminal, lines anywhere else."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._shown: dict[str, int] = {}
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(*columns, TimeLeft(), console=self._console)

    def __enter__(self) -> Steps:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
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
    with Steps() as steps:
        summary = prepare(sources, out, settings, options, steps)
    print(
        f"{summary.clips} clips, {summary.minutes} minutes, {summary.identities} identities "
        f"from {summary.sources} sources in {out}"
    )
    for reason, count in summary.rejected.items():
        print(f"rejected {count}: {reason}")
    print(f"statistics: {out / 'statistics.html'}")


def dry_run(sources: list[Path], out: Path, workers: int) -> None:
    """Say what would be done, how long it may take and how much room it needs."""
    plan = planned(sources, out)
    print(f"{plan['sources']} sources, of which {plan['finished']} are finished in {out}")
    for reason, count in plan["rejected"].items():
        print(f"would be rejected at once {count}: {reason}")
    print(f"{plan['usable']} to be prepared: {plan['minutes']} minutes")
    seconds = plan["minutes"] * 60 / TIMES_REAL_TIME / workers
    space = plan["frames"] * (CROP_BYTES + PACKED_BYTES) / 1e9
    print(f"roughly {duration(seconds)} with {workers} processes, and up to {space:.1f} GB of disk")
