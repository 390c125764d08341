"""Compiled networks in the cache: used again, equal, and believed only if this user made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipwright import compiled_networks
from lipwright.compiled_networks import compiled
from lipwright.files.kept_files import write_digest

CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    graphs = tmp_path / "graphs"
    monkeypatch.setenv("LIPWRIGHT_GRAPHS", str(graphs))
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    return graphs


class Builder:
    """Makes 3 x + 1, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Any:
        import openvino as ov
        from openvino import opset13 as ops

        self.made += 1
        x = ops.parameter([2, 3], np.float32)
        y = ops.add(ops.multiply(x, np.float32(3.0)), np.float32(1.0))
        return ov.Model([y], [x], "small")


def answer(network: Any) -> list[float]:
    return [float(v) for v in network([np.arange(6, dtype=np.float32).reshape(2, 3)])[0].ravel()]


EXPECTED = [1.0, 4.0, 7.0, 10.0, 13.0, 16.0]


def test_the_second_time_nothing_is_built() -> None:
    build = Builder()
    assert answer(compiled("small", CONFIG, build)) == EXPECTED
    assert answer(compiled("small", CONFIG, build)) == EXPECTED
    assert build.made == 1


def test_another_network_or_setting_is_another_file() -> None:
    build = Builder()
    compiled("small", CONFIG, build)
    compiled("other", CONFIG, build)
    compiled("small", {**CONFIG, "INFERENCE_NUM_THREADS": 2}, build)
    assert build.made == 3


@pytest.mark.parametrize("damage", ["content", "digest", "empty"])
def test_what_was_changed_is_made_again(folder: Path, damage: str) -> None:
    build = Builder()
    compiled("small", CONFIG, build)
    (blob,) = folder.glob("*.blob")
    if damage == "digest":
        (folder / f"{blob.name}.mac").unlink()
    else:
        data = blob.read_bytes()
        blob.write_bytes(b"" if damage == "empty" else data[:-1] + bytes([data[-1] ^ 1]))
    assert answer(compiled("small", CONFIG, build)) == EXPECTED
    assert build.made == 2


def test_what_openvino_refuses_is_made_again(folder: Path) -> None:
    """A file with a right digest that is no network."""
    build = Builder()
    compiled("small", CONFIG, build)
    (blob,) = folder.glob("*.blob")
    blob.write_bytes(b"no network")
    write_digest(blob)
    assert answer(compiled("small", CONFIG, build)) == EXPECTED
    assert build.made == 2


def test_a_folder_that_cannot_be_written_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("LIPWRIGHT_GRAPHS", str(blocked))
    assert answer(compiled("small", CONFIG, Builder())) == EXPECTED


def test_the_oldest_are_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_networks, "KEPT", 2)
    for name in "abc":
        compiled(name, CONFIG, Builder())
    assert len(list(folder.glob("*.blob"))) == 2
    assert len(list(folder.glob("*.mac"))) == 2
