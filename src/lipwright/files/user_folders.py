"""Where a user's own files lie: the cache, and the records (registry, signing key).

A folder that other users of the computer can write to is never a substitute for a missing one:
what is read back from a cache runs as a network or is shown as a face. A user without a home
folder, or whose home cannot be written, gets a private temporary folder that goes when the process
ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from lipwright.errors import LipwrightError, system_errors

CACHE_VARIABLE = "LIPWRIGHT_CACHE"
HOME_VARIABLE = "LIPWRIGHT_HOME"


def cache_folder() -> Path:
    """The folder for what can be made or downloaded again (not necessarily there yet)."""
    if named := os.environ.get(CACHE_VARIABLE):
        return expanded(named, CACHE_VARIABLE)
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as containers have them
        return temporary_folder()
    return base / "lipwright"


def graph_folder() -> Path:
    """Where converted and compiled networks are kept, ``LIPWRIGHT_GRAPHS`` if it is set (not
    necessarily there yet).
    """
    if named := os.environ.get("LIPWRIGHT_GRAPHS"):
        return Path(named).expanduser()
    return cache_folder() / "graphs"


def home() -> Path:
    """The folder for the user's own records: registry, key and certificate.

    Raises:
        LipwrightError: the user has no home folder and names no other.
    """
    if chosen := os.environ.get(HOME_VARIABLE):
        return expanded(chosen, HOME_VARIABLE)
    try:
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = str(Path.home() / "Library" / "Application Support")
        else:
            base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    except RuntimeError:
        raise LipwrightError(
            "This user has no home folder for Lipwright's records (signing key and registry of "
            f"watermarks); set {HOME_VARIABLE} to a folder that can be written."
        ) from None
    return Path(base) / "lipwright"


def private_folder() -> Path:
    """:func:`home`, made if need be, open to the user alone.

    The rights of the default folder are tightened to the user where they were wider; those of a
    folder that the user named are left as they are.

    Raises:
        LipwrightError: it cannot be made.
    """
    folder = home()
    with system_errors(
        f"The folder {folder} for Lipwright's records cannot be made",
        f"set {HOME_VARIABLE} to a folder that can be written",
    ):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.environ.get(HOME_VARIABLE) and sys.platform != "win32":
        with contextlib.suppress(OSError):  # somebody else's folder: its files are checked
            if folder.stat().st_mode & 0o077:
                folder.chmod(0o700)
    return folder


@cache
def temporary_folder() -> Path:
    """A folder that only this user can enter and that goes when the process ends.

    Raises:
        LipwrightError: the folder for temporary files cannot be written.
    """
    with system_errors(
        "No temporary folder can be made",
        f"set TMPDIR or {CACHE_VARIABLE} to a folder that can be written",
    ):
        folder = Path(tempfile.mkdtemp(prefix="lipwright-"))
    maker = os.getpid()

    def remove() -> None:
        if os.getpid() == maker:  # not a child that was forked and ends before
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def expanded(named: str, variable: str) -> Path:
    """The folder that an environment variable names, with ``~`` put in full.

    Raises:
        LipwrightError: there is no home folder to stand for ``~``.
    """
    try:
        return Path(named).expanduser()
    except RuntimeError:
        raise LipwrightError(
            f"{variable} is {named!r}, but this user has no home folder; give a full path."
        ) from None
