"""The fuzzer itself: its damage can be had again, its checksums fit, and it sees every fault."""

from __future__ import annotations

import os
import random
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("resource")
if not sys.platform.startswith("linux"):
    pytest.skip("counts open files in /proc", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools")]

import fuzz  # noqa: E402
from fuzzing.checksums import with_checksums  # noqa: E402
from fuzzing.mutate import mutated  # noqa: E402
from fuzzing.seeds import SEEDS  # noqa: E402
from fuzzing.targets import TARGETS  # noqa: E402


@pytest.fixture
def fuzzer() -> Iterator[fuzz.Fuzzer]:
    made = fuzz.Fuzzer(kinds=["yaml"])
    yield made
    made.close()


def test_every_kind_has_its_trial() -> None:
    assert set(SEEDS) == set(TARGETS)


def test_a_mutant_is_a_function_of_its_number(fuzzer: fuzz.Fuzzer) -> None:
    assert fuzzer.mutant("yaml", 3) == fuzzer.mutant("yaml", 3)
    assert len({fuzzer.mutant("yaml", n)[1] for n in range(30)}) > 20
    assert fuzzer.mutant("yaml", -1)[1].startswith(b"who: Ada")


def test_damage_of_nothing() -> None:
    assert mutated(b"", random.Random(0)) == b""
    assert isinstance(mutated(b"x", random.Random(0), text=True), bytes)


def idat(png: bytes) -> bytes:
    """The content of the only chunk of pixels."""
    start = png.index(b"IDAT") + 4
    return png[start : start + int.from_bytes(png[start - 8 : start - 4], "big")]


def test_checksums(tmp_path: Path) -> None:
    (png,) = SEEDS["png"](tmp_path)
    data = bytearray(png.read_bytes())
    data[16] ^= 1  # in the header chunk: 13 bytes behind its name at 12, then the checksum
    mended = with_checksums("png", bytes(data))
    assert mended[29:33] == zlib.crc32(data[12:29]).to_bytes(4, "big")
    data = bytearray(png.read_bytes())
    place = data.index(b"IDAT") + 200  # in the middle of the deflated pixels
    data[place : place + 4] = b"\xff" * 4
    mended = with_checksums("png", bytes(data))
    before, after = (zlib.decompress(idat(content)) for content in (png.read_bytes(), mended))
    assert after[:100] == before[:100]  # what came before the damage
    assert after != before
    assert len(after) >= len(before)
    (ogg,) = SEEDS["ogg"](tmp_path)  # written with right checksums by libav
    assert with_checksums("ogg", ogg.read_bytes()) == ogg.read_bytes()


def test_damaged_texts_do_no_harm(fuzzer: fuzz.Fuzzer) -> None:
    assert fuzzer.check_seeds() == []
    fuzzer.batch("yaml", list(range(40)))
    assert fuzzer.findings.total == 40
    assert fuzzer.findings.faults == []


@pytest.mark.parametrize("fault", ["crash", "hang", "traceback", "leftover", "memory"])
def test_every_fault_is_seen(
    fault: str, fuzzer: fuzz.Fuzzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trial(path: Path, partners: Path, rng: object) -> str:
        if path.read_bytes() != second:
            return "worked"
        if fault == "crash":
            os.abort()
        elif fault == "hang":
            until = time.process_time() + 60
            while time.process_time() < until:
                pass
        elif fault == "traceback":
            raise KeyError("x")
        elif fault == "leftover":
            (path.parent / "left").touch()
        else:
            bytearray(8 << 30)
        return "worked"

    monkeypatch.setitem(TARGETS, "yaml", trial)
    monkeypatch.setattr(fuzz, "CPU_SECONDS", 0.2)
    second = fuzzer.mutant("yaml", 1)[1]
    fuzzer.batch("yaml", [0, 1, 2])
    assert fuzzer.findings.total == 3
    ((kind, number, outcome),) = fuzzer.findings.faults
    assert (kind, number, outcome.split(":")[0]) == ("yaml", 1, fault)
