"""Run what is missing of a table of jobs.

Jobs of the same video run one after another as far as possible, and the first of them alone: it
makes the plan of the video, which the others read from the cache.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipwright.batch import worker
from lipwright.batch.record import Outcome, Record, identity_of
from lipwright.batch.table import BatchJob
from lipwright.dubbing.dubber import Dubber
from lipwright.dubbing.observer import Observer
from lipwright.dubbing.options import DubOptions
from lipwright.errors import Interrupted, LipwrightError
from lipwright.lock import OutputLock
from lipwright.methods.runtime import cores

ProgressFunction = Callable[[BatchJob, Outcome | None], None]


@dataclass
class BatchResult:
    """How a batch ended.

    Attributes:
        outcomes: by job, in the order of the table.
        skipped: numbers of the jobs that were done before.
    """

    outcomes: list[tuple[BatchJob, Outcome]] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)

    @property
    def failed(self) -> list[BatchJob]:
        """Jobs that failed."""
        return [job for job, outcome in self.outcomes if outcome.error]


def run_batch(
    table: Path,
    jobs: list[BatchJob],
    common: DubOptions | None = None,
    *,
    workers: int = 1,
    retries: int = 0,
    ray: str | None = None,
    observer: Observer | None = None,
    progress: ProgressFunction = lambda job, outcome: None,
) -> BatchResult:
    """Do all jobs that are not done.

    Args:
        table: the file that they came from; what is done is recorded beside it.
        jobs: of :func:`lipwright.batch.table.read_table`.
        common: options of jobs that say nothing else.
        workers: processes. With one, everything happens in this process.
        retries: so many times a failed job is tried again.
        ray: address of a Ray cluster on whose machines the jobs are done, instead of ``workers``.
        observer: is told of the progress inside a job; with one worker only.
        progress: called with a job and None when it begins, and with its outcome when it has ended.

    Raises:
        LipwrightError: another batch works on this table, or the record cannot be written.
        Interrupted: Ctrl-C; what was done is kept.
    """
    with OutputLock(table.with_name(table.name + ".batch")):
        record = Record(table)
        batch = _Batch(record, common or DubOptions(), retries, progress)
        waiting = batch.pending(jobs)
        try:
            if ray is not None and waiting:
                batch.on_cluster(waiting, ray)
            elif workers > 1 and len(waiting) > 1:
                batch.in_processes(waiting, workers)
            else:
                batch.here(waiting, observer)
        except (KeyboardInterrupt, Interrupted):
            raise Interrupted(batch.last_words(len(jobs))) from None
        result = batch.result
        result.outcomes.sort(key=lambda entry: entry[0].number)
        return result


class _Batch:
    def __init__(
        self, record: Record, common: DubOptions, retries: int, progress: ProgressFunction
    ) -> None:
        self._record, self._common = record, common
        self._retries, self._progress = retries, progress
        self._identities: dict[int, str] = {}
        self.result = BatchResult()

    def pending(self, jobs: list[BatchJob]) -> list[BatchJob]:
        """Jobs that are to be done, those of one video together."""
        missing: dict[Path, list[BatchJob]] = {}
        for job in jobs:
            problem = worker.check_inputs(job)
            if problem:
                self._end(job, Outcome("", str(job.out.absolute()), error=problem))
                continue
            identity = identity_of(job, self._options(job))
            self._identities[job.number] = identity
            done = self._record.done(identity)
            if done is None:
                missing.setdefault(job.video.resolve(), []).append(job)
            else:
                self.result.skipped.add(job.number)
                self.result.outcomes.append((job, done))
                self._progress(job, done)
        return [job for group in missing.values() for job in group]

    def here(self, jobs: list[BatchJob], observer: Observer | None) -> None:
        """Do jobs in this process."""
        dubber = Dubber(observer=observer)
        for job in jobs:
            self._progress(job, None)
            identity = self._identities[job.number]
            self._end(job, worker.run_job(dubber, job, self._options(job), identity, self._retries))

    def in_processes(self, jobs: list[BatchJob], workers: int) -> None:
        """Do jobs in several processes; one that dies costs the jobs it had, not the batch."""
        waiting = deque(jobs)
        deaths: dict[int, int] = {}
        while waiting:
            lost = self._with_pool(waiting, workers)
            for job in reversed(lost):
                deaths[job.number] = deaths.get(job.number, 0) + 1
                if deaths[job.number] > 1 + self._retries:
                    sentence = f"The process died {deaths[job.number]} times during this job; is "
                    sentence += "there enough memory? Fewer --workers need less."
                    self._end(job, self._failed(job, sentence))
                else:
                    waiting.appendleft(job)
            workers = max(1, workers - 1) if lost else workers

    def _with_pool(self, waiting: deque[BatchJob], workers: int) -> list[BatchJob]:
        """Work until nothing waits, or a process dies; gives the jobs that were lost then."""
        running: dict[Future[Outcome], BatchJob] = {}
        planned: set[Path] = set()
        context = multiprocessing.get_context("spawn")
        share = max(1, cores() // workers)
        pool = ProcessPoolExecutor(workers, context, worker.begin, (share,))
        try:
            while waiting or running:
                while len(running) < workers:
                    job = next_job(waiting, planned, running.values())
                    if job is None:
                        break
                    try:
                        running[pool.submit(worker.work, *self._given(job))] = job
                    except BrokenProcessPool:
                        waiting.appendleft(job)
                        raise
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._end(running[future], future.result())
                    planned.add(running.pop(future).video.resolve())
        except BrokenProcessPool:
            return list(running.values())
        finally:
            started = list((getattr(pool, "_processes", None) or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in started:  # a job that is still at work resumes next time
                process.terminate()
        return []

    def on_cluster(self, jobs: list[BatchJob], address: str) -> None:
        """Do jobs on the machines of a Ray cluster; a job whose worker is lost goes to another."""
        from lipwright.ray_cluster import RayCluster

        waiting = deque(jobs)
        running: dict[Any, BatchJob] = {}
        planned: set[Path] = set()
        with RayCluster(address) as cluster:
            on_gpu = self._common.device == "cuda"
            submit = cluster.task(worker.work_in_cluster, gpus=1 if on_gpu else 0)
            while waiting or running:
                while len(running) < cluster.cpus:
                    job = next_job(waiting, planned, running.values())
                    if job is None:
                        break
                    running[submit(*self._given(job))] = job
                for reference in cluster.ray.wait(list(running))[0]:
                    job = running.pop(reference)
                    try:
                        self._end(job, cluster.result(reference))
                    except LipwrightError as error:
                        self._end(job, self._failed(job, error.sentence))
                    planned.add(job.video.resolve())

    def _options(self, job: BatchJob) -> DubOptions:
        return worker.options_of_job(job, self._common)

    def _given(self, job: BatchJob) -> tuple[BatchJob, DubOptions, str, int]:
        """What :func:`lipwright.batch.worker.work` takes; the job has begun then."""
        self._progress(job, None)
        return job, self._options(job), self._identities[job.number], self._retries

    def _failed(self, job: BatchJob, sentence: str) -> Outcome:
        return Outcome(self._identities[job.number], str(job.out.absolute()), error=sentence)

    def _end(self, job: BatchJob, outcome: Outcome) -> None:
        if outcome.job:
            self._record.add(outcome)
        self.result.outcomes.append((job, outcome))
        self._progress(job, outcome)

    def last_words(self, count: int) -> str:
        """What an interrupted batch says."""
        done = sum(not outcome.error for _, outcome in self.result.outcomes)
        return f"Interrupted; {done} of {count} jobs are done: the same command does the rest."


def next_job(
    waiting: deque[BatchJob], planned: set[Path], running: Iterable[BatchJob]
) -> BatchJob | None:
    """Take out the next job whose video has a plan, or is nobody's at the moment."""
    busy = {job.video.resolve() for job in running} - planned
    for place, job in enumerate(waiting):
        if job.video.resolve() not in busy:
            del waiting[place]
            return job
    return None
