"""The SQLite file: one connection behind a lock, in write-ahead mode.

Server and workers open the same file. A transaction takes the write lock at once (``BEGIN
IMMEDIATE``), so that two workers never take the same job.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError

Row = sqlite3.Row


class Database:
    """A SQLite file.

    Args:
        path: the file; made if missing.
        schema: statements that make its tables if they are missing.
        version: of the schema; a file of another version is refused.

    Raises:
        LipwrightError: the file cannot be used.
    """

    def __init__(self, path: Path, schema: str, version: int) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=30.0, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = Row
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, version):
                raise LipwrightError(
                    f"{path} was made by another version of Lipwright (format {found}, not "
                    f"{version}); move it away or use that version."
                )
            self._connection.executescript(schema)
            self._connection.execute(f"PRAGMA user_version={version}")
        except sqlite3.Error as error:
            raise LipwrightError(f"The database {path} cannot be used: {error}.") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside happens, or nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """All rows of a question."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> Row | None:
        """The first row of a question."""
        with self._lock:
            found: Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def run(self, sql: str, *values: Any) -> int:
        """Change something; gives the number of rows changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
