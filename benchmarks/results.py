"""Results of a long measurement, one JSON line each, so that an interrupted run can go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Results:
    """Rows by key; those of an earlier run are read back and need not be measured again."""

    def __init__(self, path: Path | None) -> None:
        """Read what is there; without a path the rows are kept in memory only."""
        self._path = path
        self.rows: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                key, row = json.loads(line)
                self.rows[key] = row

    def add(self, key: str, row: dict[str, Any]) -> None:
        """Keep a row, on disk at once."""
        self.rows[key] = row
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps([key, row]) + "\n")
