"""OpenTimelineIO files (``.otio``): which sound is heard when, in exact fractions.

A file is JSON: a timeline holds a stack of tracks, an audio track holds clips and gaps one after
another. The name of a track is the speaker. The file is read here rather than by its library,
whose seconds are floats and come one frame early for some frame times. Nested timelines, sound at
another speed and crossfades are refused.

A track may show a part of itself (``source_range``). A part that begins before the track does, at a
negative time, is how OpenTimelineIO's reader of edit lists says when a track begins: at that time's
amount, in record time code.
"""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

from lipwright.dubbing.cast.stretches import Line
from lipwright.dubbing.option_text import number_of
from lipwright.media.timecode import exact_rate


def read_otio(
    text: str, where: str, problems: list[str], begins: Fraction | None = None
) -> list[Line]:
    """The sound clips of a timeline.

    Args:
        text: the file.
        where: its name, for messages.
        problems: takes a sentence for whatever cannot be used.
        begins: of a timeline in record time code, the seconds that the film's first frame has
            there; None: the full hour of the track that begins first.
    """
    try:
        data = json.loads(text)
        tracks = data["tracks"]["children"]
        if _schema(data) != "Timeline":
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        problems.append(f"{where} is no OpenTimelineIO timeline; export it anew.")
        return []
    lines: list[Line] = []
    record: list[Fraction] = []
    for number, track in enumerate(tracks, 1):
        if not isinstance(track, dict):
            continue
        name = str(track.get("name") or f"track {number}")
        try:
            part = track.get("source_range")
            first, length = _span(part) if part else (Fraction(0), None)
            record += [-first] if first < 0 else []
            if track.get("kind") == "Audio":
                found = _track(track, name, f"Track '{name}' of {where}", problems)
                lines += _shown(found, first, length)
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            problems.append(f"Track '{name}' of {where} has a part without times; export it anew.")
    if not record:
        return lines
    zero = Fraction(min(record) // 3600 * 3600) if begins is None else begins
    return [replace(line, start=line.start - zero, end=line.end - zero) for line in lines]


def _shown(lines: list[Line], first: Fraction, length: Fraction | None) -> list[Line]:
    """The lines of a track as the part of it that is shown places and cuts them."""
    found: list[Line] = []
    for line in lines:
        start, end = line.start - first, line.end - first
        if first >= 0 and length is not None:
            start, end = max(start, Fraction(0)), min(end, length)
        if end > start:
            assert line.offset is not None
            offset = line.offset + start - (line.start - first)
            found.append(replace(line, start=start, end=end, offset=offset))
    return found


def _track(track: dict[str, Any], name: str, where: str, problems: list[str]) -> list[Line]:
    lines: list[Line] = []
    position = Fraction(0)
    for number, item in enumerate(track["children"], 1):
        kind, at = _schema(item), f"Item {number} of {where[0].lower()}{where[1:]}"
        if kind == "Transition":
            problems.append(f"{at} is a crossfade, not a cut; make a cut of it.")
            continue
        if kind not in ("Gap", "Clip"):
            problems.append(f"{at} is a nested {kind}; flatten the timeline.")
            return lines
        media = _media(item)
        shown = item.get("source_range") or (media or {})["available_range"]
        first, length = _span(shown)
        if kind == "Clip" and item.get("enabled", True):
            if any("TimeWarp" in str(_schema(e)) or "Freeze" in str(_schema(e))
                   for e in item.get("effects") or []):  # fmt: skip
                problems.append(f"{at} changes its speed; render it at its speed first.")
            available = (media or {}).get("available_range")
            begins = _seconds(available["start_time"]) if available else Fraction(0)
            lines.append(
                Line(
                    name,
                    position,
                    position + length,
                    at,
                    source=_file(media) or item.get("name") or None,
                    offset=first - begins,
                )
            )
        position += length
    return lines


def _schema(item: Any) -> str:
    return str(item.get("OTIO_SCHEMA", "")).partition(".")[0]


def _media(item: dict[str, Any]) -> dict[str, Any] | None:
    """The reference of a clip, in either version of its schema."""
    if "media_references" in item:
        found = item["media_references"].get(item.get("active_media_reference_key"))
    else:
        found = item.get("media_reference")
    return found if isinstance(found, dict) else None


def _file(media: dict[str, Any] | None) -> str | None:
    url = (media or {}).get("target_url")
    if not url:
        return None
    parts = urlparse(str(url))
    return unquote(parts.path) if parts.scheme == "file" else str(PurePosixPath(unquote(str(url))))


def _span(shown: dict[str, Any]) -> tuple[Fraction, Fraction]:
    """First moment and length, in seconds."""
    return _seconds(shown["start_time"]), _seconds(shown["duration"])


def _seconds(time: dict[str, Any]) -> Fraction:
    return number_of(str(time["value"])) / exact_rate(number_of(str(time["rate"])))
