"""Names for files and folders of a running job beside its output."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lipwright.errors import system_errors

LONGEST = 255
"""Bytes of a file name that common file systems take."""


def beside(out: Path, what: str) -> Path:
    """The hidden neighbour ``.NAME.what`` of a file, the same for the same file.

    A name that is so long that nothing can be added to it is cut, and a digest of all of it keeps
    different names apart.

    Args:
        out: the file.
        what: what the neighbour is for.
    """
    name = f".{out.name}.{what}"
    if len(os.fsencode(name)) <= LONGEST:
        return out.with_name(name)
    digest = hashlib.sha256(os.fsencode(out.name)).hexdigest()[:16]
    room = LONGEST - len(what) - len(digest) - 3
    start = os.fsencode(out.name)[:room].decode("utf-8", "ignore")
    return out.with_name(f".{start}.{digest}.{what}")


@contextmanager
def folder_beside(out: Path, what: str) -> Iterator[Path]:
    """A folder of that name for what is not finished, empty at first and removed at the end.

    Raises:
        LipwrightError: the place cannot be written.
    """
    import shutil

    folder = beside(out, what)
    shutil.rmtree(folder, ignore_errors=True)  # of a killed job; the lock says nobody works there
    with system_errors(
        f"The folder {out.parent} cannot be written",
        "choose another output or correct its permissions",
    ):
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
