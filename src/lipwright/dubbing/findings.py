"""What was found out about a planned video, kept beside its plan: its people, who speaks when.

A finding is plain JSON. It lies beside the plan in the cache folder, is believed only if this user
made it (``files.kept_files``), and belongs to the very code and networks that found it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lipwright.dubbing.plan import Plan
from lipwright.dubbing.plan_version import plan_version
from lipwright.errors import LipwrightError
from lipwright.files.kept_files import keep_file, mac_path, read_kept


def finding(plan: Plan, kind: str, module: str, networks: str, find: Callable[[], Any]) -> Any:
    """A finding from beside the plan, or fresh.

    Args:
        plan: of the video; one that is not in the cache has no findings beside it.
        kind: part of the file's name.
        module: name of the module that finds; a change in it or in what it imports makes older
            findings useless.
        networks: which networks find.
        find: does it; gives plain JSON values.
    """
    if not mac_path(plan.path).exists():
        return find()
    path = plan.path.with_suffix(f".{kind}.json")
    identity = [plan_version(module), networks]
    data = read_kept(path)
    if data is not None:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            kept = json.loads(data)
            if kept["of"] == identity:
                return kept["found"]
    found = find()
    with contextlib.suppress(OSError, LipwrightError):
        keep_file(path, json.dumps({"of": identity, "found": found}).encode())
    return found


def findings_beside(plan: Path) -> list[Path]:
    """The files of the findings of a plan."""
    return [path for path in plan.parent.glob(f"{plan.stem}.*.json") if path.is_file()]
