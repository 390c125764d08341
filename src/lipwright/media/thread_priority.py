"""Threads keep their scheduling while an encoder starts.

SVT-AV1, where the user is root (as in most containers), moves the thread that starts it to
real-time scheduling (SCHED_FIFO, priority 99), and leaves it there; everything which that thread
starts afterwards inherits it. Two such threads on a machine of two cores keep even the kernel's own
threads from writing to the disk.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_TASKS = Path("/proc/self/task")


def _real_time() -> set[int]:
    """Threads of this process that are scheduled in real time, first come first served."""
    found = set()
    with contextlib.suppress(OSError):
        for task in _TASKS.iterdir():
            with contextlib.suppress(OSError):
                if os.sched_getscheduler(int(task.name)) & 0xFF == os.SCHED_FIFO:
                    found.add(int(task.name))
    return found


@contextlib.contextmanager
def ordinary_priority() -> Iterator[None]:
    """Threads that were scheduled in turn before the block are so after it, and new ones, too."""
    if sys.platform != "linux" or os.geteuid() != 0:
        yield
        return
    before = _real_time()
    try:
        yield
    finally:
        for thread in _real_time() - before:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
