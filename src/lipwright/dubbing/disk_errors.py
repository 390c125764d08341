"""Errors of the disk that may come at any time, as sentences."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from lipwright.errors import LipwrightError


@contextlib.contextmanager
def disk_errors(out: str | Path) -> Iterator[None]:
    """Say as a LipwrightError that the disk is full, or that a name is too long for it."""
    try:
        yield
    except OSError as error:  # the libraries below raise LipwrightError for all that is foreseen
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise LipwrightError(
                f"The disk is full ({error.strerror}): {out} could not be finished; make room and "
                "start again."
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise LipwrightError(
                f"The name {error.filename or out} is too long for this file system; shorten it."
            ) from error
        raise
