"""A worker process that draws with a tiny method and a scripted tracker."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from lipwright.batch import worker
from lipwright.dubbing import job as job_segments
from lipwright.dubbing.dubber import Dubber
from tests.dubbing.clips import ScriptedTracker
from tests.dubbing.test_job import Talker, face

DIES = "LIPWRIGHT_TEST_WORKER_DIES"
"""A file; the first worker that finds it removes it and dies."""


class Mortal(Talker):
    def render(self, *arguments: Any) -> Any:
        with suppress(OSError):  # the other worker may have been faster
            Path(os.environ.get(DIES, "")).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().render(*arguments)


def begin(threads: int) -> None:
    worker.begin(threads)
    use_the_tiny_method()


def use_the_tiny_method() -> None:
    """For all dubs of this process."""
    Dubber._face_tracker = lambda self: ScriptedTracker(face)  # type: ignore[assignment,method-assign,return-value]
    Dubber.method = lambda self, options=None: Mortal()  # type: ignore[method-assign,assignment]


def work_in_cluster(job: Any, *rest: Any) -> Any:
    use_the_tiny_method()
    job_segments.segment_frames = lambda info: 24
    return worker.work_in_cluster(job, *rest)


def work(job: Any, *rest: Any) -> Any:
    if job.number == 2:
        os._exit(9)
    return worker.run_job(worker._dubber[0], job, *rest)
