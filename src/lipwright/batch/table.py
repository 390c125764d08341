"""A table of jobs: CSV, or YAML with defaults.

CSV: a head line, then a job a line. The columns are ``video``, ``speech``, ``out`` and options of
``lipwright dub``; an empty cell is the default.

YAML::

    defaults: {crf: 18}
    out: "done/{video}-{speech}.mp4"
    jobs:
      - {video: a.mp4, speech: [one.wav, two.wav], face: all}
      - {video: b.mp4, speech: "speeches/*.wav"}

In both, ``speech`` may name several files (a pattern with ``*``; in CSV also ``one.wav;two.wav``):
a job for each. Instead of a ``speech`` a row may have a ``text`` that a synthesiser says, with
``voice`` and ``synthesiser`` as ``lipwright dub`` takes them. ``out`` may hold ``{video}`` and
``{speech}``, the names without folder and suffix (of a text, its first words), ``{number}``,
counted from 1, and any column. Paths begin at the table's folder.
"""

from __future__ import annotations

import csv
import glob
import io
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipwright.dubbing.option_text import option_name, options_from
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError, Problems, reading_errors
from lipwright.files.yaml_text import parse_yaml

FILES = ("video", "speech", "out")
SPOKEN = ("text", "voice", "synthesiser")
"""What stands for a speech, as with ``lipwright dub``."""
NOT_HERE = {
    "preview": "look at a preview with 'lipwright dub'",
    "resume": "a batch always resumes",
    "ray": "give --ray to 'lipwright batch' itself",
}
MOST_JOBS = 100_000
LONGEST_NAME = 40
"""Letters of a text that go into the name of an output."""


@dataclass(frozen=True)
class SpeechInput:
    """What one job speaks: a file or a text.

    Attributes:
        path: the speech file; None where there is a text.
        text: what a synthesiser is to say.
        voice: of the synthesiser, if any is named.
        synthesiser: its command, if another than espeak-ng.
    """

    path: Path | None
    text: str | None = None
    voice: str | None = None
    synthesiser: str | None = None

    @property
    def title(self) -> str:
        """For people."""
        return self.path.name if self.path is not None else f"'{self.text}'"

    @property
    def name(self) -> str:
        """For the output: the file's name without its suffix, or the first words of the text."""
        if self.path is not None:
            return self.path.stem
        words = "".join(c if c.isalnum() else " " for c in self.text or "").lower().split()
        return "-".join(words)[:LONGEST_NAME].strip("-") or "text"


@dataclass(frozen=True)
class BatchJob:
    """One dub.

    Attributes:
        number: from 1, in the order of the table.
        video: the file.
        speech: what is spoken.
        out: the video to write.
        options: what the table says, by name.
    """

    number: int
    video: Path
    speech: SpeechInput
    out: Path
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.video.name} with {self.speech.title}"


def read_table(
    path: Path, out: str | None = None, common: DubOptions | None = None
) -> list[BatchJob]:
    """The jobs of a table.

    Args:
        path: .csv, .yaml or .yml.
        out: template for jobs that name no output.
        common: options of jobs that say nothing else, for the check of the values.

    Raises:
        LipwrightError: the table cannot be read, or some jobs make no sense; all that is wrong in
            one message.
    """
    rows, template = _rows(path)
    template = out or template
    jobs: list[BatchJob] = []
    problems: list[str] = []
    places: dict[Path, int] = {}
    for where, row in rows:
        try:
            for video, speech, cells in _expanded(path.parent, row, where):
                number = len(jobs) + 1
                if number > MOST_JOBS:
                    raise LipwrightError(f"{path} has more than {MOST_JOBS:,} jobs; split it.")
                target = path.parent / _named(template, video, speech, number, cells, where)
                options = _options(cells, common, where)
                job = BatchJob(number, video, speech, target, options)
                other = places.setdefault(target.absolute(), number)
                if other != number:
                    raise LipwrightError(
                        f"{where} writes {target}, which job {other} writes too; give another "
                        "name, or a template with {video} and {speech}."
                    )
                jobs.append(job)
        except LipwrightError as error:
            problems.append(error.sentence)
    if problems:
        raise Problems(problems)
    if not jobs:
        raise LipwrightError(f"The table {path} holds no jobs.")
    return jobs


