"""What the API and the page do, without HTTP."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from lipwright.errors import LipwrightError
from lipwright.files.whole import json_sha256
from lipwright.media.synthesis import available, synthesise
from lipwright.serving import probing, retention
from lipwright.serving.files import (
    CONTENT,
    ID,
    POSTER,
    TooLargeError,
    folder_of,
    media_path,
    path_of,
    receive,
    remove,
    safe_name,
    used_bytes,
)
from lipwright.serving.options import to_dub_options
from lipwright.serving.records import Job, Kind, StoredFile, new_id
from lipwright.serving.settings import Settings
from lipwright.serving.store import Store
from lipwright.serving.webhooks import check_url

log = logging.getLogger(__name__)

SAMPLE = "sample"
LOWEST_FREE = 256 << 20
TITLE = 40
"""Characters of a spoken text that name its file."""


class MissingError(LipwrightError):
    """There is no such thing."""


class FullError(LipwrightError):
    """No room is left."""


class Service:
    """Uploads and jobs of a server.

    Args:
        settings: what is allowed.
        store: its database.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self._sample_lock = threading.Lock()
        self._speak_lock = threading.Lock()
        self._used = (0.0, 0)

    # Uploads.

    async def upload(
        self, chunks: AsyncIterator[bytes], content_type: str, name: str | None
    ) -> StoredFile:
        """Take an upload, look what it is, and note it; nothing is left of a refused one.

        Raises:
            TooLargeError, FullError, LipwrightError: it is refused.
        """
        await run_in_threadpool(self._check_room)
        with self._new_folder() as folder:
            try:
                given, size = await receive(
                    chunks, content_type, name, folder / CONTENT, self.settings.max_upload
                )
                return await run_in_threadpool(self._note, folder.name, given, size)
            except ClientDisconnect:
                raise LipwrightError("The upload broke off; send the whole file.") from None

    @contextmanager
    def _new_folder(self) -> Iterator[Path]:
        """The folder of a new upload, named by its id, with one for the file in it.

        It is removed if anything goes wrong.
        """
        folder = folder_of(self.settings, new_id())
        try:
            (folder / CONTENT).mkdir(parents=True)
            yield folder
        except BaseException:
            remove(folder)
            raise

    def _note(self, identity: str, name: str, size: int) -> StoredFile:
        folder = folder_of(self.settings, identity)
        facts = probing.probe(folder / CONTENT / name, folder / POSTER, self.settings.max_seconds)
        file = StoredFile(identity, name, size, time.time(), facts)
        self.store.add_file(file)
        return file

    def _check_room(self) -> None:
        if self.stored_bytes() > self.settings.max_storage:
            raise FullError("The server's storage is full; delete some jobs or files.")
        if shutil.disk_usage(self.settings.data).free < LOWEST_FREE:
            raise FullError("The server's disk is full; tell its owner.")

    def stored_bytes(self) -> int:
        """Bytes of uploads and results; looked up at most every ten seconds."""
        at, count = self._used
        if time.monotonic() - at > 10.0:
            count = used_bytes(self.settings.uploads) + used_bytes(self.settings.jobs)
            self._used = (time.monotonic(), count)
        return count

    def sample(self) -> dict[str, StoredFile]:
        """The bundled portrait in motion and the bundled speech, as uploads."""
        made = self.settings.data / SAMPLE
        with self._sample_lock:
            if not (made / "sample-speech.ogg").is_file() or not list(made.glob("*.mp4")):
                made.mkdir(exist_ok=True)
                probing.make_sample(made)
        found = {}
        for role, name in (("video", "sample-portrait.mp4"), ("speech", "sample-speech.ogg")):
            with self._new_folder() as folder:
                shutil.copyfile(made / name, folder / CONTENT / name)
                found[role] = self._note(folder.name, name, (made / name).stat().st_size)
        return found

    @property
    def speaks(self) -> bool:
        """Whether texts can be spoken here."""
        return available(self.settings.synthesiser)

    def speak(self, text: str, voice: str | None = None) -> StoredFile:
        """A text as an upload with its sound; one after another, for a synthesiser takes a core.

        Raises:
            FullError, LipwrightError: it cannot be spoken, or is too long.
        """
        self._check_room()
        name = safe_name(" ".join(text.split())[:TITLE].replace(".", "") + ".wav")
        with self._new_folder() as folder:
            path = folder / CONTENT / name
            with self._speak_lock:
                synthesise(text, path, voice=voice or None, command=self.settings.synthesiser)
            return self._note(folder.name, name, path.stat().st_size)

    def file(self, name: str) -> StoredFile:
        """An upload by its id.

        Raises:
            MissingError: there is none.
        """
        found = self.store.file(name) if ID.fullmatch(name) else None
        if found is None:
            raise MissingError("There is no such file.")
        return found

    def delete_file(self, name: str) -> None:
        """Remove an upload.

        Raises:
            LipwrightError: there is none, or a job needs it.
        """
        self.file(name)
        retention.delete_file(self.settings, self.store, name)

    # Jobs.

    def job(self, name: str) -> Job:
        """A job by its id.

        Raises:
            MissingError: there is none.
        """
        found = self.store.job(name) if ID.fullmatch(name) else None
        if found is None:
            raise MissingError("There is no such job.")
        return found

    def submit(
        self,
        kind: Kind,
        request: dict[str, Any],
        *,
        client: str,
        webhook: str | None = None,
        key: str | None = None,
    ) -> tuple[Job, bool]:
        """Queue a job; gives it and whether it is new.

        Args:
            kind: what to do.
            request: of the API, as plain JSON values.
            client: who asks.
            webhook: address to tell.
            key: idempotency key.

        Raises:
            LipwrightError: the request cannot be done, in one sentence.
        """
        digest = json_sha256([kind, request])
        for role, wanted in (("video", ("video", "picture")), ("speech", None), ("file", None)):
            if request.get(role) is not None:
                request[role] = self._input(request[role], role, wanted)
        if kind in ("dub", "preview"):
            to_dub_options(request["options"])
        if kind == "verify":
            if (request.get("file") is None) is (request.get("job") is None):
                raise LipwrightError("Give either a file or a job to verify.")
            if request.get("job") is not None and self.job(request["job"]).state != "done":
                raise LipwrightError("This job has no result to verify.")
        if webhook is not None:
            check_url(webhook, self.settings.webhook_hosts)
        keyed = (key, digest) if key is not None else None
        return self.store.add_job(
            kind,
            request,
            client=client,
            webhook=webhook,
            key=keyed,
            most=self.settings.max_queued,
        )

    def _input(self, name: str, role: str, kinds: tuple[str, ...] | None) -> str:
        """The id of a usable upload; a path becomes one."""
        if name.startswith("path:"):
            file = self._from_media(name.removeprefix("path:"))
        else:
            try:
                file = self.file(name)
            except MissingError:
                raise LipwrightError(f"There is no file with the id given as {role}.") from None
        if kinds is not None and file.facts["kind"] not in kinds:
            raise LipwrightError(f"The {role} '{file.name}' has sound only; give a video.")
        if role == "speech" and not file.facts["sound"]:
            raise LipwrightError(f"The speech '{file.name}' has no sound; give a file with sound.")
        if not path_of(self.settings, file).is_file():
            raise LipwrightError(f"The {role} '{file.name}' is no longer there.")
        return file.id

    def _from_media(self, relative: str) -> StoredFile:
        """A file of the media folder as if it had been uploaded; it stays where it is."""
        path = media_path(self.settings, relative)
        with self._new_folder() as folder:
            facts = probing.probe(path, folder / POSTER, self.settings.max_seconds)
            facts["media"] = relative
            file = StoredFile(folder.name, path.name, path.stat().st_size, time.time(), facts)
            self.store.add_file(file)
        return file

    def delete_job(self, name: str) -> None:
        """Remove an ended job and its results.

        Raises:
            LipwrightError: there is none, or it has not ended.
        """
        self.job(name)
        retention.delete_job(self.settings, self.store, name)


__all__ = ["FullError", "MissingError", "Service", "TooLargeError"]
