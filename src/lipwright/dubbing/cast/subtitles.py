"""Subtitles with speakers: WebVTT voice spans, SubRip lines that begin with a name, ASS names."""

from __future__ import annotations

import html
import re
from fractions import Fraction

from lipwright.dubbing.cast.stretches import Line
from lipwright.dubbing.option_text import number_of

_CUE = re.compile(
    r"(?P<start>(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})\s*-->\s*(?P<end>(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})"
)
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+(?P<name>[^>]+)>(?P<text>.*?)(?=<v[.\s]|</v>|\Z)", re.S)
_TAG = re.compile(r"<[^>]*>|\{[^}]*\}")
_NAMED = re.compile(r"[-–—\s]*(?P<name>[^\W\d_][\w .'-]{0,39}?)\s*:\s+(?P<text>.+)", re.S)


def read_subtitles(text: str, kind: str, where: str, problems: list[str]) -> list[Line]:
    """Who speaks when.

    Args:
        text: the file.
        kind: ``vtt``, ``srt`` or ``ass``.
        where: its name, for messages.
        problems: takes a sentence for every cue that cannot be used, and for one without a speaker.
    """
    if kind == "ass":
        return _of_ass(text, where, problems)
    lines: list[Line] = []
    number = 0
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        rows = block.strip("\n").split("\n")
        at = next((n for n, row in enumerate(rows[:2]) if "-->" in row), None)
        if at is None:
            continue
        number += 1
        place = f"Cue {number} of {where}"
        found = _CUE.match(rows[at].strip())
        if found is None:
            problems.append(f"{place} has times that cannot be read ({rows[at].strip()[:60]}).")
            continue
        start, end = (_seconds(found[name]) for name in ("start", "end"))
        said = _speakers("\n".join(rows[at + 1 :]), kind)
        if not said:
            problems.append(f"{place} names no speaker.")
        lines += [Line(name, start, end, place, words) for name, words in said]
    return lines


def _speakers(text: str, kind: str) -> list[tuple[str, str]]:
    """Names and words of a cue."""
    if kind == "vtt" and (spans := list(_VOICE.finditer(text))):
        return [(html.unescape(s["name"]).strip(), _plain(s["text"])) for s in spans]
    said: list[tuple[str, str]] = []
    for row in text.split("\n"):
        named = _NAMED.fullmatch(_plain(row))
        if named is not None:
            said.append((named["name"].strip(), named["text"].strip()))
        elif said and row.strip():
            said[-1] = (said[-1][0], f"{said[-1][1]} {_plain(row)}")
    return said


def _of_ass(text: str, where: str, problems: list[str]) -> list[Line]:
    lines: list[Line] = []
    columns: list[str] = []
    for number, row in enumerate(text.splitlines(), 1):
        head, _, rest = row.partition(":")
        if head.strip() == "Format" and "Text" in rest:
            columns = [name.strip() for name in rest.split(",")]
        if head.strip() != "Dialogue" or not columns:
            continue
        place = f"Line {number} of {where}"
        cells = dict(zip(columns, rest.split(",", len(columns) - 1), strict=False))
        try:
            start, end = _seconds(cells["Start"].strip()), _seconds(cells["End"].strip())
        except (KeyError, ValueError):
            problems.append(f"{place} has times that cannot be read.")
            continue
        name = cells.get("Name", cells.get("Actor", "")).strip()
        if not name:
            problems.append(f"{place} names no speaker.")
            continue
        words = re.sub(r"\\[Nnh]", " ", cells.get("Text", ""))
        lines.append(Line(name, start, end, place, _plain(words)))
    return lines


def _plain(text: str) -> str:
    """Without tags, entities and double spaces."""
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _seconds(text: str) -> Fraction:
    seconds = Fraction(0)
    for part in text.replace(",", ".").split(":"):
        seconds = 60 * seconds + number_of(part)
    return seconds
