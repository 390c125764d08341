"""The worker processes of a server: started, watched, replaced when they die."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.serving.background import Background
from lipwright.serving.records import SHORT, Kind, new_id
from lipwright.serving.settings import Settings
from lipwright.serving.store import Store
from lipwright.serving.worker import WORKERS_LOCK, settings_line

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.3
CANCEL_SECONDS = 10.0
"""A worker that does not stop within this is ended."""
QUICK_DEATH = 5.0
LONGEST_PAUSE = 60.0
OLD_WORKERS_SECONDS = 30.0


@dataclass
class _Slot:
    """A place for one worker process.

    Attributes:
        kinds: what it does.
        process, name: the present one.
        started: when it was started.
        quick_deaths: processes in a row that died at once.
        due: not to be started before.
    """

    kinds: tuple[Kind, ...]
    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    started: float = 0.0
    quick_deaths: int = 0
    due: float = field(default=0.0)


class Pool(Background):
    """Workers: ``settings.workers`` that do everything, and one for short requests only.

    The last one lets the page show people and previews while a long video is dubbed.
    """

    doing, pause = "looking after the workers", WATCH_SECONDS

    def __init__(self, settings: Settings, store: Store) -> None:
        super().__init__()
        self.settings, self.store = settings, store
        everything: tuple[Kind, ...] = (*SHORT, "dub")
        self._slots = [_Slot(everything) for _ in range(settings.workers)] + [_Slot(SHORT)]

    def start(self) -> None:
        """Queue again what an earlier server left running, and start the workers.

        Raises:
            LipwrightError: workers of an earlier server do not end.
        """
        wait_for_old_workers(self.settings.data)
        recovered = self.store.recover()
        if recovered:
            log.info("%d interrupted jobs continue", recovered)
        super().start()

    def stop(self) -> None:
        """End the workers; their jobs continue at the next start."""
        super().stop()
        for slot in self._slots:
            self._end(slot)
            self.store.give_back(slot.name)

    def alive(self) -> int:
        """Number of worker processes that live."""
        return sum(s.process is not None and s.process.poll() is None for s in self._slots)

    def pids(self) -> list[int]:
        """Their process numbers."""
        return [s.process.pid for s in self._slots if s.process and s.process.poll() is None]

    def once(self) -> None:
        """Replace workers that ended, and end those that are to stop."""
        now = time.monotonic()
        for slot in self._slots:
            if slot.process is not None and slot.process.poll() is not None:
                self._clear_ended(slot, now)
            if slot.process is None and now >= slot.due:
                self._begin(slot, now)
        self._end_overdue()

    def _begin(self, slot: _Slot, now: float) -> None:
        slot.name, slot.started = new_id(), now
        slot.process = subprocess.Popen(
            [sys.executable, "-m", "lipwright.serving.worker"],
            stdin=subprocess.PIPE,
            # Ctrl-C at the terminal is for the server, which ends its workers itself.
            start_new_session=True,
        )
        assert slot.process.stdin is not None
        with contextlib.suppress(OSError):
            slot.process.stdin.write(settings_line(self.settings, slot.name, slot.kinds))
            slot.process.stdin.flush()

    def _clear_ended(self, slot: _Slot, now: float) -> None:
        process = slot.process
        assert process is not None
        reason = _reason(process.returncode)
        log.warning("a worker ended: %s", reason)
        self.store.crashed(slot.name, reason)
        quick = now - slot.started < QUICK_DEATH
        slot.quick_deaths = slot.quick_deaths + 1 if quick else 0
        slot.due = now + (min(LONGEST_PAUSE, 2.0**slot.quick_deaths) if quick else 0.0)
        self._end(slot)

    def _end(self, slot: _Slot) -> None:
        if slot.process is None:
            return
        if slot.process.poll() is None:
            slot.process.kill()
        slot.process.wait()
        if slot.process.stdin is not None:
            with contextlib.suppress(OSError):
                slot.process.stdin.close()
        slot.process = None

    def _end_overdue(self) -> None:
        """End workers whose job was cancelled a while ago or runs for too long."""
        now = time.time()
        for job in self.store.running():
            slot = next((s for s in self._slots if s.name == job.worker), None)
            too_long = job.started is not None and now - job.started > self.settings.job_seconds
            if too_long:
                self.store.finish(
                    job.id,
                    job.worker,
                    "failed",
                    error=f"The job ran for more than {self.settings.job_seconds:.0f} s, the limit "
                    "of this server; try a shorter video.",
                )
            if slot and (too_long or (job.cancel and now - job.cancel > CANCEL_SECONDS)):
                slot.quick_deaths = 0
                if slot.process is not None:
                    slot.process.kill()


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"{name}, as when memory runs out" if name == "SIGKILL" else name
    return f"exit code {code}"


def wait_for_old_workers(data: Path) -> None:
    """Workers of a killed server end within moments; nothing may run twice."""
    try:
        import fcntl
    except ImportError:
        return
    deadline = time.monotonic() + OLD_WORKERS_SECONDS
    with (data / WORKERS_LOCK).open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise LipwrightError(
                        f"Workers of another server still use {data}; end that server first."
                    ) from None
                time.sleep(0.1)
