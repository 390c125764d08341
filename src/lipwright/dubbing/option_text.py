"""Options as text: what a command line, a table of jobs or a form writes, and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args, get_origin

from lipwright.dubbing.option_info import choices_of, options_of
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError

_WORDS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


_NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d{0,30})?|\.\d{1,30})(e[+-]?\d{1,2})?(/\d{1,15})?", re.I)
_LONGEST_TIME = 10**9


def number_of(text: str) -> Fraction:
    """The number that a text writes: 25, 29.97, 1e-3 or 30000/1001.

    Raises:
        ValueError: it writes none, or one of more digits than anybody means (``1e999999999`` would
            take hours to compute).
        ZeroDivisionError: of 1/0.
    """
    if _NUMBER.fullmatch(text.strip()) is None:
        raise ValueError(f"'{text:.40}' is no number")
    return Fraction(text)


def frame_rate(text: str) -> Fraction:
    """A frame rate from ``25``, ``29.97`` or ``30000/1001``.

    Raises:
        LipwrightError: it is none.
    """
    try:
        return number_of(text)
    except (ValueError, ZeroDivisionError):
        raise LipwrightError(f"'{text}' is no frame rate; write 25 or 30000/1001.") from None


def time_of(text: str) -> Fraction:
    """Seconds from ``12.5``, ``1:02.5`` or ``0:01:02.5``, exactly.

    Raises:
        LipwrightError: it is no time.
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    try:
        parts = [number_of(part) for part in digits.split(":")]
        if len(parts) > 3 or any(not 0 <= part < _LONGEST_TIME for part in parts):
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise LipwrightError(f"'{text}' is no time; write seconds, or 1:02.5.") from None
    seconds = Fraction(0)
    for part in parts:
        seconds = 60 * seconds + part
    return sign * seconds


FRACTIONS = {"RATE": frame_rate, "TIME": time_of}
"""What reads the text of an option that is a fraction, by its metavar."""


def option_name(text: str) -> str:
    """``--batch-size``, ``batch size`` and ``batch_size`` are one option."""
    return re.sub(r"[\s-]+", "_", text.strip().lstrip("-"))


def options_from(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Values of ``DubOptions`` from text, or from what YAML makes of it.

    Args:
        values: by option name.
        where: for messages, for example "Row 3 of jobs.csv".

    Raises:
        LipwrightError: an unknown option, or a value that makes no sense.
    """
    known = options_of(DubOptions)
    found: dict[str, Any] = {}
    for given, value in values.items():
        name = option_name(given)
        if name not in known:
            raise LipwrightError(
                f"{where} has the column '{given}', which is no option of 'lipwright dub'; "
                "see 'lipwright dub --help'."
            )
        _, info, hint = known[name]
        try:
            found[name] = _value(value, info.metavar, hint)
        except (LipwrightError, ValueError) as error:
            reason = f": {error}" if isinstance(error, LipwrightError) else "."
            raise LipwrightError(f"{where} has '{value}' for {given}{reason}") from None
    return found


def is_file(hint: Any) -> bool:
    """Whether an option is a file or nothing; one that is a word or a file stays text."""
    return Path in get_args(hint) and type(None) in get_args(hint)


def _value(value: Any, metavar: str | None, hint: Any) -> Any:
    text = str(value).strip()
    if hint is bool or (bool in get_args(hint) and not choices_of(hint)):
        return value if isinstance(value, bool) else _switch(text)
    if bool in get_args(hint) and (value is False or text.lower() in ("no", "false", "off")):
        return False
    if hint is int or int in get_args(hint):
        return int(text)
    if hint is float:
        return float(text)
    if get_origin(hint) is tuple:
        return tuple(value) if isinstance(value, (list, tuple)) else tuple(text.split())
    if hint is Fraction:
        return FRACTIONS[metavar or ""](text)
    if is_file(hint):
        return Path(text)
    return text


def _switch(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise LipwrightError("Write yes or no.")
    return _WORDS[text.lower()]
