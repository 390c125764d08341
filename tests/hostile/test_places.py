"""Places that give out, and clocks that jump, while a dub runs."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from tests.dubbing.test_job import frames, place, run, same

__all__ = ["place"]

ROOM = 20_000
"""Bytes: less than the lossless result needs, more than its first packets."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and limits of file sizes")
@pytest.mark.parametrize("resume", [False, True])
def test_a_place_that_gives_out_is_one_sentence(place: Path, resume: bool) -> None:
    """A limit on file sizes stands for a full disk: writing fails in the middle of the file."""
    told = place.parent / "told"
    child = os.fork()
    if child == 0:  # limits hold for a whole process
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
            run(place, length="video", resume=resume)
            told.write_text("it was written")
        except LipwrightError as error:
            told.write_text(error.sentence)
            code = 0
        except BaseException as error:
            told.write_text(f"{type(error).__name__}: {error}"[:500])
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    sentence = told.read_text()
    assert os.waitstatus_to_exitcode(status) == 0, sentence
    assert "out.mkv" in sentence
    assert "\n" not in sentence
    assert not (place / "out.mkv").exists()
    if not resume:
        assert sorted(p.name for p in place.iterdir()) == ["s.wav", "v.mp4"]
    # With room again the same command succeeds, and nothing is left beside its output.
    run(place, length="video", resume=resume)
    assert len(frames(place / "out.mkv")) == 50
    assert sorted(p.name for p in place.iterdir()) == ["out.mkv", "s.wav", "v.mp4"]


def test_a_clock_that_jumps_changes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(place, "calm.mkv")
    calls = count()
    monkeypatch.setattr(time, "time", lambda: 4e9 if next(calls) % 2 else 1000.0)
    report = run(place, "jumping.mkv", report=place / "r.json")
    assert same(frames(place / "calm.mkv"), frames(place / "jumping.mkv"))
    assert all(seconds >= 0 for seconds in report.timings.values())


def test_output_on_another_file_system(place: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == place.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    target = other / f"lipwright-test-{os.getpid()}"
    target.mkdir()
    try:
        run(place, "here.mkv")
        run(place, str(target / "there.mkv"))
        assert same(frames(place / "here.mkv"), frames(target / "there.mkv"))
        assert [p.name for p in target.iterdir()] == ["there.mkv"]
        beside = {"compare": target / "c.mp4", "report": target / "r.json"}
        run(place, "here.mkv", **beside)
        assert {p.name for p in target.iterdir()} == {"there.mkv", "c.mp4", "r.json"}
    finally:
        for path in target.iterdir():
            path.unlink()
        target.rmdir()
