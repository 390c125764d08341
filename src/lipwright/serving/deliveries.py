"""The queue of webhook calls: one is added in the transaction that ends its job; none is lost."""

from __future__ import annotations

import json
import sqlite3
import time

from lipwright.serving.records import new_id


def queue_delivery(connection: sqlite3.Connection, name: str) -> None:
    """Queue the webhook of an ended job, if it has one."""
    row = connection.execute("SELECT * FROM jobs WHERE id = ?", (name,)).fetchone()
    if row["webhook"]:
        body = {
            "event": f"job.{row['state']}",
            "job": row["id"],
            "kind": row["kind"],
            "state": row["state"],
            "error": row["error"],
        }
        connection.execute(
            "INSERT INTO deliveries (id, job, url, body, due, state) VALUES (?, ?, ?, ?, ?, ?)",
            (new_id(), name, row["webhook"], json.dumps(body), time.time(), "waiting"),
        )
