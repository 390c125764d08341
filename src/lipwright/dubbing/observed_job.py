"""What every job tells: its stages, how far it is, what its user should read, how long it took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from lipwright.dubbing.observer import Observer, QuietObserver, Stage
from lipwright.dubbing.report import Report
from lipwright.dubbing.speed import Speed


class ObservedJob:
    """Base of a job with an observer and a report.

    Args:
        observer: is told, if there is one.
        report: gets the warnings and the timings.
    """

    def __init__(self, observer: Observer | None, report: Report) -> None:
        self.observer, self.report = observer, report
        self._explains = not isinstance(observer, QuietObserver)

    def _say(self, sentences: list[str]) -> None:
        """What the user should know before the work begins, and find in the report."""
        self.report.warnings += sentences
        if self._explains:
            for sentence in sentences:
                self._notice(sentence)

    def _notice(self, line: str) -> None:
        if self.observer is not None:
            self.observer.notice(line)

    def _begin_stage(self, stage: Stage) -> None:
        """Tell of a stage that counts no frames."""
        if self.observer is not None:
            self.observer.progress(stage, 0, None, 0.0)

    def _progress(self, stage: Stage, start: int = 0) -> Callable[..., None]:
        """Called with the number of frames done, and all of them where that is known."""
        speed = Speed()
        speed.update(start)
        total_frames: list[int | None] = [None]

        def progress(done: int, total: int | None = None) -> None:
            if self.observer is None:
                return
            total_frames[0] = total or total_frames[0] or self.report.frames or None
            self.observer.progress(stage, done, total_frames[0], speed.update(done))

        return progress

    @contextlib.contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.report.timings[stage] = round(time.perf_counter() - began, 3)
