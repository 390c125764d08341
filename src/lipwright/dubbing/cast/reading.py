"""A cast file: YAML, CSV, or lines from subtitles and edit lists with a YAML file that says whose.

YAML::

    lines: film.vtt              # who speaks when; .vtt, .srt, .ass, .edl or .otio; may be left out
    rate: 30000/1001             # of an edit list's time codes; else the film's
    begins: "01:00:00:00"        # record time code of the film's first frame
    people:
      Anna: {face: "person:1", speech: anna.wav}
      Ben:
        face: "412,180@3.5"
        stretches:
          - {start: 3.2, end: 6, speech: ben1.wav}
          - {start: 0:09, speech: ben.wav, offset: 12.5}
      Narrator: {speech: voice.wav}    # no face: a voice only
      Extra: leave                     # lines of Extra are left as they are

A person's ``speech`` without ``stretches`` is spoken from ``start`` (0) on; with ``lines`` it runs
along with the film, and is heard where the person's lines are. CSV has the columns ``person``,
``face``, ``start``, ``end``, ``speech`` and ``offset``, a stretch a line. Paths begin at the folder
of the file that names them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from lipwright.dubbing.cast.edl import read_edl
from lipwright.dubbing.cast.otio import read_otio
from lipwright.dubbing.cast.stretches import Cast, Line, Stretch
from lipwright.dubbing.cast.subtitles import read_subtitles
from lipwright.dubbing.option_text import number_of, time_of
from lipwright.errors import LipwrightError, Problems, system_errors
from lipwright.files.yaml_text import parse_yaml
from lipwright.media.timecode import exact_rate, seconds_of

MOST_BYTES = 16 << 20
MOST_SENTENCES = 12
LEAVE = "leave"
COLUMNS = ("person", "face", "start", "end", "speech", "offset")
SUBTITLES = {".vtt": "vtt", ".srt": "srt", ".ass": "ass", ".ssa": "ass"}


def refuse(problems: list[str]) -> None:
    """Raise all sentences in one LipwrightError, if there are any."""
    if problems:
        raise Problems(problems, MOST_SENTENCES)


def read_cast(path: Path, rate: Fraction, problems: list[str] | None = None) -> Cast:
    """The people and their stretches.

    Args:
        path: .yaml, .yml or .csv.
        rate: frames per second of the film.
        problems: takes a sentence for everything that is wrong, for a caller that has more to say;
            what could be read is returned then.

    Raises:
        LipwrightError: it cannot be read at all; without ``problems`` also all that is wrong with
            it, a sentence each.
    """
    text = _text(path)
    refused, problems = problems is None, [] if problems is None else problems
    if path.suffix.lower() == ".csv":
        cast = _of_csv(path, text, problems)
    elif path.suffix.lower() in (".yaml", ".yml"):
        cast = _of_yaml(path, text, rate, problems)
    else:
        raise LipwrightError(
            f"The cast {path} is neither .yaml nor .csv; subtitles and edit lists are named by a "
            "YAML cast (lines: film.vtt)."
        )
    if not problems and not cast.stretches:
        problems.append(f"The cast {path} gives nobody anything to say.")
    if refused:
        refuse(problems)
    cast.stretches.sort(key=lambda stretch: (stretch.start, stretch.name))
    return cast


@dataclass(frozen=True)
class _Person:
    """What a YAML cast says of a person."""

    speech: Path | None
    start: Fraction


def _of_yaml(path: Path, text: str, rate: Fraction, problems: list[str]) -> Cast:
    cast = Cast(path)
    data = parse_yaml(text, f"The cast {path}", aliases=False)
    if not isinstance(data, dict) or not isinstance(data.get("people"), dict):
        problems.append(f"The cast {path} has no 'people'; see docs/cast.md for an example.")
        return cast
    _strange(data, {"people", "lines", "rate", "begins"}, f"The cast {path}", problems)
    people: dict[str, _Person] = {}
    left: set[str] = set()
    for name, given in data["people"].items():
        where = f"{name} in {path}"
        if given == LEAVE:
            left.add(str(name))
            continue
        if not isinstance(given, dict):
            problems.append(f"{where} is neither a face with a speech nor '{LEAVE}'.")
            continue
        _strange(given, {"face", "speech", "start", "stretches"}, where, problems)
        cast.faces[str(name)] = str(given["face"]) if given.get("face") is not None else None
        start = _time(given.get("start", 0), where, problems) or Fraction(0)
        own = given.get("speech")
        speech = path.parent / str(own) if own else None
        people[str(name)] = _Person(speech, start)
        stretches = given.get("stretches")
        if stretches is None:
            if speech is not None and data.get("lines") is None:
                whole = Stretch(str(name), start, None, speech, Fraction(0), where)
                cast.stretches.append(whole)
            elif speech is None and data.get("lines") is None:
                problems.append(f"{where} has neither 'speech' nor 'stretches'.")
            continue
        if not isinstance(stretches, list):
            problems.append(f"{where} has 'stretches' that are no list.")
            continue
        for number, row in enumerate(stretches, 1):
            at = f"Stretch {number} of {where}"
            if not isinstance(row, dict):
                problems.append(f"{at} is no table with start and speech.")
                continue
            _add(cast, str(name), row, speech, path.parent, at, problems)
    if data.get("lines") is not None:
        lines = _lines(path.parent / str(data["lines"]), data, rate, problems)
        _speak(cast, lines, people, left, path.parent / str(data["lines"]), problems)
    return cast


def _of_csv(path: Path, text: str, problems: list[str]) -> Cast:
    cast = Cast(path)
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
    except csv.Error as error:
        raise LipwrightError(f"The cast {path} is no CSV ({error}); correct it.") from error
    columns = {key: "" for row in rows for key in row if key}
    _strange(columns, set(COLUMNS), f"The cast {path}", problems)
    for number, row in enumerate(rows, 2):
        at = f"Line {number} of {path}"
        cells = {k: v.strip() for k, v in row.items() if k in COLUMNS and v and v.strip()}
        if not any(cells.values()):
            continue
        face = cells.get("face") or None
        name = cells.get("person") or face
        if name is None:
            problems.append(f"{at} names neither a person nor a face.")
            continue
        if face is not None and cast.faces.get(name) not in (None, face):
            problems.append(f"{at} gives {name} a second face, {face}.")
        cast.faces[name] = face or cast.faces.get(name)
        _add(cast, name, cells, None, path.parent, at, problems)
    return cast


def _add(
    cast: Cast,
    name: str,
    row: Mapping[str, Any],
    speech: Path | None,
    folder: Path,
    where: str,
    problems: list[str],
) -> None:
    """One stretch of a table."""
    _strange(row, set(COLUMNS), where, problems)
    file = folder / str(row["speech"]) if row.get("speech") else speech
    if file is None:
        problems.append(f"{where} has no speech.")
        return
    start = _time(row.get("start", 0), where, problems)
    end = None if row.get("end") in (None, "") else _time(row["end"], where, problems)
    along = Fraction(0)
    offset = along if row.get("offset") in (None, "") else _time(row["offset"], where, problems)
    if start is not None and offset is not None:
        cast.stretches.append(Stretch(name, start, end, file, offset, where))


def _lines(path: Path, data: dict[str, Any], rate: Fraction, problems: list[str]) -> list[Line]:
    """Whatever a subtitle file or an edit list says."""
    try:
        text = _text(path)
    except LipwrightError as error:
        problems.append(str(error))
        return []
    suffix, where = path.suffix.lower(), path.name
    if suffix in SUBTITLES:
        return read_subtitles(text, SUBTITLES[suffix], where, problems)
    if suffix not in (".edl", ".otio"):
        problems.append(f"The lines {path} are none of .vtt, .srt, .ass, .edl and .otio.")
        return []
    try:
        rate = exact_rate(number_of(str(data["rate"]))) if data.get("rate") else rate
        begins = data.get("begins")
        zero = None if begins is None else seconds_of(str(begins), rate)
    except (ValueError, ZeroDivisionError) as error:
        problems.append(f"'rate' or 'begins' of the cast cannot be read: {error}.")
        return []
    if suffix == ".otio":
        return read_otio(text, where, problems, zero)
    return read_edl(text, where, rate, zero, problems)


def _speak(
    cast: Cast,
    lines: list[Line],
    people: dict[str, _Person],
    left: set[str],
    path: Path,
    problems: list[str],
) -> None:
    """Lines to stretches of the people that they name."""
    by_label = {name.casefold(): name for name in (*people, *left)}
    unknown: dict[str, str] = {}
    silent: dict[str, str] = {}
    found: list[Stretch] = []
    for line in lines:
        name = by_label.get(line.speaker.casefold())
        if name is None and line.source is not None:
            name = by_label.get(Path(line.source).stem.casefold())
        if name in left:
            continue
        if name is None:
            unknown.setdefault(line.speaker, line.where)
            continue
        person = people[name]
        speech, offset = person.speech, line.start - person.start
        if line.offset is not None:
            offset = line.offset
            named = path.parent / line.source if line.source else None
            speech = named if named is not None and named.exists() else (speech or named)
        if speech is None:
            silent.setdefault(name, line.where)
        elif offset < 0:
            problems.append(f"{line.where} comes before the speech of {name} begins.")
        elif line.end <= line.start:
            problems.append(f"{line.where} ends before it starts.")
        else:
            found.append(Stretch(name, line.start, line.end, speech, offset, line.where))
    for label, where in unknown.items():
        problems.append(
            f"{where} is spoken by {label}, whom {cast.path} does not name; add a face and a "
            f"speech, or '{label}: {LEAVE}'."
        )
    for name, where in silent.items():
        problems.append(f"{where} is spoken by {name}, who has no speech in {cast.path}.")
    cast.stretches += _joined(found)


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    """Lines of one person that overlap or touch, and go on in the same file, are one stretch."""
    out: list[Stretch] = []
    last: dict[str, int] = {}
    for each in sorted(stretches, key=lambda s: (s.start, s.name)):
        place = last.get(each.name)
        before = out[place] if place is not None else None
        if (
            before is not None
            and before.end is not None
            and each.end is not None
            and each.start <= before.end
            and before.speech == each.speech
            and before.offset - before.start == each.offset - each.start
        ):
            assert place is not None
            out[place] = replace(before, end=max(before.end, each.end))
        else:
            last[each.name] = len(out)
            out.append(each)
    return out


def _strange(given: Mapping[str, Any], known: set[str], where: str, problems: list[str]) -> None:
    """A sentence for every key that means nothing."""
    problems += [
        f"{where} has '{key}', which means nothing there; known are {', '.join(sorted(known))}."
        for key in given
        if key not in known
    ]


def _time(value: Any, where: str, problems: list[str]) -> Fraction | None:
    # YAML reads 1:02 as the whole number 62, which is what is meant, and 3.2 as a float.
    try:
        found = time_of(str(value))
        if found < 0:
            raise LipwrightError(f"'{value}' is before the beginning.")
    except LipwrightError as error:
        problems.append(f"{where}: {error}")
        return None
    return found


def _text(path: Path) -> str:
    with (
        system_errors(f"The file {path} cannot be read", "check its name"),
        path.open("rb") as file,
    ):
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise LipwrightError(f"The file {path} is larger than {MOST_BYTES >> 20} MB.")
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            break
    return data.decode("latin-1")
