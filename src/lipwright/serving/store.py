"""Uploads and jobs, in the database.

A job is ``queued``, ``running``, ``done``, ``failed`` or ``cancelled``. Only workers take jobs;
only the store changes states, and never from an ended state except by ``retry``.
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError
from lipwright.serving.database import Database
from lipwright.serving.deliveries import queue_delivery
from lipwright.serving.records import (
    ENDED,
    SCHEMA,
    SHORT,
    VERSION,
    Job,
    Kind,
    State,
    StoredFile,
    file_of,
    job_of,
    new_id,
)

MOST_CRASHES = 3
"""A job during which so many worker processes died is given up."""


class Store:
    """Uploads and jobs of one server.

    Args:
        path: the database.
    """

    def __init__(self, path: Path) -> None:
        self.database = Database(path, SCHEMA, VERSION)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # Uploads.

    def add_file(self, file: StoredFile) -> None:
        """Note an upload that is complete."""
        values = (file.id, file.name, file.bytes, file.created, json.dumps(file.facts))
        self.database.run("INSERT INTO files VALUES (?, ?, ?, ?, ?)", *values)

    def file(self, name: str) -> StoredFile | None:
        """An upload by its id."""
        row = self.database.row("SELECT * FROM files WHERE id = ?", name)
        return file_of(row) if row else None

    def files(self) -> list[StoredFile]:
        """All uploads, the newest first."""
        return [file_of(r) for r in self.database.rows("SELECT * FROM files ORDER BY created DESC")]

    def delete_file(self, name: str) -> bool:
        """Forget an upload, unless a job that waits or runs needs it.

        Raises:
            LipwrightError: a job needs it.
        """
        with self.database.transaction() as connection:
            used = connection.execute(
                "SELECT number FROM jobs WHERE state IN ('queued', 'running') AND "
                "(json_extract(request, '$.video') = ?1 OR json_extract(request, '$.speech') = ?1 "
                "OR json_extract(request, '$.file') = ?1)",
                (name,),
            ).fetchone()
            if used:
                raise LipwrightError(
                    f"Job {used['number']} still needs this file; cancel the job first."
                )
            return connection.execute("DELETE FROM files WHERE id = ?", (name,)).rowcount > 0

    # Jobs.

    def add_job(
        self,
        kind: Kind,
        request: dict[str, Any],
        *,
        client: str = "",
        webhook: str | None = None,
        key: tuple[str, str] | None = None,
        most: int | None = None,
    ) -> tuple[Job, bool]:
        """Queue a job.

        Args:
            kind: what to do.
            request: plain JSON values.
            client: who asks; only compared.
            webhook: address to tell the end.
            key: idempotency key and the digest of the request; the same key gives the same job.
            most: jobs that may wait or run for this client.

        Returns:
            The job, and whether it is new.

        Raises:
            LipwrightError: the key was used for another request, or the client has too many jobs.
        """
        name = new_id()
        with self.database.transaction() as connection:
            if key is not None:
                known = connection.execute(
                    "SELECT digest, job FROM idempotency WHERE key = ?", (key[0],)
                ).fetchone()
                if known is not None:
                    if known["digest"] != key[1]:
                        raise LipwrightError(
                            "This idempotency key was used for another request; use a new one."
                        )
                    found = connection.execute(
                        "SELECT * FROM jobs WHERE id = ?", (known["job"],)
                    ).fetchone()
                    if found is None:
                        raise LipwrightError(
                            "This idempotency key belongs to a job that was deleted; use a new one."
                        )
                    return job_of(found), False
            if most is not None:
                (count,) = connection.execute(
                    "SELECT count(*) FROM jobs WHERE client = ? AND state IN ('queued', 'running')",
                    (client,),
                ).fetchone()
                if count >= most:
                    raise TooManyError(
                        f"{count} of your jobs wait or run; wait until one has ended."
                    )
            connection.execute(
                "INSERT INTO jobs (id, number, kind, state, priority, client, created, request, "
                "webhook) SELECT ?, coalesce(max(number), 0) + 1, ?, 'queued', ?, ?, ?, ?, ? "
                "FROM jobs",
                (
                    name,
                    kind,
                    0 if kind in SHORT else 1,
                    client,
                    time.time(),
                    json.dumps(request),
                    webhook,
                ),
            )
            if key is not None:
                connection.execute(
                    "INSERT INTO idempotency VALUES (?, ?, ?, ?)", (*key, name, time.time())
                )
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (name,)).fetchone()
            return job_of(row), True

    def job(self, name: str) -> Job | None:
        """A job by its id."""
        row = self.database.row("SELECT * FROM jobs WHERE id = ?", name)
        return job_of(row) if row else None

    def jobs(
        self,
        state: State | None = None,
        kinds: tuple[Kind, ...] = (),
        limit: int = 100,
        before: int | None = None,
    ) -> list[Job]:
        """Jobs, the newest first.

        Args:
            state: only those in this state.
            kinds: only those of these kinds; all if empty.
            limit: at most so many.
            before: only those with a smaller number.
        """
        where, values = ["1"], list[Any]()
        if state is not None:
            where.append("state = ?")
            values.append(state)
        if kinds:
            where.append(f"kind IN ({', '.join('?' * len(kinds))})")
            values += kinds
        if before is not None:
            where.append("number < ?")
            values.append(before)
        sql = f"SELECT * FROM jobs WHERE {' AND '.join(where)} ORDER BY number DESC LIMIT ?"
        return [job_of(row) for row in self.database.rows(sql, *values, limit)]

    def ahead_of(self, job: Job) -> int:
        """Jobs that are taken before this one."""
        row = self.database.row(
            "SELECT count(*) FROM jobs, (SELECT priority AS p, number AS n FROM jobs WHERE id = ?) "
            "WHERE state = 'queued' AND (priority < p OR (priority = p AND number < n))",
            job.id,
        )
        return int(row[0]) if row else 0

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of jobs by kind and state."""
        rows = self.database.rows("SELECT kind, state, count(*) FROM jobs GROUP BY kind, state")
        return {(str(row[0]), str(row[1])): int(row[2]) for row in rows}

    def take(self, worker: str, kinds: tuple[Kind, ...]) -> Job | None:
        """Give the next job to a worker."""
        with self.database.transaction() as connection:
            marks = ", ".join("?" * len(kinds))
            row = connection.execute(
                f"SELECT id FROM jobs WHERE state = 'queued' AND kind IN ({marks}) "
                "ORDER BY priority, number LIMIT 1",
                kinds,
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE jobs SET state = 'running', worker = ?, started = coalesce(started, ?), "
                "stage = '', done = 0, total = NULL, fps = 0 WHERE id = ?",
                (worker, time.time(), row["id"]),
            )
            return job_of(
                connection.execute("SELECT * FROM jobs WHERE id = ?", (row["id"],)).fetchone()
            )

    def waiting(self, kinds: tuple[Kind, ...]) -> bool:
        """Whether a job of these kinds waits; cheaper than :meth:`take`, takes no lock."""
        marks = ", ".join("?" * len(kinds))
        sql = f"SELECT 1 FROM jobs WHERE state = 'queued' AND kind IN ({marks}) LIMIT 1"
        return self.database.row(sql, *kinds) is not None

    def progress(
        self, name: str, worker: str, stage: str, done: int, total: int | None, fps: float
    ) -> bool:
        """Note how far a job is; False if it is to stop or is no longer this worker's."""
        changed = self.database.run(
            "UPDATE jobs SET stage = ?, done = ?, total = ?, fps = ? "
            "WHERE id = ? AND worker = ? AND state = 'running' AND cancel IS NULL",
            *(stage, done, total, fps, name, worker),
        )
        return changed == 1

    def notice(self, name: str, line: str) -> None:
        """Add a line that the user should read."""
        self.database.run(
            "UPDATE jobs SET notices = json_insert(notices, '$[#]', ?) WHERE id = ?", line, name
        )

    def finish(
        self,
        name: str,
        worker: str,
        state: State,
        *,
        result: dict[str, Any] | None = None,
        error: str = "",
    ) -> bool:
        """End a job; False if it is no longer this worker's."""
        with self.database.transaction() as connection:
            changed = connection.execute(
                "UPDATE jobs SET state = ?, result = ?, error = ?, ended = ? "
                "WHERE id = ? AND worker = ? AND state = 'running'",
                (
                    state,
                    json.dumps(result) if result is not None else None,
                    error,
                    time.time(),
                    name,
                    worker,
                ),
            ).rowcount
            if changed:
                queue_delivery(connection, name)
        return changed == 1

    def cancel(self, name: str) -> Job | None:
        """Cancel a job that waits, ask the worker of one that runs; an ended one stays."""
        now = time.time()
        with self.database.transaction() as connection:
            changed = connection.execute(
                "UPDATE jobs SET state = 'cancelled', ended = ?, cancel = ? "
                "WHERE id = ? AND state = 'queued'",
                (now, now, name),
            ).rowcount
            if changed:
                queue_delivery(connection, name)
            connection.execute(
                "UPDATE jobs SET cancel = coalesce(cancel, ?) WHERE id = ? AND state = 'running'",
                (now, name),
            )
        return self.job(name)

    def retry(self, name: str) -> Job | None:
        """Queue a failed or cancelled job again.

        Raises:
            LipwrightError: it is in another state.
        """
        changed = self.database.run(
            "UPDATE jobs SET state = 'queued', error = '', ended = NULL, started = NULL, "
            "cancel = NULL, crashes = 0, worker = '', stage = '', done = 0, total = NULL, "
            "notices = '[]' WHERE id = ? AND state IN ('failed', 'cancelled')",
            name,
        )
        job = self.job(name)
        if job is not None and not changed:
            raise LipwrightError(
                f"Job {job.number} is {job.state}; only an ended one without a "
                "result can be tried again."
            )
        return job

    def delete_job(self, name: str) -> bool:
        """Forget an ended job.

        Raises:
            LipwrightError: it waits or runs.
        """
        with self.database.transaction() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (name,)).fetchone()
            if row is None:
                return False
            if row["state"] not in ENDED:
                raise LipwrightError(f"Job {row['number']} is {row['state']}; cancel it first.")
            connection.execute("DELETE FROM jobs WHERE id = ?", (name,))
            connection.execute("DELETE FROM deliveries WHERE job = ?", (name,))
        return True

    def give_back(self, worker: str) -> None:
        """Queue the job of a worker that was stopped on purpose."""
        self.database.run(
            "UPDATE jobs SET state = 'queued', worker = '' WHERE worker = ? AND state = 'running'",
            worker,
        )

    def recover(self) -> int:
        """After a start: jobs of an earlier server's workers go back into the queue."""
        with self.database.transaction() as connection:
            _cancel_asked(connection, "1")
            return connection.execute(
                "UPDATE jobs SET state = 'queued', worker = '' WHERE state = 'running'"
            ).rowcount

    def crashed(self, worker: str, reason: str) -> None:
        """A worker died: its job is tried again, but not for ever."""
        with self.database.transaction() as connection:
            _cancel_asked(connection, "worker = ?", worker)
            connection.execute(
                "UPDATE jobs SET crashes = crashes + 1 WHERE worker = ? AND state = 'running'",
                (worker,),
            )
            lost = connection.execute(
                "SELECT id FROM jobs WHERE worker = ? AND state = 'running' AND crashes >= ?",
                (worker, MOST_CRASHES),
            ).fetchall()
            for row in lost:
                connection.execute(
                    "UPDATE jobs SET state = 'failed', error = ?, ended = ? WHERE id = ?",
                    (
                        f"The worker process died {MOST_CRASHES} times at this job ({reason}); "
                        "try a shorter or smaller video.",
                        time.time(),
                        row["id"],
                    ),
                )
                queue_delivery(connection, row["id"])
            connection.execute(
                "UPDATE jobs SET state = 'queued', worker = '' "
                "WHERE worker = ? AND state = 'running'",
                (worker,),
            )

    def running(self) -> list[Job]:
        """The jobs that run."""
        return self.jobs(state="running")


class TooManyError(LipwrightError):
    """A client asks for more than it may have."""


def _cancel_asked(connection: sqlite3.Connection, where: str, *values: Any) -> None:
    """Jobs that were to be cancelled, and whose worker is gone, are cancelled."""
    rows = connection.execute(
        f"SELECT id FROM jobs WHERE state = 'running' AND cancel IS NOT NULL AND {where}", values
    ).fetchall()
    for row in rows:
        connection.execute(
            "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ?", (time.time(), row["id"])
        )
        queue_delivery(connection, row["id"])
