"""The rows of the service's database: what an upload and a job are, and the tables that hold them.

A job is ``queued``, ``running``, ``done``, ``failed`` or ``cancelled``.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, fields
from typing import Any, Literal

from lipwright.serving.database import Row

State = Literal["queued", "running", "done", "failed", "cancelled"]


ENDED: tuple[State, ...] = ("done", "failed", "cancelled")


Kind = Literal["dub", "people", "preview", "verify"]


SHORT: tuple[Kind, ...] = ("people", "preview", "verify")
"""Kinds that somebody waits for at the page; they go before ``dub``."""


SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, bytes INTEGER NOT NULL, created REAL NOT NULL,
    facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, number INTEGER, kind TEXT NOT NULL, state TEXT NOT NULL,
    priority INTEGER NOT NULL, client TEXT NOT NULL,
    created REAL NOT NULL, started REAL, ended REAL,
    request TEXT NOT NULL, stage TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0,
    total INTEGER, fps REAL NOT NULL DEFAULT 0, notices TEXT NOT NULL DEFAULT '[]',
    error TEXT NOT NULL DEFAULT '', result TEXT, cancel REAL, worker TEXT NOT NULL DEFAULT '',
    crashes INTEGER NOT NULL DEFAULT 0, webhook TEXT);
CREATE INDEX IF NOT EXISTS jobs_waiting ON jobs (state, priority, number);
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, job TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, job TEXT NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, state TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '');
"""


VERSION = 1


@dataclass(frozen=True)
class StoredFile:
    """An upload.

    Attributes:
        id: its name in the API.
        name: file name, without folder.
        bytes: size.
        created: seconds since 1970.
        facts: what the probe found, see ``serving.probing``.
    """

    id: str
    name: str
    bytes: int
    created: float
    facts: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A job as the database has it.

    Attributes:
        id: its name in the API.
        number: counted from 1, for people.
        kind: what is done.
        state: how it stands.
        created, started, ended: seconds since 1970.
        request: what was asked for; files, options, consent.
        stage, done, total, fps: progress.
        notices: lines that the user should read.
        error: why it failed, one sentence.
        result: what came out.
        cancel: when its cancellation was asked for.
        worker: the process that has it.
        crashes: worker processes that died while they had it.
        webhook: address that is told the end.
    """

    id: str
    number: int
    kind: Kind
    state: State
    created: float
    started: float | None
    ended: float | None
    request: dict[str, Any]
    stage: str
    done: int
    total: int | None
    fps: float
    notices: list[str]
    error: str
    result: dict[str, Any] | None
    cancel: float | None
    worker: str
    crashes: int
    webhook: str | None


def new_id() -> str:
    """A name that nobody guesses: 20 letters and digits."""
    return secrets.token_hex(10)


def file_of(row: Row) -> StoredFile:
    """An upload from its row."""
    values = {field.name: row[field.name] for field in fields(StoredFile)}
    return StoredFile(**{**values, "facts": json.loads(row["facts"])})


def job_of(row: Row) -> Job:
    """A job from its row."""
    values = {field.name: row[field.name] for field in fields(Job)}
    decoded = {key: json.loads(values[key] or "null") for key in ("request", "notices", "result")}
    return Job(**{**values, **decoded})
