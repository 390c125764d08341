"""The consent record: who allowed what, when. It goes into the manifest and the report."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError, reading_errors
from lipwright.files.user_folders import home, private_folder
from lipwright.files.yaml_text import parse_yaml

_LONGEST = 10_000
_SHOWN_FILE = "consent-explained"
_YAML_SUFFIXES = (".yaml", ".yml")

NOTICE = (
    "Putting words into a person's mouth needs that person's consent; keep it with the video:\n"
    '--consent "who, purpose, date" (or a YAML file) writes it into the manifest and the report.'
)
"""Shown once, at the first run without a consent record."""


@dataclass(frozen=True)
class Consent:
    """A consent record.

    Attributes:
        who: the person shown, or who speaks for them.
        purpose: what was allowed.
        date: when, as given; ISO 8601 is best.
        more: other entries of a YAML file.
    """

    who: str
    purpose: str
    date: str
    more: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {**asdict(self), "more": dict(self.more)}


def parse_consent(text: str) -> Consent:
    """Read a consent record.

    Args:
        text: "who, purpose, date" (the purpose may contain commas), or the path of a YAML file
            with the keys ``who``, ``purpose`` and ``date``.

    Raises:
        LipwrightError: a part is missing, or the file cannot be read.
    """
    path = Path(text)
    if text.lower().endswith(_YAML_SUFFIXES):
        return _from_yaml(path)
    parts = [part.strip() for part in text.split(",")]
    if len(parts) < 3 or not all((parts[0], parts[-1], ", ".join(parts[1:-1]))):
        raise LipwrightError(
            f'The consent {text[:80]!r} is incomplete; give "who, purpose, date", for example '
            '"Ada Lovelace, Spanish version of the lecture, 2026-11-21".'
        )
    return Consent(parts[0], ", ".join(parts[1:-1]), parts[-1])


def _from_yaml(path: Path) -> Consent:
    with reading_errors(f"The consent file {path}"):
        content = path.read_text("utf-8")
    parsed = parse_yaml(content, f"The consent file {path}") if len(content) <= _LONGEST else None
    data: dict[Any, Any] = parsed if isinstance(parsed, dict) else {}
    missing = [key for key in ("who", "purpose", "date") if not data.get(key)]
    if missing:
        raise LipwrightError(
            f"The consent file {path} lacks {', '.join(missing)}; it needs the keys who, purpose "
            "and date."
        )
    entries = {str(key): _plain(value) for key, value in data.items()}
    who, purpose, date = (entries.pop(key) for key in ("who", "purpose", "date"))
    return Consent(who, purpose, date, entries)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def first_run_notice(consent: Consent | None) -> str | None:
    """Two lines that say why consent is asked for: once per user, and only if none was given."""
    if consent is not None:
        return None
    with contextlib.suppress(OSError, LipwrightError):  # then it is shown again
        shown = home() / _SHOWN_FILE
        if shown.exists():
            return None
        private_folder()
        shown.touch()
    return NOTICE
