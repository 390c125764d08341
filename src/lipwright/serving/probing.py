"""Probing an upload in a child process, and what is allowed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError

WALL_SECONDS = 60.0
SAMPLE_SECONDS = 300.0


def probe(path: Path, poster: Path, most_seconds: float) -> dict[str, Any]:
    """What an upload is; see ``child.probe``.

    Args:
        path: the file.
        poster: a small picture of it is written here.
        most_seconds: longest length.

    Raises:
        LipwrightError: it is nothing that can be dubbed or heard, or too long.
    """
    facts = _child(["probe", str(path), str(poster)], WALL_SECONDS)
    if facts["seconds"] > most_seconds:
        raise LipwrightError(
            f"The file lasts {facts['seconds']:.0f} s; this server takes {most_seconds:.0f} s."
        )
    return facts


def make_sample(folder: Path) -> dict[str, str]:
    """Write the bundled sample; gives the names of its files by role."""
    return _child(["sample", str(folder)], SAMPLE_SECONDS)


def _child(arguments: list[str], seconds: float) -> dict[str, Any]:
    # A small thread pool: every thread of a numerical library counts against the address space.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    unreadable = LipwrightError(
        "The file cannot be read within the limits for uploads; check that it plays, and convert "
        "it to MP4 or WAV."
    )
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lipwright.serving.child", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise unreadable from None
    if done.returncode != 0:
        raise unreadable
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise unreadable from None
    if "error" in found:
        raise LipwrightError(found["error"])
    return found
