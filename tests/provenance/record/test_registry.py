"""The user's own list of ids."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import sys
from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from lipwright.files.user_folders import home
from lipwright.provenance.record.registry import (
    Entry,
    HashedFile,
    now,
    read_registry,
    register,
    registry_path,
    unused_id,
)


def entry(mark_id: int, name: str = "out.mp4") -> Entry:
    return Entry(
        mark_id=mark_id,
        time=now(),
        output=HashedFile(name, "ab" * 32, 12),
        inputs=[HashedFile("in.mp4", "cd" * 32, 34)],
        size=(640, 480),
        region="face",
        model="vq@1234",
    )


def test_entries_come_back_newest_first() -> None:
    assert read_registry() == []
    first, second = entry(1), entry(2, 'näme, with "signs".mp4')
    register(first)
    register(second)
    assert read_registry() == [second, first]


def test_a_short_entry() -> None:
    register(Entry(7, now()))
    assert read_registry()[0].output is None


@pytest.mark.skipif(sys.platform == "win32", reason="no modes on Windows")
def test_only_the_user_can_read_it() -> None:
    register(entry(1))
    assert stat.S_IMODE(registry_path().stat().st_mode) == 0o600
    assert stat.S_IMODE(home().stat().st_mode) == 0o700


def test_damaged_lines_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    register(entry(1))
    with registry_path().open("ab") as stream:
        stream.write(b'{"mark_id": "zz"}\nnot json\n\n[1]\n{"mark_id": "00000009"}\n\xff\xfe\n')
    register(entry(2))
    with caplog.at_level(logging.WARNING):
        assert [e.mark_id for e in read_registry()] == [2, 1]
    assert "Line 2" in caplog.text


def test_unused_ids_are_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    register(entry(5))
    drawn = iter([5, 5, 6])
    monkeypatch.setattr("lipwright.provenance.record.registry.new_id", lambda: next(drawn))
    assert unused_id() == 6


def test_hashes(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"x" * 3_000_000)
    hashed = HashedFile.of(path)
    assert hashed == HashedFile("file.bin", hashlib.sha256(b"x" * 3_000_000).hexdigest(), 3_000_000)
    with pytest.raises(LipwrightError, match="cannot be read"):
        HashedFile.of(tmp_path / "none")


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    monkeypatch.setenv("LIPWRIGHT_HOME", str(blocker / "home"))
    with pytest.raises(LipwrightError, match="LIPWRIGHT_HOME"):
        register(entry(1))


def test_the_usual_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LIPWRIGHT_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert home() == tmp_path / "lipwright"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "Application Support" in str(home())
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(os.environ, "LOCALAPPDATA", str(tmp_path / "local"))
    assert home() == tmp_path / "local" / "lipwright"
