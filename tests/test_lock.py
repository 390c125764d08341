from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from lipwright.lock import OutputLock


def test_second_job_is_refused_and_the_lock_goes_away(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with OutputLock(out) as lock:
        assert lock.path.exists()
        with pytest.raises(LipwrightError, match="Another job"), OutputLock(out):
            pass
        with OutputLock(tmp_path / "other.mp4"):
            pass
    assert not list(tmp_path.iterdir())
    with OutputLock(out):
        pass


def test_lock_of_a_killed_job_stops_nobody(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from lipwright.lock import OutputLock\n"
        "OutputLock(pathlib.Path(sys.argv[1])).__enter__()\n"
        "os._exit(9)\n"
    )
    out = tmp_path / "out.mp4"
    assert subprocess.run([sys.executable, "-c", code, str(out)], check=False).returncode == 9
    assert list(tmp_path.iterdir())
    with OutputLock(out):
        pass
    assert not list(tmp_path.iterdir())


def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="cannot be written"):
        OutputLock(tmp_path / "no" / "x.mp4").__enter__()
