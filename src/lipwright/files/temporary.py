"""Files that stand for something that is no file: a pipe, or a text that a synthesiser said."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "lipwright-instead-"


@contextmanager
def instead_of(what: str) -> Iterator[Path]:
    """A folder for temporary files, gone at the end.

    Args:
        what: letters and hyphens, what :func:`shown` calls the files in it: "standard-input".
    """
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{what}.") as folder:
        yield Path(folder)


def shown(path: Path) -> str:
    """A file as reports name it: its path, or what it stands for, where its path says nothing."""
    folder = path.parent
    if folder.name.startswith(_PREFIX) and folder.parent == Path(tempfile.gettempdir()):
        return folder.name.removeprefix(_PREFIX).rpartition(".")[0].replace("-", " ")
    return str(path)
