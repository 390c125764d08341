"""Files that are written whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lipwright.files.beside import beside


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name when the block ends without an error.

    The temporary file keeps the suffix (encoders choose a format by it), begins with a dot, holds
    the number of the process and contains ``.part``; it is removed whatever happens. An existing
    file is replaced in one step, so that a reader sees the old content or the new one.

    Args:
        path: the file to write; its folder must exist.
    """
    temporary = beside(path, f"{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def temporary_beside(path: Path, prefix: str | None = None) -> Iterator[Path]:
    """An empty file of this user's own with a name that nobody can foresee, removed at the end.

    For folders that others may write to: renaming it to ``path`` puts whole content there in one
    step, whoever else writes at that moment.

    Args:
        path: what it may be renamed to; its folder must exist.
        prefix: of the name; default: a dot and the name of ``path``.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix or f".{path.name}.")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, indent: int | None = 1) -> None:
    """Write a JSON file whole or not at all; makes its folder."""
    write_text(path, json.dumps(content, indent=indent))


def json_sha256(content: Any) -> str:
    """Hexadecimal sha256 of plain data; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
