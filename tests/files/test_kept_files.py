"""Files kept for later runs are believed only if this user made them and nobody changed them."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from lipwright.files import kept_files
from lipwright.files.kept_files import (
    forget,
    kept_name,
    mac_path,
    open_kept,
    read_kept,
    write_digest,
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def kept(folder: Path, name: str = "graph.xml", content: bytes = b"content") -> Path:
    path = folder / name
    path.write_bytes(content)
    write_digest(path)
    return path


def test_what_was_kept_is_read_again(tmp_path: Path, home: Path) -> None:
    path = kept(tmp_path)
    assert read_kept(path) == b"content"
    handle = open_kept(path)
    assert handle is not None
    with handle:
        assert handle.read() == b"content"
    # By the standard library's own BLAKE2b: key, name, zero byte, content.
    key = (home / "cache-key").read_bytes()
    expected = hashlib.blake2b(b"graph.xml\0content", key=key).digest()
    assert mac_path(path).read_bytes() == expected


@pytest.mark.parametrize("change", ["content", "mac", "no mac", "other name", "other key"])
def test_what_was_changed_is_not_believed(change: str, tmp_path: Path, home: Path) -> None:
    path = kept(tmp_path)
    if change == "content":
        path.write_bytes(b"Content")
    elif change == "mac":
        mac_path(path).write_bytes(hashlib.blake2b(b"graph.xml\0content").digest())
    elif change == "no mac":
        mac_path(path).unlink()
    elif change == "other name":  # an old graph under the name of a newer one
        other = tmp_path / "other.xml"
        path.rename(other)
        mac_path(path).rename(mac_path(other))
        path = other
    else:
        (home / "cache-key").write_bytes(os.urandom(32))
        kept_files._key.cache_clear()
    assert read_kept(path) is None
    assert open_kept(path) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no modes on Windows")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(mode: int, tmp_path: Path) -> None:
    path = kept(tmp_path)
    path.chmod(mode)
    assert read_kept(path) is None
    assert open_kept(path) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no owners on Windows")
def test_a_file_of_another_user_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert read_kept(path) is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path = kept(tmp_path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert read_kept(path) is None


def test_a_file_can_be_vouched_for_under_its_coming_name(tmp_path: Path) -> None:
    new, path = tmp_path / ".new", tmp_path / "plan.jsonl"
    new.write_bytes(b"plan")
    write_digest(new, path.name)
    os.replace(new, path)
    assert read_kept(path) == b"plan"
    forget(path)
    assert list(tmp_path.glob("*plan*")) == []
    assert read_kept(path) is None


def test_the_key_is_this_users_alone(tmp_path: Path, home: Path) -> None:
    name = kept_name("what", ".xml")
    key = home / "cache-key"
    assert len(key.read_bytes()) == 32
    if sys.platform != "win32":
        assert key.stat().st_mode & 0o777 == 0o600
        key.chmod(0o666)
        kept_files._key.cache_clear()
        with pytest.raises(LipwrightError, match="delete"):
            write_digest(kept(tmp_path))
        key.chmod(0o600)
    kept_files._key.cache_clear()
    assert kept_name("what", ".xml") == name
    assert kept_name("other", ".xml") != name
    key.write_bytes(b"cut")  # damaged: made anew
    kept_files._key.cache_clear()
    assert kept_name("what", ".xml") != name


def test_without_a_place_for_the_key_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("LIPWRIGHT_HOME", str(blocked / "home"))
    assert read_kept(path) is None
    assert kept_name("what", ".xml").endswith(".xml")
    with pytest.raises(LipwrightError, match="LIPWRIGHT_HOME"):
        write_digest(path)
