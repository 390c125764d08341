"""The cache of checked network files, in the user's folder or, where that fails, for this run only.

Writes are atomic (temporary file beside the target, then a rename), so concurrent processes are
safe: at worst they download the same bytes twice.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import time
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.files.user_folders import CACHE_VARIABLE, cache_folder, temporary_folder
from lipwright.files.whole import file_sha256, temporary_beside
from lipwright.weights.registry import Entry, Source

log = logging.getLogger(__name__)


REMEMBER_SECONDS = 24 * 3600.0  # how long a failed publisher is left alone


_for_this_process: dict[str, Path] = {}
"""Files that the cache could not take, by name."""


class UnreachableError(Exception):
    """A source did not give the file; the next one is tried."""


def _cached_path(entry: Entry) -> Path:
    return cache_folder() / "networks" / entry.file


def from_cache(entry: Entry) -> Path | None:
    """Path of a file in the cache; a damaged one is no error: it is fetched again and replaced."""
    for path in (_cached_path(entry), _for_this_process.get(entry.file)):
        with contextlib.suppress(OSError):  # somebody else's cache
            if path is not None and path.is_file() and file_sha256(path) in entry.checksums:
                return path
    return None


def store(entry: Entry, source: Source, data: bytes) -> Path:
    """Keep the content of a file, and give its path.

    Raises:
        UnreachableError: it is not the content that the source promises.
        LipwrightError: no folder can take it.
    """
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise UnreachableError(f"{entry.file} arrived damaged")
    path = _cached_path(entry)
    try:
        return _write(path, data)
    except OSError as error:
        problem = error
    if not os.environ.get(CACHE_VARIABLE) and problem.errno not in (errno.ENOSPC, errno.EDQUOT):
        # A home that cannot be written must not stop anybody; a folder that the user named may.
        log.log(
            logging.DEBUG if _for_this_process else logging.WARNING,
            "%s cannot be written (%s): network files are kept for this run only; name a folder "
            "in LIPWRIGHT_CACHE to keep them",
            path.parent,
            problem.strerror,
        )
        with contextlib.suppress(OSError):
            path = _write(temporary_folder() / "networks" / entry.file, data)
            _for_this_process[entry.file] = path
            return path
    raise LipwrightError(
        f"cannot write the network file {str(path)!r} ({problem.strerror}); make the folder "
        "writable or name another in LIPWRIGHT_CACHE"
    ) from problem


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        temporary.write_bytes(data)
        temporary.chmod(0o644)  # not a secret: a shared cache serves other users too
        os.replace(temporary, path)
    return path


def touch(marker: Path) -> None:
    """Note the time of a failure."""
    with contextlib.suppress(OSError):  # a cache that cannot be written costs a retry, no more
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def is_recent(marker: Path) -> bool:
    """Whether a failure was noted within the last ``REMEMBER_SECONDS``."""
    try:
        return time.time() - marker.stat().st_mtime < REMEMBER_SECONDS
    except OSError:
        return False
