"""Names and bodies of uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from lipwright.serving.files import (
    TooLargeError,
    folder_of,
    media_path,
    media_type,
    receive,
    safe_name,
)
from lipwright.serving.settings import Settings


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("talk.mp4", "talk.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\talk.mov", "talk.mov"),
        (".hidden", "hidden"),
        ("..", "file"),
        ("", "file"),
        ("a\0b\n.mp4", "a_b_.mp4"),
        ("Gespräch 中文.mp4", "Gespräch 中文.mp4"),
        ("<script>.mp4", "_script_.mp4"),
    ],
)
def test_a_name_is_only_a_name(given: str, kept: str) -> None:
    assert safe_name(given) == kept


def test_a_long_name_keeps_its_suffix() -> None:
    name = safe_name("ä" * 500 + ".mp4")
    assert name.endswith(".mp4")
    assert len(name.encode()) <= 100


@pytest.mark.parametrize("name", ["../x", "", "f" * 19, "F" * 20, "f" * 20 + "\n", "%2e%2e"])
def test_an_id_is_twenty_hexadecimal_digits(tmp_path: Path, name: str) -> None:
    with pytest.raises(LipwrightError, match="no id"):
        folder_of(Settings(data=tmp_path), name)


def test_the_media_folder_cannot_be_left(tmp_path: Path) -> None:
    media = tmp_path / "media"
    (media / "inner").mkdir(parents=True)
    (media / "inner" / "a.mp4").write_bytes(b"a")
    (tmp_path / "secret").write_bytes(b"s")
    (media / "link").symlink_to(tmp_path / "secret")
    settings = Settings(data=tmp_path, media=media)
    assert media_path(settings, "inner/a.mp4").read_bytes() == b"a"
    assert media_path(settings, "inner/../inner/a.mp4").read_bytes() == b"a"
    outside = ["../secret", "link", str(tmp_path / "secret"), "inner", "a\0b", "none", "x" * 5000]
    for name in outside:
        with pytest.raises(LipwrightError, match="no such file in the server's media folder"):
            media_path(settings, name)
    with pytest.raises(LipwrightError, match="uploads only"):
        media_path(Settings(data=tmp_path), "a.mp4")


def test_no_type_that_a_browser_would_run() -> None:
    assert media_type("video", "a.mp4") == "video/mp4"
    assert media_type("video", "a.html") == "application/octet-stream"
    assert media_type("picture", "a.svg") == "application/octet-stream"


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def take(folder: Path, data: bytes, kind: str, size: int = 7, most: int = 1000) -> tuple[str, int]:
    return asyncio.run(receive(pieces(data, size), kind, "bare.bin", folder, most))


FORM = (
    b'--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="../a.mp4"\r\n'
    b"Content-Type: video/mp4\r\n\r\nDATA\r\n--X not the end\r\n--XX--\r\n"
)


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
def test_the_file_of_a_form_arrives_however_it_is_cut(tmp_path: Path, size: int) -> None:
    name, count = take(tmp_path, FORM, "multipart/form-data; boundary=XX", size)
    assert (name, count) == ("a.mp4", 21)
    assert (tmp_path / "a.mp4").read_bytes() == b"DATA\r\n--X not the end"


def test_a_bare_body(tmp_path: Path) -> None:
    assert take(tmp_path, b"DATA", "video/mp4") == ("bare.bin", 4)
    assert (tmp_path / "bare.bin").read_bytes() == b"DATA"


@pytest.mark.parametrize(
    ("data", "kind", "sentence"),
    [
        (b"", "video/mp4", "empty"),
        (FORM, "multipart/form-data", "no boundary"),
        (FORM, "multipart/form-data; boundary=YY", "damaged|no file"),
        (FORM[:-20], "multipart/form-data; boundary=XX", "breaks off"),
        (b"--XX--\r\n", "multipart/form-data; boundary=XX", "no file|damaged"),
    ],
)
def test_a_body_without_a_file(tmp_path: Path, data: bytes, kind: str, sentence: str) -> None:
    with pytest.raises(LipwrightError, match=sentence):
        take(tmp_path, data, kind)


def test_too_many_bytes_are_noticed_as_they_come(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError):
        take(tmp_path, b"x" * 2000, "video/mp4", most=1000)
    assert (tmp_path / "bare.bin").stat().st_size <= 1000