def _rows(path: Path) -> tuple[list[tuple[str, dict[str, Any]]], str | None]:
    with reading_errors(f"The table {path}"):
        text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() in (".yaml", ".yml"):
        return _yaml_rows(path, text)
    if path.suffix.lower() != ".csv":
        raise LipwrightError(f"The table {path} is neither .csv nor .yaml.")
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    columns = reader.fieldnames or []
    named = set(map(option_name, columns))
    missing = [
        " or ".join(names) for names in (("video",), ("speech", "text")) if not named & set(names)
    ]
    if missing:
        raise LipwrightError(
            f"The table {path} lacks the column {' and '.join(missing)}; its first line has to "
            "name video, speech (or text), out and any options."
        )
    rows = []
    for number, cells in enumerate(reader, 1):
        where = f"Row {number} of {path.name}"
        if None in cells:
            raise LipwrightError(f"{where} has more cells than the first line names.")
        rows.append((where, {k: v for k, v in cells.items() if v is not None and v.strip()}))
    return rows, None


def _yaml_rows(path: Path, text: str) -> tuple[list[tuple[str, dict[str, Any]]], str | None]:
    data = parse_yaml(text, f"The table {path}")
    if isinstance(data, list):
        data = {"jobs": data}
    jobs = data.get("jobs") if isinstance(data, dict) else None
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise LipwrightError(f"The table {path} needs a list 'jobs' of mappings.")
    strange = set(data) - {"jobs", "defaults", "out"}
    if strange:
        raise LipwrightError(
            f"The table {path} has '{sorted(map(str, strange))[0]}' beside jobs, defaults and out."
        )
    defaults = data.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise LipwrightError(f"In the table {path}, defaults is no mapping.")
    rows = [
        (f"Job {number} of {path.name}", {**defaults, **job}) for number, job in enumerate(jobs, 1)
    ]
    return rows, data.get("out")


def _expanded(
    folder: Path, row: Mapping[str, Any], where: str
) -> Iterator[tuple[Path, SpeechInput, dict[str, Any]]]:
    """Video, what is spoken and the other cells of every job that a row stands for."""
    cells = {option_name(str(name)): value for name, value in row.items()}
    if not cells.get("video"):
        raise LipwrightError(f"{where} names no video.")
    video = folder / str(cells.pop("video"))
    given, of_text = cells.pop("speech", None), [cells.pop(name, None) for name in SPOKEN]
    text, voice, synthesiser = (None if value in (None, "") else str(value) for value in of_text)
    if bool(given) is (text is not None):
        raise LipwrightError(
            f"{where} names both a speech and a text; give one of them."
            if given
            else f"{where} names no speech and no text."
        )
    if text is not None:
        yield video, SpeechInput(None, text, voice, synthesiser), cells
        return
    if voice is not None or synthesiser is not None:
        raise LipwrightError(f"{where} has a speech; voice and synthesiser belong to a text.")
    names = given if isinstance(given, list) else str(given).split(";")
    for name in map(str.strip, map(str, names)):
        found = [folder / name]
        if any(sign in name for sign in "*?["):
            # Not Path.glob: it refuses patterns that are absolute.
            matches = glob.glob(str(folder / name))  # noqa: PTH207
            found = [Path(match) for match in sorted(matches)]
            if not found:
                raise LipwrightError(f"{where}: no file fits '{name}'.")
        for speech in found:
            yield video, SpeechInput(speech), dict(cells)


def _named(
    template: str | None,
    video: Path,
    speech: SpeechInput,
    number: int,
    cells: Mapping[str, Any],
    where: str,
) -> str:
    """The output's name."""
    pattern = str(cells["out"]) if cells.get("out") else template
    if not pattern:
        raise LipwrightError(f"{where} names no out; add it, or give a template with --out.")
    words = {**{k: str(v) for k, v in cells.items() if k != "out"}}
    words |= {"video": video.stem, "speech": speech.name, "number": str(number)}
    try:
        for _, name, _, _ in string.Formatter().parse(pattern):
            if name is not None and name not in words:
                raise LipwrightError(
                    f"{where}: the output '{pattern}' has {{{name}}}, but there are only "
                    f"{', '.join(sorted(words))}."
                )
        return pattern.format_map(words)
    except ValueError as error:
        raise LipwrightError(f"{where}: the output '{pattern}' is no template ({error}).") from None


def _options(cells: Mapping[str, Any], common: DubOptions | None, where: str) -> dict[str, Any]:
    given = {name: value for name, value in cells.items() if name not in FILES}
    for name, why in NOT_HERE.items():
        if name in given:
            raise LipwrightError(f"{where} has the column '{name}'; {why}.")
    options = options_from(given, where)
    try:
        values = {**vars(common or DubOptions()), **options}
        DubOptions(**values).check()
    except LipwrightError as error:
        raise LipwrightError(f"{where}: {error}") from None
    return options
