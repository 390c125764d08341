"""How far a long job is: a bar on a terminal, a line now and then anywhere else.

Everything goes to standard error, so that standard output keeps what a program may read.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from lipwright.cli.text import clock
from lipwright.dubbing.observer import QuietObserver
from lipwright.printable import printable

TITLES = {
    "load": "Loading",
    "plan": "Looking for faces",
    "listen": "Listening to the speech",
    "render": "Drawing mouths",
    "join": "Writing the file",
    "compare": "Writing the comparison",
}
STEP, SHORT_STEP = 10, 25
"""Percent between two lines where there is no terminal, of long and of short stages."""
PATIENCE = 2.0
"""Seconds before a counter of frames shows itself."""
SHORT = 1500
"""A stage of fewer frames than this, a minute at 25 frames/s, is short."""


class Elapsed(ProgressColumn):
    """``0:12 elapsed``: a time that says which one it is, on one line however narrow it gets."""

    def get_table_column(self) -> Column:
        """See rich."""
        return Column(no_wrap=True)

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text(f"{clock(task.elapsed or 0.0)} elapsed", style="progress.elapsed")


def _bar(console: Console) -> Progress:
    """With a title, how far it is in words, and the time that went by; gone at the end."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[detail]}"),
        Elapsed(),
        console=console,
        transient=True,
    )


class DubProgress:
    """Observer of a dub: frames, frames per second and the time left of each stage.

    A context manager; leaving it, in whatever way, leaves the terminal as it was.

    Attributes:
        notices: the notices so far, which the closing lines need not repeat.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.notices: list[str] = []
        self._console = console or Console(file=sys.stderr)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._shown = 0
        if self._console.is_terminal:
            self._bar = _bar(self._console)

    def __enter__(self) -> DubProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def progress(self, stage: str, done: int, total: int | None, fps: float) -> None:
        """Told by the job: ``done`` of ``total`` frames of a stage, at ``fps`` now.

        A stage that does not count frames is told of once, as 0 of None.
        """
        title = TITLES.get(stage, stage.capitalize())
        counted = total is not None or done > 0
        if stage != self._stage:
            self._stage, self._shown = stage, 0
            if self._bar is not None:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(title, total=None, detail="")
            elif not counted:
                self._console.print(f"{title} ...", highlight=False)
        detail = describe(done, total, fps) if counted else ""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, detail=detail)
        elif total:
            step = SHORT_STEP if total < SHORT else STEP
            percent = min(100, 100 * done // total)
            if percent >= self._shown + step:
                self._shown = percent - percent % step
                self._console.print(f"{title}: {percent} %, {detail}", highlight=False)

    def notice(self, line: str) -> None:
        """Told by the job before the work begins: something that the user should read."""
        self.notices.append(line)
        shown = printable(line)
        self._console.print(shown, highlight=False, markup=False, soft_wrap=True)


class QuietProgress(QuietObserver):
    """Prints what has to be said, such as that a mark is left out, and no progress.

    Attributes:
        notices: empty, for all warnings are among the closing lines.
    """

    notices: Collection[str] = ()

    def notice(self, line: str) -> None:
        """Print the line on standard error."""
        print(printable(line), file=sys.stderr)


@contextmanager
def dub_progress(quiet: bool) -> Iterator[DubProgress | QuietProgress]:
    """The observer of a command that dubs, which shows already that PyTorch is loaded: seconds."""
    if quiet:
        yield QuietProgress()
        return
    with DubProgress() as observer:
        observer.progress("load", 0, None, 0.0)
        yield observer


def describe(done: int, total: int | None, fps: float) -> str:
    """``120 of 500 frames, 24.3 frames/s, 0:16 left``, as far as it is known."""
    parts = [f"{done} of {total} frames" if total else f"{done} frames"]
    if fps > 0:
        parts.append(f"{fps:.1f} frames/s")
        if total and total > done:
            parts.append(f"{clock((total - done) / fps)} left")
    return ", ".join(parts)


@contextmanager
def counter(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for anything that is counted; gives a function to call with (done, total)."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda done, total: console.print(f"{title}: {done} of {total} {unit}")
        return
    with _bar(console) as bar:
        task = bar.add_task(title, total=None, detail="")
        yield lambda done, total: bar.update(
            task, completed=done, total=total, detail=f"{done} of {total} {unit}"
        )


@contextmanager
def frame_counter(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """Frames of work that is usually short: nothing is shown in the first seconds.

    Gives a function to call with the number of frames that are done, and of how many, if known.
    """
    console = Console(file=sys.stderr)
    began = time.monotonic()
    bar = _bar(console)
    task = bar.add_task(title, total=None, detail="")
    shown = 0

    def tell(done: int, total: int | None) -> None:
        nonlocal shown
        if time.monotonic() - began < PATIENCE:
            return
        detail = describe(done, total, 0.0)
        if console.is_terminal:
            bar.start()
            bar.update(task, completed=done, total=total, detail=detail)
        elif total and 100 * done // total >= shown + SHORT_STEP:
            shown = 100 * done // total // SHORT_STEP * SHORT_STEP
            console.print(f"{title}: {detail}", highlight=False)

    try:
        yield tell
    finally:
        if console.is_terminal:
            bar.stop()
