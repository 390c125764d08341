"""Uploads on disk: names, folders, receiving a body without ever holding it in memory."""

from __future__ import annotations

import contextlib
import re
import shutil
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lipwright.errors import LipwrightError
from lipwright.serving.records import StoredFile
from lipwright.serving.settings import Settings
from lipwright.serving.store import Store

ID = re.compile(r"[0-9a-f]{20}")
LONGEST_NAME = 100
POSTER = "poster.jpg"
CONTENT = "content"
_TYPES = {
    "video": {
        ".mp4": "video/mp4",
        ".m4v": "video/mp4",
        ".mov": "video/quicktime",
        ".webm": "video/webm",
        ".mkv": "video/x-matroska",
    },
    "sound": {
        ".wav": "audio/wav",
        ".mp3": "audio/mpeg",
        ".ogg": "audio/ogg",
        ".opus": "audio/ogg",
        ".m4a": "audio/mp4",
        ".flac": "audio/flac",
        ".webm": "audio/webm",
    },
    "picture": {
        ".png": "image/png",
        ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg",
        ".webp": "image/webp",
    },
}


class TooLargeError(LipwrightError):
    """An upload or a body is larger than allowed."""


def safe_name(given: str) -> str:
    """A file name that is only a name: no folders, no control characters, not hidden.

    What the user called the file stays recognisable, for it is shown in the manifest.
    """
    text = unicodedata.normalize("NFC", given).replace("\\", "/").rsplit("/", 1)[-1]
    text = "".join(c if c.isalnum() or c in " ._-()" else "_" for c in text)
    text = text.strip(" .") or "file"
    stem, dot, suffix = text.rpartition(".")
    if not dot or len(suffix) > 8:
        stem, suffix, dot = text, "", ""
    # File systems count bytes, not characters.
    kept = stem.encode()[: LONGEST_NAME - len(suffix) - 1].decode("utf-8", "ignore") or "file"
    return f"{kept}{dot}{suffix}"


def media_type(kind: str, name: str) -> str:
    """What a browser is told about a file; never a type that it would run."""
    return _TYPES.get(kind, {}).get(Path(name).suffix.lower(), "application/octet-stream")


def folder_of(settings: Settings, file: str) -> Path:
    """The folder of an upload.

    Raises:
        LipwrightError: no such id can exist.
    """
    if not ID.fullmatch(file):
        raise LipwrightError("This is no id of a file.")
    return settings.uploads / file


def path_of(settings: Settings, file: StoredFile) -> Path:
    """Where an upload lies."""
    if "media" in file.facts:
        return media_path(settings, file.facts["media"])
    return folder_of(settings, file.id) / CONTENT / file.name


def media_path(settings: Settings, relative: str) -> Path:
    """A file inside the media folder.

    Raises:
        LipwrightError: there is no such folder or file, or it lies outside, links followed.
    """
    if settings.media is None:
        raise LipwrightError(
            "This server takes uploads only; its owner can allow paths with --media FOLDER."
        )
    refusal = LipwrightError("There is no such file in the server's media folder.")
    if "\0" in relative:
        raise refusal
    root = settings.media.resolve()
    try:
        path = (root / relative).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise refusal
    except (OSError, ValueError):
        raise refusal from None
    return path


def result_path(settings: Settings, store: Store, name: str, role: str) -> Path:
    """Where a file of a job's result lies.

    Raises:
        LipwrightError: the job has no such file.
    """
    job = store.job(name)
    file = (job.result or {}).get("files", {}).get(role) if job else None
    path = settings.jobs / name / str(file)
    if not file or not path.is_file():
        raise LipwrightError("There is no such job or file of it.")
    return path


def used_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
    return total


def remove(folder: Path) -> None:
    """Remove a folder and all in it; it may be gone already."""
    shutil.rmtree(folder, ignore_errors=True)


async def receive(
    chunks: AsyncIterator[bytes], content_type: str, name: str | None, folder: Path, most: int
) -> tuple[str, int]:
    """Write an upload to disk as it arrives.

    Args:
        chunks: the body.
        content_type: of the request; ``multipart/form-data`` has the file in its first file part,
            anything else is the file itself.
        name: its name, where the body does not say.
        folder: an existing folder for the file.
        most: bytes.

    Returns:
        The file's name and its size.

    Raises:
        TooLargeError: it has more bytes.
        LipwrightError: there is no file in the body.
    """
    kind, options = parse_options_header(content_type)
    sink = _Sink(folder, most)
    try:
        if kind == b"multipart/form-data":
            await _multipart(chunks, options.get(b"boundary", b""), sink)
        else:
            sink.open(name or "file")
            async for chunk in chunks:
                sink.write(chunk)
    finally:
        sink.close()
    if sink.name is None:
        raise LipwrightError("The form holds no file; send one in the field 'file'.")
    if sink.size == 0:
        raise LipwrightError("The file is empty; send a complete file.")
    return sink.name, sink.size


class _Sink:
    """The file that is being received."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._file: BinaryIO | None = None
        self.name: str | None = None
        self.size = 0

    def open(self, name: str) -> None:
        self.name = safe_name(name)
        self._file = (self._folder / self.name).open("wb")

    def write(self, data: bytes) -> None:
        assert self._file is not None
        self.size += len(data)
        if self.size > self._most:
            raise TooLargeError(
                f"The file has more than the {self._most / 1e6:.0f} MB that this server takes."
            )
        self._file.write(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


async def _multipart(chunks: AsyncIterator[bytes], boundary: bytes, sink: _Sink) -> None:
    """The first part with a file name goes into the sink; the others are skipped."""
    if not boundary:
        raise LipwrightError("The form has no boundary; send it as multipart/form-data.")
    field, value = bytearray(), bytearray()
    headers: dict[bytes, bytes] = {}
    taking = False

    def begin() -> None:
        headers.clear()

    def header_field(data: bytes, start: int, end: int) -> None:
        field.extend(data[start:end])

    def header_value(data: bytes, start: int, end: int) -> None:
        value.extend(data[start:end])

    def header_end() -> None:
        headers[bytes(field).lower()] = bytes(value)
        field.clear()
        value.clear()

    def headers_finished() -> None:
        nonlocal taking
        _, parts = parse_options_header(headers.get(b"content-disposition"))
        name = parts.get(b"filename")
        if name is not None and sink.name is None:
            taking = True
            sink.open(name.decode("utf-8", "replace"))

    def data(content: bytes, start: int, end: int) -> None:
        if taking:
            sink.write(content[start:end])

    def part_end() -> None:
        nonlocal taking
        taking = False

    complete = False

    def finished() -> None:
        nonlocal complete
        complete = True

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": begin,
                "on_header_field": header_field,
                "on_header_value": header_value,
                "on_header_end": header_end,
                "on_headers_finished": headers_finished,
                "on_part_data": data,
                "on_part_end": part_end,
                "on_end": finished,
            },
        )
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise LipwrightError("The form is damaged; send it as multipart/form-data.") from None
    if not complete:
        raise LipwrightError("The form breaks off; send the whole file.")
