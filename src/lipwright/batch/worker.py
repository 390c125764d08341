"""One job after another in one process, with one loaded model."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lipwright.batch.record import Outcome
from lipwright.batch.table import BatchJob
from lipwright.dubbing.dubber import Dubber
from lipwright.dubbing.observer import QuietObserver
from lipwright.dubbing.options import DubOptions
from lipwright.errors import Interrupted, LipwrightError
from lipwright.media import limits
from lipwright.media.synthesis import spoken

PARENT_SECONDS = 1.0


def options_of_job(job: BatchJob, common: DubOptions) -> DubOptions:
    """All options of a job. A batch always resumes: its jobs are found again after a kill."""
    return replace(common, **{**job.options, "resume": True, "preview": None, "ray": None})


def run_job(
    dubber: Dubber, job: BatchJob, options: DubOptions, identity: str, retries: int = 0
) -> Outcome:
    """Do a job, again if it fails, and say how it ended.

    Raises:
        Interrupted: Ctrl-C.
    """
    began = time.perf_counter()
    sentence = ""
    for _ in range(1 + retries):
        try:
            job.out.parent.mkdir(parents=True, exist_ok=True)
            dubber.options = options
            with limits.applied(limits.parse(options.limit)), _speech_of(job) as speech:
                report = dubber.dub(job.video, speech, job.out)
        except (Interrupted, KeyboardInterrupt):
            raise
        except LipwrightError as error:
            sentence = error.sentence
        except Exception as error:
            text = " ".join(str(error).split())
            sentence = f"Internal error ({type(error).__name__}: {text[:200]})."
        else:
            written = job.out.stat()
            return Outcome(
                identity,
                str(job.out.absolute()),
                frames=report.frames,
                seconds=round(time.perf_counter() - began, 3),
                bytes=written.st_size,
                modified=written.st_mtime_ns,
            )
    spent = round(time.perf_counter() - began, 3)
    return Outcome(identity, str(job.out.absolute()), error=sentence, seconds=spent)


@contextmanager
def _speech_of(job: BatchJob) -> Iterator[Path]:
    """The file that a job speaks; of a text one that is gone at the end."""
    if job.speech.path is not None:
        yield job.speech.path
        return
    with spoken(job.speech.text or "", job.speech.voice, job.speech.synthesiser) as speech:
        yield speech


# In a process of its own --------------------------------------------------------------------

_dubber: list[Dubber] = []


def begin(threads: int) -> None:
    """Prepare a worker process: its share of the cores, and no life without its parent."""
    os.environ["OMP_NUM_THREADS"] = str(max(1, threads))  # PyTorch reads it when it is imported
    _dubber[:] = [Dubber(observer=QuietObserver())]  # the main process tells of the jobs
    threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()


def work(job: BatchJob, options: DubOptions, identity: str, retries: int) -> Outcome:
    """What a worker process does with a job."""
    return run_job(_dubber[0], job, options, identity, retries)


def work_in_cluster(job: BatchJob, options: DubOptions, identity: str, retries: int) -> Outcome:
    """The same in a worker of a Ray cluster, which ends with its driver by itself."""
    if not _dubber:
        _dubber.append(Dubber(observer=QuietObserver()))
    return work(job, options, identity, retries)


def _watch_parent(parent: int) -> None:
    """End with a killed main process; what is done of the job stays for its next run."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


def check_inputs(job: BatchJob) -> str:
    """Why a job cannot begin, or nothing."""
    from lipwright.media.source import check_file

    for path, what in ((job.video, "video"), (job.speech.path, "speech file")):
        if path is None:
            continue
        try:
            check_file(path, what)
        except LipwrightError as error:
            return error.sentence
    return ""
