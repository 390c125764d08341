"""A client of ``lipwright serve``; needs nothing but Python.

from lipwright.client import Client

client = Client("http://127.0.0.1:7860")
video, speech = client.upload("talk.mp4"), client.upload("speech.wav")
job = client.dub(
video, speech, consent={"who": "Ada", "purpose": "a test", "date": "2026-11-28"}
)
client.wait(job)
client.download(job, "dubbed.mp4")
"""

from __future__ import annotations

import http.client
import json
import mimetypes
import os
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from lipwright.errors import LipwrightError

__all__ = ["ApiError", "Client", "JobFailed"]

ENDED = ("done", "failed", "cancelled")
CHUNK = 1 << 20

Json = dict[str, Any]


class ApiError(LipwrightError):
    """The server refused a request.

    Attributes:
        status: HTTP status.
        detail: the server's sentence.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{detail} (status {status})")
        self.status, self.detail = status, detail


class JobFailed(LipwrightError):  # noqa: N818 - what happened, as the states are called
    """A job ended without a result.

    Attributes:
        job: as the server has it.
    """

    def __init__(self, job: Json) -> None:
        super().__init__(f"Job {job['number']} {job['state']}: {job['error'] or 'no result'}")
        self.job = job


class Client:
    """A connection to a server.

    Args:
        url: of the server.
        token: if it needs one; ``LIPWRIGHT_TOKEN`` by default.
        timeout: seconds without a sign of life.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:7860",
        token: str | None = None,
        timeout: float = 120.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise LipwrightError(f"'{url}' is no address of a server; give http://HOST:PORT.")
        self._parts, self._timeout = parts, timeout
        self._token = token or os.environ.get("LIPWRIGHT_TOKEN")

    def upload(self, path: str | Path) -> Json:
        """Send a file, a part at a time; gives what the server found in it.

        Raises:
            ApiError: the server refuses it.
            LipwrightError: it cannot be read, or there is no server.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                headers = {"Content-Type": kind, "Content-Length": str(size)}
                target = "/files?" + urlencode({"name": path.name})
                return self._json("POST", target, body=file, headers=headers)
        except FileNotFoundError:
            raise LipwrightError(f"There is no file {path}; check the name.") from None

    def sample(self) -> dict[str, Json]:
        """The server's bundled sample: ``video`` and ``speech``."""
        return self._json("POST", "/samples")

    def dub(
        self,
        video: Json | str,
        speech: Json | str,
        *,
        consent: Mapping[str, str],
        options: Mapping[str, Any] | None = None,
        webhook: str | None = None,
        key: str | None = None,
    ) -> Json:
        """Queue a dub.

        Args:
            video: an upload, its id, or ``path:NAME`` in the server's media folder.
            speech: likewise.
            consent: ``who``, ``purpose`` and ``date``.
            options: as on the command line, with underscores.
            webhook: address that is told the end.
            key: idempotency key; a random one by default, so that a request that is sent twice
                by a bad connection makes one job.

        Returns:
            The job.
        """
        body = {
            "video": _id(video),
            "speech": _id(speech),
            "consent": dict(consent),
            "options": dict(options or {}),
        }
        if webhook is not None:
            body["webhook"] = webhook
        return self._create("/jobs", body, key)

    def preview(
        self, video: Json | str, speech: Json | str, options: Mapping[str, Any] | None = None
    ) -> Json:
        """Queue a preview: a few frames, source above result."""
        body = {"video": _id(video), "speech": _id(speech), "options": dict(options or {})}
        return self._create("/previews", body)

    def speak(self, text: str, voice: str | None = None) -> Json:
        """Let the server's synthesiser speak a text; gives an upload like :meth:`upload`."""
        body = {"text": text, **({} if voice is None else {"voice": voice})}
        return self._json("POST", "/speeches", data=body)

    def people(self, video: Json | str) -> Json:
        """Queue a look at who is in a video: its people and, shot by shot, their faces."""
        return self._create("/people", {"video": _id(video)})

    def verify(self, *, file: Json | str | None = None, job: Json | str | None = None) -> Json:
        """Queue the verification of an upload or of a job's result."""
        body = {"file": _id(file)} if file is not None else {"job": _id(job or "")}
        return self._create("/verifications", body)

    def _create(self, path: str, body: Json, key: str | None = None) -> Json:
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        return self._json("POST", path, data=body, headers=headers)

    def job(self, job: Json | str) -> Json:
        """A job as it stands."""
        return self._json("GET", f"/jobs/{quote(_id(job), safe='')}")

    def jobs(self, **filters: Any) -> list[Json]:
        """Jobs, the newest first; ``state``, ``kind``, ``limit``, ``before``."""
        with self._open("GET", "/jobs?" + urlencode(filters)) as answer:
            found: list[Json] = json.loads(answer.read())
            return found

    def cancel(self, job: Json | str) -> Json:
        """Cancel a job."""
        return self._json("POST", f"/jobs/{_id(job)}/cancel")

    def retry(self, job: Json | str) -> Json:
        """Queue a failed or cancelled job again."""
        return self._json("POST", f"/jobs/{_id(job)}/retry")

    def delete(self, job: Json | str) -> None:
        """Remove an ended job with its results."""
        self._json("DELETE", f"/jobs/{_id(job)}")

    def delete_file(self, file: Json | str) -> None:
        """Remove an upload."""
        self._json("DELETE", f"/files/{_id(file)}")

    def events(self, job: Json | str) -> Iterator[Json]:
        """The job at every change, until it has ended."""
        with self._open("GET", f"/jobs/{_id(job)}/events") as answer:
            event = ""
            for line in answer:
                text = line.decode("utf-8").rstrip("\r\n")
                if text.startswith("event: "):
                    event = text.removeprefix("event: ")
                elif text.startswith("data: "):
                    found = json.loads(text.removeprefix("data: "))
                    if found is not None:
                        yield found
                    if event == "end":
                        return

    def wait(self, job: Json | str, progress: Callable[[Json], None] | None = None) -> Json:
        """Wait until a job has ended, through broken connections and a restart of the server.

        Args:
            job: the job.
            progress: is told the job at every change.

        Returns:
            The job, which is done.

        Raises:
            JobFailed: it failed or was cancelled.
        """
        silent_since = time.monotonic()
        while True:
            try:
                for found in self.events(job):
                    silent_since = time.monotonic()
                    if progress is not None:
                        progress(found)
                    if found["state"] == "done":
                        return found
                    if found["state"] in ENDED:
                        raise JobFailed(found)
            except (JobFailed, ApiError):
                raise
            except LipwrightError:
                if time.monotonic() - silent_since > self._timeout:
                    raise
            time.sleep(0.5)

    def download(self, job: Json | str, path: str | Path, role: str = "result") -> Path:
        """Save a file of a job's result; it appears under its name when it is complete.

        Args:
            job: the job.
            path: where to.
            role: ``result``, ``report``, ``sheet``, ``preview`` ...
        """
        path = Path(path)
        partial = path.with_name(f".{path.name}.part")
        try:
            with self._open("GET", f"/jobs/{_id(job)}/files/{quote(role, safe='')}") as answer:
                expected = answer.headers.get("Content-Length")
                with partial.open("wb") as file:
                    while chunk := answer.read(CHUNK):
                        file.write(chunk)
                if expected is not None and partial.stat().st_size != int(expected):
                    raise LipwrightError("The download broke off; try again.")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    def _json(self, method: str, path: str, **more: Any) -> Json:
        with self._open(method, path, **more) as answer:
            content = answer.read()
            found: Json = json.loads(content) if content else {}
            return found

    def _open(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        body: IO[bytes] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Answer:
        sent = {"Accept": "application/json", **(headers or {})}
        if data is not None:
            body = json.dumps(data).encode()
            sent["Content-Type"] = "application/json"
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        host, port = self._parts.hostname or "", self._parts.port
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                host, port, timeout=self._timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        target = self._parts.path.rstrip("/") + "/api/v1" + path
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise LipwrightError(
                f"The server at {self._parts.netloc} does not answer ({error}); is it running?"
            ) from error
        if answer.status >= 400:
            text = answer.read(1 << 16)
            connection.close()
            try:
                detail = str(json.loads(text)["detail"])
            except (ValueError, KeyError, TypeError):
                detail = f"The server refused {method} {path}"
            raise ApiError(answer.status, detail)
        return _Answer(connection, answer)


class _Answer:
    """An answer that closes its connection, and whose errors are LipwrightErrors."""

    def __init__(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        self._connection, self._answer = connection, answer
        self.headers = answer.headers

    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def read(self, size: int | None = None) -> bytes:
        try:
            return self._answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error) from error

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                line = self._answer.readline()
            except (OSError, http.client.HTTPException) as error:
                raise _broken(error) from error
            if not line:
                return
            yield line


def _broken(error: Exception) -> LipwrightError:
    return LipwrightError(f"The connection to the server broke off ({error}); try again.")


def _id(thing: Json | str) -> str:
    return thing if isinstance(thing, str) else str(thing["id"])
