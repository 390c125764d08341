"""Names for files and folders of a running job beside its output."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

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
