"""The version of plans: a digest of everything in this package that shapes one.

A plan from the cache has to be the plan that would be made now. So its identity holds a digest of
the source, and of the constants as they are at run time, of every module that pass 1 imports at its
head, directly or through others, and of the libraries that decode and resample. A change in any of
them, a comment included, makes the plans of before useless; which costs one more pass 1 each.
"""

from __future__ import annotations

import hashlib
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import av
import cv2
import numpy as np

PASS_ONE = "lipwright.dubbing.analysis"
_IMPORT = re.compile(
    r"^from (?P<origin>lipwright[\w.]*) import (?:\((?P<many>[^)]*)\)|(?P<one>[^(\n]+))"
    r"|^import (?P<plain>lipwright[\w.]+)",
    re.MULTILINE,
)


def plan_version(root: str = PASS_ONE) -> str:
    """32 hex digits that change with every constant and every line that shapes a plan."""
    digest = hashlib.sha256(f"av {av.__version__} cv2 {cv2.__version__}".encode())
    for name, module in sorted(imported_by(root).items()):
        digest.update(name.encode() + _source(module))
        for constant in sorted(word for word in vars(module) if word.strip("_").isupper()):
            digest.update(constant.encode() + b"=" + _plain(getattr(module, constant)))
    return digest.hexdigest()[:32]


def imported_by(root: str) -> dict[str, ModuleType]:
    """``root`` and the modules of this package that it imports when it is loaded, by name."""
    found: dict[str, ModuleType] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            module = import_module(name)
        except ModuleNotFoundError:  # a name inside a module, not a module
            continue
        found[name] = module
        for match in _IMPORT.finditer(_source(module).decode()):
            origin, words = match["origin"], match["many"] or match["one"] or ""
            waiting.append(origin or match["plain"])
            waiting += [f"{origin}.{word.split()[0]}" for word in words.split(",") if word.strip()]
    found.pop("lipwright", None)  # its version is in the plan by itself
    return found


def _plain(value: object) -> bytes:
    """A constant as bytes that are the same in every process; a set's order is not."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict):
        parts = [_plain(key) + b":" + _plain(part) for key, part in value.items()]
    elif isinstance(value, list | tuple):
        parts = [_plain(part) for part in value]
    elif isinstance(value, set | frozenset):
        parts = sorted(_plain(part) for part in value)
    else:
        return repr(value).encode()
    return type(value).__name__.encode() + b"(" + b",".join(parts) + b")"


def _source(module: ModuleType) -> bytes:
    """The text of a module; empty where it is not a file (a zipped package)."""
    try:
        return Path(str(module.__file__)).read_bytes()
    except OSError:
        return b""
