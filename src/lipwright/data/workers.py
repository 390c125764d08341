"""Where the steps run: in this process, in several, or on a Ray cluster.

The functions are the same everywhere. Every job is (step, row); the answers come in the order in
which they are finished. A source that fails in an unforeseen way is rejected with the failure as
its reason, so that one bad file among thousands does not end a run.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Self

from lipwright.data.rows import Row, StepContext
from lipwright.errors import LipwrightError
from lipwright.ray_cluster import RayCluster

log = logging.getLogger("lipwright.prepare")

FAILED = "failed"
"""How the reason of a row begins on which a step broke down."""

IN_FLIGHT = 4
"""Jobs handed out ahead for every processor of a cluster."""

StepFunction = Callable[[Row, StepContext], Row]


class Workers:
    """Runs a step on many rows. A context manager."""

    def map(self, step: StepFunction, rows: Iterable[Row], work: StepContext) -> Iterator[Row]:
        """The rows after the step, as they are finished."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


def attempt(step: StepFunction, row: Row, work: StepContext) -> Row:
    """One step on one row; what goes wrong becomes the row's reason."""
    try:
        return step(row, work)
    except LipwrightError as error:
        return {**row, "reason": f"unusable: {error}"}
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        log.exception("step %s failed on %s", step.__name__, row["source"])
        return {**row, "reason": f"{FAILED}: {step.__name__}: {type(error).__name__}: {error}"}


def quiet_worker() -> None:
    """Workers are the parallelism; threads inside them would only fight."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends them
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _one_thread()


def _end_with_parent() -> None:
    """A worker whose parent was killed must not go on writing beside the next run's."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class SerialWorkers(Workers):
    """One after the other, in this process."""

    def map(self, step: StepFunction, rows: Iterable[Row], work: StepContext) -> Iterator[Row]:
        """See :class:`Workers`."""
        for row in rows:
            yield attempt(step, row, work)


class Processes(Workers):
    """Several processes of this machine."""

    def __init__(self, count: int) -> None:
        self.count = count
        # Fresh processes: a fork would inherit locks held by the threads of torch and OpenVINO.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, initializer=quiet_worker)

    def map(self, step: StepFunction, rows: Iterable[Row], work: StepContext) -> Iterator[Row]:
        """See :class:`Workers`."""
        waiting = iter(rows)
        running: set[Future[Row]] = set()
        try:
            while True:
                for row in islice(waiting, 2 * self.count - len(running)):
                    running.add(self._pool.submit(attempt, step, row, work))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for job in done:
                    yield job.result()
        except BrokenProcessPool as error:
            raise LipwrightError(
                "a worker process was ended from outside, perhaps for want of memory; run the "
                "same command again to go on, with fewer --workers if it recurs."
            ) from error

    def __exit__(self, *_: object) -> None:
        """End the workers; jobs that have not begun are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class RayWorkers(RayCluster, Workers):
    """The workers of a Ray cluster, whose machines see the corpus under the same paths."""

    def map(self, step: StepFunction, rows: Iterable[Row], work: StepContext) -> Iterator[Row]:
        """See :class:`Workers`."""
        submit = self.task(_ray_attempt)
        limit = max(2, IN_FLIGHT * self.cpus)
        waiting = iter(rows)
        running: list[Any] = []
        while True:
            running.extend(submit(step, row, work) for row in islice(waiting, limit - len(running)))
            if not running:
                return
            done, running = self.ray.wait(running)
            for reference in done:
                yield self.result(reference)


def _ray_attempt(step: StepFunction, row: Row, work: StepContext) -> Row:
    _one_thread()
    return attempt(step, row, work)


def _one_thread() -> None:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def workers(count: int, ray: str | None = None) -> Workers:
    """The place to run: a Ray cluster if an address is given, else processes, one of them here."""
    if ray:
        return RayWorkers(ray)
    return SerialWorkers() if count == 1 else Processes(count)
