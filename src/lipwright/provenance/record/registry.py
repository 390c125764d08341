"""The user's own list of ids: one JSON line for every marked output.

A watermark is 32 bits and says nothing by itself. This file says which output it stands for, when
it was made and from what. It lies in the user's data folder (``LIPWRIGHT_HOME`` chooses another),
is readable by the user alone, and never leaves the computer.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError, reading_errors, system_errors
from lipwright.files.user_folders import HOME_VARIABLE, home, private_folder
from lipwright.files.whole import file_sha256
from lipwright.provenance.watermark.grid import format_id, new_id, parse_id

log = logging.getLogger(__name__)

_FILE = "watermarks.jsonl"


@dataclass(frozen=True)
class HashedFile:
    """A file by name and content.

    Attributes:
        name: without folders.
        sha256: of the content, hexadecimal.
        bytes: its size.
    """

    name: str
    sha256: str
    bytes: int

    @classmethod
    def of(cls, path: str | Path) -> HashedFile:
        """Hash a file.

        Raises:
            LipwrightError: it cannot be read.
        """
        path = Path(path)
        with reading_errors(path):
            return cls(path.name, file_sha256(path), path.stat().st_size)


@dataclass(frozen=True)
class Entry:
    """One marked output.

    Attributes:
        mark_id: the 32-bit id.
        time: when it was registered, UTC, ISO 8601.
        output: the marked file as it was then.
        inputs: the files it was made from.
        size: (width, height) of the stored picture, None if not known.
        region: ``face`` or ``frame``.
        model: name and hash of the model, empty if none took part.
        signed: whether it got a manifest as well.
    """

    mark_id: int
    time: str
    output: HashedFile | None = None
    inputs: list[HashedFile] = field(default_factory=list)
    size: tuple[int, int] | None = None
    region: str = ""
    model: str = ""
    signed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain types, the id as eight digits."""
        return {**asdict(self), "mark_id": format_id(self.mark_id)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Entry:
        """Undo :meth:`to_json`; raises KeyError, TypeError, ValueError or LipwrightError."""
        output, size = data.get("output"), data.get("size")
        return cls(
            mark_id=parse_id(str(data["mark_id"])),
            time=str(data["time"]),
            output=HashedFile(**output) if output else None,
            inputs=[HashedFile(**i) for i in data.get("inputs", [])],
            size=(int(size[0]), int(size[1])) if size else None,
            region=str(data.get("region", "")),
            model=str(data.get("model", "")),
            signed=bool(data.get("signed", False)),
        )


def registry_path() -> Path:
    """Where the registry lies."""
    return home() / _FILE


def read_registry() -> list[Entry]:
    """All entries, newest first; lines that make no sense are passed over with a warning.

    Raises:
        LipwrightError: the file exists but cannot be read.
    """
    try:
        path = registry_path()
    except LipwrightError:  # a user without a home has registered nothing
        return []
    lines: list[str] = []
    with reading_errors(f"The watermark registry {path}"), contextlib.suppress(FileNotFoundError):
        lines = path.read_text("utf-8", errors="replace").splitlines()
    entries = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entries.append(Entry.from_json(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, LipwrightError):
            log.warning("Line %d of %s is damaged and was passed over.", number, path)
    return entries[::-1]


def register(entry: Entry) -> None:
    """Add an entry at the end.

    Raises:
        LipwrightError: the registry cannot be written.
    """
    _append(json.dumps(entry.to_json(), ensure_ascii=False) + "\n")


def check_registry() -> None:
    """Find out before the work, rather than after it, that the registry cannot be written.

    Raises:
        LipwrightError: it cannot.
    """
    _append("")


def _append(line: str) -> None:
    path = private_folder() / _FILE
    with system_errors(
        f"The watermark registry {path} cannot be written",
        f"free space or set {HOME_VARIABLE} to another folder",
    ):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "ab") as stream:
            stream.write(line.encode("utf-8"))


def unused_id() -> int:
    """A random id that no entry of the registry has."""
    taken = {entry.mark_id for entry in read_registry()}
    while (mark_id := new_id()) in taken:
        pass
    return mark_id


def now() -> str:
    """The present time, UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
