"""Headers of checkpoints: limits that hold for all of them, and typed access with one sentence for
whatever is missing, damaged or absurd.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from lipwright.errors import LipwrightError

MOST_HEADER_BYTES = 8 << 20
"""Of the container's own header; those of the shipped checkpoints take some 30 KB."""
MOST_FILE_BYTES = 4 << 30
DEEPEST = 8
LONGEST_LIST = 4096
LONGEST_TEXT = 20_000
LARGEST_NUMBER = 16_384
"""No size, width or count of a network reaches this."""


def check_container(path: Path) -> None:
    """Look at the first eight bytes of a safetensors file before anything is allocated for it.

    Raises:
        LipwrightError: too short, too large, or its header claims more than it may.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
    if size > MOST_FILE_BYTES:
        raise LipwrightError(
            f"{path} is larger than any checkpoint may be ({MOST_FILE_BYTES >> 30} GiB)."
        )
    if len(start) < 8 or not 2 <= struct.unpack("<Q", start)[0] <= min(MOST_HEADER_BYTES, size - 8):
        raise LipwrightError(
            f"{path} is not a readable safetensors checkpoint (its header has no sensible length); "
            "it may be damaged or of another kind."
        )


class Header:
    """A checkpoint's header, or a section of it.

    Args:
        values: the parsed JSON.
        path: of the file, for messages.
        where: name of the section, for messages.
    """

    def __init__(self, values: Any, path: Path, where: str = "") -> None:
        self._values, self._path, self._where = values, path, where
        if not isinstance(values, dict):
            self.fail(f"{where or 'it'} is no table")

    def fail(self, detail: str) -> NoReturn:
        """Raise the sentence."""
        raise LipwrightError(
            f"the header of {self._path} is incomplete or wrong ({detail[:200]}); the file is "
            "damaged or from another version."
        )

    def check_method(self, method: str, otherwise: str) -> None:
        """Make sure that the checkpoint is of ``method``.

        Args:
            method: its name in the header.
            otherwise: ends the sentence: what it is not, and what to do.

        Raises:
            LipwrightError: it is of another.
        """
        found = self._values.get("method")
        if found != method:
            raise LipwrightError(f"{self._path} is a checkpoint of '{found}'{otherwise}.")

    def _value(self, key: str, default: Any) -> Any:
        if key not in self._values:
            if default is None:
                self.fail(f"{self._where}{key} is missing")
            return default
        return self._values[key]

    def has(self, key: str) -> bool:
        """Whether there is such a key."""
        return key in self._values

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A number in [low, high]; ``default`` where it is missing."""
        return self._number(self._value(key, default), key, low, high)

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number in [low, high]."""
        value = self.number(key, low, high, default)
        if value != int(value):
            self.fail(f"{self._where}{key} is {value!r} and no whole number")
        return int(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or False."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            self.fail(f"{self._where}{key} is neither true nor false")
        return value

    def choice(self, key: str, words: Sequence[str], default: str | None = None) -> str:
        """One of several words."""
        value = self._value(key, default)
        if value not in words:
            self.fail(f"{self._where}{key} is not one of {', '.join(words)}")
        return str(value)

    def numbers(self, key: str, count: int, low: float, high: float) -> list[float]:
        """``count`` numbers in [low, high]."""
        return [self._number(v, key, low, high) for v in self._list(key, count)]

    def flags(self, key: str, count: int) -> list[bool]:
        """``count`` times true or false."""
        values = self._list(key, count)
        if not all(isinstance(v, bool) for v in values):
            self.fail(f"{self._where}{key} holds something that is neither true nor false")
        return list(values)

    def section(self, key: str) -> Header:
        """A table in it."""
        return Header(self._value(key, None), self._path, f"{self._where}{key}.")

    def arguments(self, network: str) -> dict[str, Any]:
        """Constructor arguments of a network; their limits were checked when the file was read."""
        return dict(self.section("networks").section(network)._values)

    def _list(self, key: str, count: int) -> list[Any]:
        value = self._value(key, None)
        if not isinstance(value, list) or len(value) != count:
            self.fail(f"{self._where}{key} is no list of {count}")
        return value

    def _number(self, value: Any, key: str, low: float, high: float) -> float:
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not plain or not low <= value <= high:  # also not a number
            self.fail(f"{self._where}{key} is {str(value)[:40]!r}, outside {low:g} to {high:g}")
        return float(value)


def check_header(header: Any, path: Path) -> None:
    """Limits that hold for every header: kinds and sizes of the common keys and of all arguments.

    Raises:
        LipwrightError: one does not hold.
    """
    top = Header(header, path)
    _check_plain(header, top)
    method = header.get("method")
    if not isinstance(method, str) or not 0 < len(method) <= 64 or not method.isprintable():
        top.fail("it names no method")
    networks = header.get("networks")
    if not isinstance(networks, dict) or len(networks) > 32:
        top.fail("networks is no table of at most 32")
    for name in networks:
        _check_arguments(top.arguments(name), top, f"networks.{name}")
    if top.has("size"):
        top.whole("size", 1, 2048)
    if top.has("finer"):
        top.whole("finer", 1, 8)
    if top.has("articulation"):
        top.number("articulation", 0.0, 20.0)
    if top.has("parents") and not isinstance(header["parents"], dict):
        top.fail("parents is no table")
    if top.has("audio"):
        read_audio(top.section("audio"))


def read_audio(audio: Header) -> tuple[str, int, int]:
    """Window of speech that a frame sees: features, columns, and columns before its own time."""
    steps, before = audio.whole("steps", 1, 2000), audio.whole("before", -2000, 2000)
    return audio.choice("features", ("mel", "mfcc", "whisper"), "mel"), steps, before


def _check_plain(value: Any, top: Header, depth: int = 0) -> None:
    if depth > DEEPEST:
        top.fail("it is nested too deep")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        top.fail("a text in it is too long")
    if isinstance(value, (list, dict)) and len(value) > LONGEST_LIST:
        top.fail("a list in it is too long")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        _check_plain(each, top, depth + 1)


def _check_arguments(value: Any, top: Header, where: str, depth: int = 0) -> None:
    if isinstance(value, dict) and depth < 4:
        for name, inner in value.items():
            _check_arguments(inner, top, f"{where}.{name}", depth + 1)
    elif isinstance(value, list) and len(value) <= 64 and depth < 5:
        for inner in value:
            _check_arguments(inner, top, where, depth + 1)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, (int, float)):
        if not (math.isfinite(value) and abs(value) <= LARGEST_NUMBER):
            top.fail(f"{where} is {str(value)[:40]}")
    elif not isinstance(value, str) or len(value) > 200:
        top.fail(f"{where} is of no kind that a network takes")
