"""Uploads and results go after a while, with all that belongs to them."""

from __future__ import annotations

import time

from lipwright.errors import LipwrightError
from lipwright.serving.background import Background
from lipwright.serving.files import ID, remove
from lipwright.serving.records import ENDED
from lipwright.serving.settings import Settings
from lipwright.serving.store import Store

EVERY_SECONDS = 60.0
UNFINISHED_SECONDS = 24 * 3600.0


def tidy(settings: Settings, store: Store, now: float | None = None) -> None:
    """Remove what is older than ``settings.keep_seconds`` and what nothing belongs to."""
    now = time.time() if now is None else now
    if settings.keep_seconds is not None:
        limit = now - settings.keep_seconds
        marks = ", ".join("?" * len(ENDED))
        sql = f"SELECT id FROM jobs WHERE state IN ({marks}) AND ended < ?"
        for row in store.database.rows(sql, *ENDED, limit):
            delete_job(settings, store, row["id"])
        for row in store.database.rows("SELECT id FROM files WHERE created < ?", limit):
            try:
                delete_file(settings, store, row["id"])
            except LipwrightError:
                continue  # a job needs it
        store.database.run("DELETE FROM idempotency WHERE created < ?", limit)
        for plan in settings.plans.glob("*"):
            if plan.is_file() and plan.stat().st_mtime < limit:
                plan.unlink(missing_ok=True)
    _remove_orphans(settings, store, now)


def delete_job(settings: Settings, store: Store, name: str) -> bool:
    """Forget an ended job and remove its results.

    Raises:
        LipwrightError: it waits or runs.
    """
    found = store.delete_job(name)
    if found:
        remove(settings.jobs / name)
    return found


def delete_file(settings: Settings, store: Store, name: str) -> bool:
    """Forget an upload and remove it.

    Raises:
        LipwrightError: a job needs it.
    """
    found = store.delete_file(name)
    if found:
        remove(settings.uploads / name)
    return found


def _remove_orphans(settings: Settings, store: Store, now: float) -> None:
    """Folders without a row: what a killed server left between two steps."""
    known = {row["id"] for row in store.database.rows("SELECT id FROM jobs")}
    known |= {row["id"] for row in store.database.rows("SELECT id FROM files")}
    for parent in (settings.uploads, settings.jobs):
        for folder in parent.iterdir():
            if folder.name in known or not ID.fullmatch(folder.name):
                continue
            if now - folder.stat().st_mtime > UNFINISHED_SECONDS:
                remove(folder)


class Keeper(Background):
    """A thread that tidies now and then."""

    doing, pause = "tidying", EVERY_SECONDS

    def __init__(self, settings: Settings, store: Store) -> None:
        super().__init__()
        self._settings, self._store = settings, store

    def once(self) -> None:
        """See :func:`tidy`."""
        tidy(self._settings, self._store)
