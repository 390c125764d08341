"""Folders of users who have no home, whose home is read-only, or whose folder stands open."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from lipwright.files import user_folders

posix = pytest.mark.skipif(sys.platform == "win32", reason="no modes on Windows")
HOMELESS = """
import pathlib
def home(cls):
    raise RuntimeError
pathlib.Path.home = classmethod(home)
"""


def homeless(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of a user without a home folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LIPWRIGHT", "XDG", "HOME"))}
    return subprocess.run(
        [sys.executable, "-c", HOMELESS + code],
        env=kept,
        capture_output=True,
        text=True,
        check=True,
    )


@posix
def test_without_a_home_the_cache_is_private_and_goes_with_the_process() -> None:
    done = homeless(
        "from lipwright.files.user_folders import cache_folder\n"
        "folder = cache_folder()\n"
        "assert folder == cache_folder()\n"
        "print(folder, oct(folder.stat().st_mode))\n"
    )
    folder, mode = done.stdout.split()
    assert mode == "0o40700"
    assert Path(folder).name != "lipwright"  # no name that others can foresee
    assert not Path(folder).exists()


@posix
def test_without_a_home_there_is_a_sentence_for_the_records() -> None:
    done = homeless(
        "from lipwright.files.user_folders import home\n"
        "from lipwright.errors import LipwrightError\n"
        "from lipwright.provenance.record.registry import read_registry\n"
        "from lipwright.provenance.record.consent import NOTICE, first_run_notice\n"
        "try: home()\n"
        "except LipwrightError as error: print(error)\n"
        "assert read_registry() == []\n"
        "assert first_run_notice(None) == NOTICE\n"
    )
    assert "LIPWRIGHT_HOME" in done.stdout


def test_a_tilde_without_a_home_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(path: Path) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", none)
    monkeypatch.setenv("LIPWRIGHT_CACHE", "~/cache")
    with pytest.raises(LipwrightError, match="full path"):
        user_folders.cache_folder()


@posix
@pytest.mark.parametrize(("named", "mode"), [(False, 0o700), (True, 0o755)])
def test_the_default_folder_is_tightened_and_a_named_one_is_not(
    named: bool, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform != "linux":
        pytest.skip("the default folder is elsewhere")
    folder = tmp_path / "lipwright"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.delenv("LIPWRIGHT_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    if named:
        monkeypatch.setenv("LIPWRIGHT_HOME", str(folder))
    assert user_folders.private_folder() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == mode
