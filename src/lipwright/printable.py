"""Strings out of files, made safe to show.

A title, a file name or a statement of a manifest may hold anything: escape sequences that rewrite
a terminal, line ends that forge further lines, marks that reverse the direction of the text around
them (Unicode Technical Report 36, section 2.7, "bidirectional text spoofing").
"""

from __future__ import annotations

import unicodedata
from typing import Any

from lipwright.media import limits

_HIDDEN = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")  # shown as nothing
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: object) -> str:
    """The text with everything replaced that is not a visible character or a plain space.

    Control characters (C0, C1 and DEL), direction marks, line and paragraph separators, other
    format characters, lone surrogates and private-use characters become U+FFFD each; tabs and line
    ends become spaces. Emoji sequences keep their joiners and selectors.

    Args:
        text: anything; ``str`` is taken of it. Cut at the limit ``text``.
    """
    raw = str(text)
    most = limits.active().text
    cut = raw[:most]
    out = []
    for place, character in enumerate(cut):
        if character in "\t\n\r\v\f":
            out.append(" ")
        elif _is_joiner(cut, place) or (
            unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
            and character not in _HIDDEN
        ):
            out.append(character)
        else:
            out.append(_REPLACEMENT)
    return "".join(out) + ("…" if len(raw) > most else "")


def _is_joiner(text: str, place: int) -> bool:
    """A zero-width (non-)joiner between two letters or signs, where scripts and emoji need it."""
    if text[place] not in "\u200c\u200d" or not 0 < place < len(text) - 1:
        return False
    return all(unicodedata.category(text[p])[0] in "LMS" for p in (place - 1, place + 1))


def printable_values(value: Any) -> Any:
    """Plain JSON values with every string and key made printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(key): printable_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable_values(item) for item in value]
    return value
