"""Plans are kept in the user's cache folder, for the next dub of the same video.

A plan holds reference pictures of faces, so its file is readable for its owner only, and it is
believed only if this user made it (see ``files.kept_files``). Old plans give way to new ones.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lipwright.dubbing.findings import findings_beside
from lipwright.dubbing.plan import Plan, Source
from lipwright.dubbing.plan_file import PlanWriter, load
from lipwright.errors import LipwrightError
from lipwright.files.kept_files import (
    MAKING,
    forget,
    keep_file,
    kept_name,
    open_kept,
    read_kept,
    write_digest,
)
from lipwright.files.user_folders import cache_folder

log = logging.getLogger("lipwright.dubbing")

PLANS_VARIABLE = "LIPWRIGHT_PLANS"
"""Names another folder than the cache's; a server keeps plans with its other data."""
MOST_PLANS = 64
MOST_BYTES = 512 << 20
BESIDE = ".json"
"""Suffix of what is kept beside the plans (``.jsonl``)."""
_DAY = 86_400.0


def plan_for(
    video: Path,
    settings: dict[str, Any],
    make: Callable[[PlanWriter], Plan],
    *,
    keep: bool,
    scratch: Path,
) -> tuple[Plan, bool]:
    """The plan of a video, from the cache or fresh.

    Args:
        video: the file.
        settings: how it is looked at.
        make: pass 1.
        keep: use the cache; else, and where the cache cannot be written, the plan's file is made
            in ``scratch``.
        scratch: an existing folder of the job.

    Returns:
        The plan, and whether it came from the cache.
    """
    source = Source.of(video)
    folder = _folder() if keep else None
    if folder is None:
        return _made(PlanWriter(scratch / "plan.jsonl", source, settings), make), False
    path = _path(folder, source, settings)
    found = _loaded(path, source, settings)
    if found is not None:
        return found, True
    handle, name = tempfile.mkstemp(dir=folder, prefix=MAKING)
    os.close(handle)
    plan = _made(PlanWriter(Path(name), source, settings), make)
    try:
        write_digest(Path(name), path.name)
        os.replace(name, path)
    except (OSError, LipwrightError) as error:
        log.info("the plan cannot be kept in %s (%s)", folder, error)
        kept = scratch / "plan.jsonl"
        shutil.move(name, kept)
        plan.path = kept
        return plan, False
    plan.path = path
    tidy(folder)
    return plan, False


def kept_plan(video: Path, settings: dict[str, Any]) -> Plan | None:
    """The plan of a video if it is in the cache.

    Args:
        video: the file.
        settings: how it is looked at.
    """
    folder = _folder()
    if folder is None:
        return None
    source = Source.of(video)
    return _loaded(_path(folder, source, settings), source, settings)


def _path(folder: Path, source: Source, settings: dict[str, Any]) -> Path:
    identity = json.dumps([asdict(source), settings], sort_keys=True)
    return folder / kept_name(identity, ".jsonl")


def _loaded(path: Path, source: Source, settings: dict[str, Any]) -> Plan | None:
    file = open_kept(path)
    found = None if file is None else load(path, source, settings, file)
    if found is not None:
        with contextlib.suppress(OSError):
            os.utime(path)  # the most recently used is the last to go
    return found


def kept_beside_plans(identity: str, keep: bool, make: Callable[[], Any]) -> Any:
    """Plain JSON values that belong to a plan: from the plans' folder, or made and kept there.

    Args:
        identity: everything that they depend on.
        keep: use the cache.
        make: gives them.
    """
    folder = _folder() if keep else None
    if folder is None:
        return make()
    path = folder / kept_name(identity, BESIDE)
    found = read_kept(path)
    if found is not None:
        with contextlib.suppress(ValueError, OSError):
            values = json.loads(found)
            os.utime(path)
            return values
    values = make()
    with contextlib.suppress(OSError, LipwrightError):
        keep_file(path, json.dumps(values).encode())
        _tidy(folder, f"*{BESIDE}")
    return values


def _made(writer: PlanWriter, make: Callable[[PlanWriter], Plan]) -> Plan:
    try:
        return make(writer)
    except BaseException:
        writer.discard()
        raise


def _folder() -> Path | None:
    named = os.environ.get(PLANS_VARIABLE)
    folder = Path(named) if named else cache_folder() / "plans"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def tidy(folder: Path) -> None:
    """Remove the plans that were used least recently until the rest is small enough."""
    _tidy(folder, "*.jsonl")


def _tidy(folder: Path, pattern: str) -> None:
    with contextlib.suppress(OSError):
        files = sorted(folder.glob(pattern), key=lambda path: -path.stat().st_mtime)
        held = 0
        for count, path in enumerate(files, 1):
            held += path.stat().st_size
            if count > MOST_PLANS or (held > MOST_BYTES and count > 1):
                for each in (*findings_beside(path), path):
                    forget(each)
        for path in folder.glob(MAKING + "*"):  # left behind by a killed job
            if path.stat().st_mtime < time.time() - _DAY:
                path.unlink()
