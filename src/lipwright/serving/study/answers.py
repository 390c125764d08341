"""Raters and their answers, in SQLite and as CSV."""

from __future__ import annotations

import csv
import io
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.serving.database import Database
from lipwright.serving.study.design import QUESTIONS, Design
from lipwright.serving.study.schedule import Item

FILE = "answers.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS raters (
    link TEXT PRIMARY KEY, number INTEGER UNIQUE NOT NULL, joined REAL NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    link TEXT NOT NULL, page INTEGER NOT NULL, kind TEXT NOT NULL, clip TEXT NOT NULL,
    left_method TEXT NOT NULL, right_method TEXT NOT NULL, question TEXT NOT NULL,
    answer INTEGER NOT NULL, expected INTEGER, seconds REAL NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (link, page, question));
"""
VERSION = 1
COLUMNS = [
    "rater",
    "page",
    "kind",
    "clip",
    "method",
    "other_method",
    "question",
    "answer",
    "expected",
    "seconds",
    "time",
]
_LINK = re.compile(r"[A-Za-z0-9_-]{8,64}")
MOST_RATERS = 100_000


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        rater: the rater's link.
        page: of the rater's study, from 0.
        kind: as ``schedule.Item.kind``.
        clip: which one.
        methods: one, or left and right.
        question: key of ``design.QUESTIONS``.
        answer: 1 to 5, or 1 to 3 in pairs.
        expected: of an attention check.
        seconds: between page and answer.
        at: seconds since 1970.
    """

    rater: str
    page: int
    kind: str
    clip: str
    methods: tuple[str, ...]
    question: str
    answer: int
    expected: int | None
    seconds: float
    at: float


class Answers:
    """The answers of a study.

    Args:
        study: its folder.
    """

    def __init__(self, study: Path) -> None:
        self._database = Database(study / FILE, SCHEMA, VERSION)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def join(self) -> str:
        """A new rater; gives the link."""
        link = secrets.token_urlsafe(12)
        with self._database.transaction() as connection:
            (count,) = connection.execute("SELECT count(*) FROM raters").fetchone()
            if count >= MOST_RATERS:
                raise LipwrightError("This study has as many raters as it can have.")
            connection.execute(
                "INSERT INTO raters SELECT ?, coalesce(max(number), -1) + 1, ? FROM raters",
                (link, time.time()),
            )
        return link

    def number_of(self, link: str) -> int | None:
        """A rater's number, which the order follows; None if there is no such rater."""
        row = self._database.row("SELECT number FROM raters WHERE link = ?", link)
        return int(row["number"]) if row else None

    def pages_done(self, link: str) -> int:
        """How many pages a rater has answered; they are answered in order."""
        row = self._database.row("SELECT max(page) AS last FROM answers WHERE link = ?", link)
        return 0 if row is None or row["last"] is None else int(row["last"]) + 1

    def add(self, link: str, page: int, item: Item, given: dict[str, int], seconds: float) -> None:
        """Store the answers of a page; a second time changes nothing."""
        now = time.time()
        for question, answer in given.items():
            self._insert(
                Answer(
                    link,
                    page,
                    item.kind,
                    item.clip,
                    item.methods,
                    question,
                    answer,
                    item.expected,
                    seconds,
                    now,
                )
            )

    def all(self) -> list[Answer]:
        """Every answer."""
        rows = self._database.rows("SELECT * FROM answers ORDER BY link, page, question")
        return [
            Answer(
                row["link"],
                row["page"],
                row["kind"],
                row["clip"],
                tuple(m for m in (row["left_method"], row["right_method"]) if m),
                row["question"],
                row["answer"],
                row["expected"],
                row["seconds"],
                row["at"],
            )
            for row in rows
        ]

    def _insert(self, one: Answer) -> int:
        right = one.methods[1] if len(one.methods) > 1 else ""
        return self._database.run(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            one.rater,
            one.page,
            one.kind,
            one.clip,
            one.methods[0],
            right,
            one.question,
            one.answer,
            one.expected,
            one.seconds,
            one.at,
        )

    def to_csv(self) -> str:
        """All answers as CSV."""
        return as_csv(self.all())

    def from_csv(self, text: str, design: Design) -> int:
        """Add answers of a CSV file; those that are there already stay. Gives how many are new.

        Raises:
            LipwrightError: a line is not of this study.
        """
        rows = list(csv.DictReader(io.StringIO(text)))
        if not rows or list(rows[0]) != COLUMNS:
            raise LipwrightError(f"The first line of the CSV file is not {','.join(COLUMNS)}.")
        found = [_parsed(row, number, design) for number, row in enumerate(rows, start=2)]
        new = 0
        for one in found:
            known = self._database.row("SELECT 1 FROM raters WHERE link = ?", one.rater)
            if known is None:
                self._database.run(
                    "INSERT INTO raters SELECT ?, coalesce(max(number), -1) + 1, ? FROM raters",
                    one.rater,
                    one.at,
                )
            new += self._insert(one)
        return new


def as_csv(answers: Iterable[Answer]) -> str:
    """Answers as CSV, one line each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in answers:
        method, *other = one.methods
        expected = "" if one.expected is None else one.expected
        writer.writerow(
            [
                one.rater,
                one.page,
                one.kind,
                one.clip,
                method,
                *(other or [""]),
                one.question,
                one.answer,
                expected,
                f"{one.seconds:.1f}",
                f"{one.at:.3f}",
            ]
        )
    return out.getvalue()


def _parsed(row: dict[str, str], line: int, design: Design) -> Answer:
    try:
        methods = tuple(m for m in (row["method"], row["other_method"]) if m)
        one = Answer(
            row["rater"],
            int(row["page"]),
            row["kind"],
            row["clip"],
            methods,
            row["question"],
            int(row["answer"]),
            int(row["expected"]) if row["expected"] else None,
            float(row["seconds"]),
            float(row["time"]),
        )
    except (TypeError, ValueError, KeyError):
        raise LipwrightError(f"Line {line} of the CSV file is damaged.") from None
    sane = (
        _LINK.fullmatch(one.rater)
        and one.kind in (design.mode, "check")
        and one.clip in design.clips
        and len(one.methods) == (1 if design.mode == "scale" else 2)
        and set(one.methods) <= set(design.methods)
        and one.question in QUESTIONS
        and 1 <= one.answer <= (5 if design.mode == "scale" else 3)
        and one.page >= 0
    )
    if not sane:
        raise LipwrightError(f"Line {line} of the CSV file is not of this study.")
    return one
