"""Graphs kept between runs: the same frames, made anew where they do not fit or are damaged."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lipwright.methods import graph_cache
from lipwright.methods.engine import OpenVinoEngine

pytest.importorskip("openvino")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIPWRIGHT_GRAPHS", str(tmp_path / "graphs"))
    return tmp_path / "graphs"


class Counting(nn.Module):
    """Counts how often it is traced."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 4, 3)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.calls += 1
        return (torch.relu(self.layer(x)),)


def test_a_kept_graph_draws_the_same_without_tracing(folder: Path) -> None:
    x = torch.rand(2, 3, 16, 16)
    first, second = Counting().eval(), Counting().eval()
    (a,) = OpenVinoEngine(first, name="net")(x)
    assert first.calls > 0
    assert len(list(folder.glob("*.xml"))) == len(list(folder.glob("*.bin"))) == 1
    (b,) = OpenVinoEngine(second, name="net")(x)
    assert second.calls == 0
    assert torch.equal(a, b)
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("change", ["name", "shape", "code"])
def test_another_graph_is_not_mistaken_for_it(
    change: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OpenVinoEngine(Counting().eval(), name="net")(torch.rand(2, 3, 16, 16))
    if change == "code":
        monkeypatch.setattr(graph_cache, "_code", lambda: "changed")
    module = Counting().eval()
    side = 20 if change == "shape" else 16
    OpenVinoEngine(module, name="other" if change == "name" else "net")(torch.rand(2, 3, side, 16))
    assert module.calls > 0
    assert len(list(folder.glob("*.xml"))) == 2


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
@pytest.mark.parametrize("trick", ["replaced", "vouched for by another key", "open to others"])
def test_a_graph_of_somebody_else_is_not_used(suffix: str, trick: str, folder: Path) -> None:
    x = torch.rand(1, 3, 8, 8)
    (a,) = OpenVinoEngine(Counting().eval(), name="net")(x)
    other = Counting().eval()
    other.layer.bias.data += 1.0
    OpenVinoEngine(other, name="other")(x)
    kept = sorted(folder.glob(f"*{suffix}"), key=lambda p: p.stat().st_mtime)[0]
    if trick == "replaced":
        kept.write_bytes(sorted(folder.glob(f"*{suffix}"))[1].read_bytes() + b" ")
    elif trick == "open to others":
        if sys.platform == "win32":
            pytest.skip("no modes on Windows")
        kept.chmod(0o666)
    else:
        (folder / f"{kept.name}.mac").write_bytes(hashlib.blake2b(kept.read_bytes()).digest())
    module = Counting().eval()
    (b,) = OpenVinoEngine(module, name="net")(x)
    assert module.calls > 0
    assert torch.equal(a, b)


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_damaged_graph_is_made_again(suffix: str, folder: Path) -> None:
    x = torch.rand(1, 3, 8, 8)
    (a,) = OpenVinoEngine(Counting().eval(), name="net")(x)
    (kept,) = folder.glob(f"*{suffix}")
    kept.write_bytes(kept.read_bytes()[:40])
    module = Counting().eval()
    (b,) = OpenVinoEngine(module, name="net")(x)
    assert module.calls > 0
    assert torch.equal(a, b)


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("LIPWRIGHT_GRAPHS", str(blocked))
    (a,) = OpenVinoEngine(Counting().eval(), name="net")(torch.rand(1, 3, 8, 8))
    assert a.shape == (1, 4, 6, 6)


def test_only_the_graphs_used_last_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_cache, "KEPT", 2)
    for name in ("a", "b", "c"):
        OpenVinoEngine(Counting().eval(), name=name)(torch.rand(1, 3, 8, 8))
    assert len(list(folder.glob("*.xml"))) == len(list(folder.glob("*.bin"))) == 2


def test_without_a_name_nothing_is_kept(folder: Path) -> None:
    OpenVinoEngine(Counting().eval())(torch.rand(1, 3, 8, 8))
    assert not folder.exists()
