"""The version of plans: a digest of everything in this package that shapes one.

A plan from the cache has to be the plan that would be made now. So its identity holds a digest of
the source, and of the constants as they are at run time, of every module that pass 1 imports at its
head, directly or through others, and of the libraries that decode and resample. A change in any of
them, a comment included, makes the plans of before useless; which costs one more pass 1 each.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
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
        module = _module(name)
        if module is None:
            continue
        found[name] = module
        waiting += _imports(_source(module))
    found.pop("lipwright", None)  # its version is in the plan by itself
    return found


@cache
def _module(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError:  # a name inside a module, not a module
        return None


@cache
def _imports(source: bytes) -> tuple[str, ...]:
    """What the text of a module imports of this package; names inside modules are among it."""
    found: list[str] = []
    for match in _IMPORT.finditer(source.decode()):
        origin, words = match["origin"], match["many"] or match["one"] or ""
        found.append(origin or match["plain"])
        found += [f"{origin}.{word.split()[0]}" for word in words.split(",") if word.strip()]
    return tuple(found)


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
    return _text(str(module.__file__))


@cache
def _text(path: str) -> bytes:
    """As it was when it was first asked for: what runs does not change with the file."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
