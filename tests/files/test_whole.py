"""Files appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lipwright.files.whole import file_sha256, write_json, write_text, written_whole


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("old")
    with written_whole(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".mp4"
        assert ".part" in temporary.name
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_debris(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text("old")

    def fail() -> None:
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_texts_and_checksums(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"a": [1, 2]})
    assert json.loads(path.read_text()) == {"a": [1, 2]}
    write_text(path, "äb")
    assert path.read_bytes() == "äb".encode()
    assert file_sha256(path) == hashlib.sha256("äb".encode()).hexdigest()
