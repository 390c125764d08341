"""A worker process: takes jobs from the store, one after the other, with models that stay loaded.

Started by the pool as ``python -m lipwright.serving.worker``. Its standard input is a line of JSON
and then nothing until the server ends; a worker whose server is gone ends itself at once, in
whatever state, for the store and ``dub --resume`` can continue any job.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError
from lipwright.serving.records import Job, Kind
from lipwright.serving.settings import Settings
from lipwright.serving.store import Store

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.2
BETWEEN_UPDATES = 0.25
WORKERS_LOCK = "workers.lock"


class CancelledError(Exception):
    """The job is to stop; it is not an error of the job."""


class JobObserver:
    """Tells the store how far a job is, and stops it when that is wanted."""

    def __init__(self, store: Store, job: Job, worker: str) -> None:
        self._store, self._job, self._worker = store, job, worker
        self._updated = 0.0
        self._stage = ""

    def progress(self, stage: str, done: int, total: int | None, fps: float) -> None:
        """See ``dubbing.observer.Observer``; raises CancelledError where the job is to stop."""
        now = time.monotonic()
        if stage == self._stage and now - self._updated < BETWEEN_UPDATES and done != total:
            return
        self._stage, self._updated = stage, now
        if not self._store.progress(self._job.id, self._worker, stage, done, total, fps):
            raise CancelledError

    def notice(self, line: str) -> None:
        """See ``dubbing.observer.Observer``."""
        self._store.notice(self._job.id, line)


class Worker:
    """Does jobs.

    Args:
        settings: of the server.
        store: its jobs.
        name: of this worker; changes with every process.
        kinds: of jobs that it takes.
    """

    def __init__(
        self, settings: Settings, store: Store, name: str, kinds: tuple[Kind, ...]
    ) -> None:
        self.settings, self.store, self.name, self.kinds = settings, store, name, kinds

    def run_for_ever(self) -> None:
        """Take jobs until the process ends."""
        while True:
            job = None
            if self.store.waiting(self.kinds):
                job = self.store.take(self.name, self.kinds)
            if job is None:
                time.sleep(IDLE_SECONDS)
            else:
                self.do(job)

    def do(self, job: Job) -> None:
        """Do one job and store how it ended."""
        from lipwright.serving.tasks import perform, tidy

        began = time.monotonic()
        try:
            result = perform(
                self.settings, self.store, job, JobObserver(self.store, job, self.name)
            )
        except CancelledError:
            tidy(self.settings, job)
            self.store.finish(job.id, self.name, "cancelled")
            log.info("job %d (%s) cancelled", job.number, job.kind)
            return
        except LipwrightError as error:
            self._fail(job, self._without_places(error.sentence))
        except MemoryError:
            self._fail(job, "The job needs more memory than there is; use a smaller video.")
        except Exception as error:
            log.exception("job %d (%s): internal error", job.number, job.kind)
            self._fail(job, f"Internal error ({type(error).__name__}); the server's log says more.")
        else:
            self.store.finish(job.id, self.name, "done", result=result)
            log.info("job %d (%s) done in %.1f s", job.number, job.kind, time.monotonic() - began)

    def _fail(self, job: Job, sentence: str) -> None:
        from lipwright.serving.tasks import tidy

        tidy(self.settings, job)
        self.store.finish(job.id, self.name, "failed", error=sentence)
        log.info("job %d (%s) failed", job.number, job.kind)

    def _without_places(self, sentence: str) -> str:
        """A message without the server's folders."""
        for folder in (self.settings.data, self.settings.media):
            if folder is not None:
                sentence = _shorten(sentence, str(folder))
        return sentence


def _shorten(sentence: str, folder: str) -> str:
    """Paths below a folder become file names."""
    words = sentence.split(folder)
    rest = []
    for word in words[1:]:
        path = word.split(" ", 1)[0] if " " in word else word
        rest.append(path.rsplit("/", 1)[-1] + word[len(path) :])
    return "".join([words[0], *rest])


def settings_line(settings: Settings, name: str, kinds: tuple[Kind, ...]) -> bytes:
    """What a worker reads first."""
    plain = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in asdict(settings).items()
        if key not in ("token", "webhook_secret", "host", "ice_servers")
    }
    return json.dumps({"settings": plain, "name": name, "kinds": kinds}).encode() + b"\n"


def _settings(plain: dict[str, Any]) -> Settings:
    paths = {"data", "media"}
    known = {field.name for field in fields(Settings)}
    values: dict[str, Any] = {
        key: Path(value) if key in paths and value is not None else value
        for key, value in plain.items()
        if key in known
    }
    return Settings(**values)


@contextlib.contextmanager
def alive(data: Path) -> Iterator[None]:
    """Hold a shared lock that a starting server waits for."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (data / WORKERS_LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _end_with_the_server() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Be a worker."""
    start = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = _settings(start["settings"])
    # Plans hold pictures of faces: they belong into the data folder, with its retention time.
    os.environ["LIPWRIGHT_PLANS"] = str(settings.plans)
    with alive(settings.data):
        store = Store(settings.database)
        Worker(settings, store, start["name"], tuple(start["kinds"])).run_for_ever()


if __name__ == "__main__":
    main()
