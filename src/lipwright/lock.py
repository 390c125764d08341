"""One job at a time for one output file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lipwright.errors import LipwrightError, system_errors
from lipwright.files.beside import beside

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class OutputLock:
    """Holds ``.NAME.lipwright-lock`` beside the output while the job runs.

    The operating system drops the lock when a job dies, however it dies; a lock file that a killed
    job left behind stops nobody and goes away with the next job.

    Raises:
        LipwrightError: on entry, if another job holds the lock or the folder cannot be written.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.path = beside(out, "lipwright-lock")
        self._handle: int | None = None

    def __enter__(self) -> OutputLock:
        while self._handle is None:
            with system_errors(
                f"The folder {self._out.parent} cannot be written",
                "choose another output, or correct its permissions",
            ):
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _acquire(handle)
                # The job before may have removed the file between our open and our lock; then we
                # hold a lock on nothing and have to try again.
                if os.path.samestat(os.fstat(handle), self.path.stat()):
                    self._handle = handle
            except FileNotFoundError:
                pass
            except OSError as error:
                raise LipwrightError(
                    f"Another job is writing {self._out} at this moment; wait for it or choose "
                    "another output."
                ) from error
            finally:
                if self._handle is None:
                    os.close(handle)
        return self

    def __exit__(self, *_: object) -> None:
        handle, self._handle = self._handle, None
        if handle is None:
            return
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(handle)
            self.path.unlink(missing_ok=True)
        else:
            self.path.unlink(missing_ok=True)
            os.close(handle)


def _acquire(handle: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
