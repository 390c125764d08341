"""Optional step ``words``: leave out what is said with words that should not be learnt.

Gupta et al. (WACV 2023, section 2) drop segments by the transcripts that come with the videos. Here
a transcript is a WebVTT or SubRip file of the source's name beside it (``talk.mp4``, ``talk.vtt``,
also ``talk.en.vtt``); a piece goes when a cue that overlaps it holds one of the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lipwright.data.rows import Row, StepContext
from lipwright.errors import LipwrightError
from lipwright.media.mel import MODEL_FPS

REASON = "word on the list"
SUFFIXES = (".vtt", ".srt")
_TIME = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})")
_TAG = re.compile(r"<[^>]*>|\{[^}]*\}")


@dataclass(frozen=True)
class Cue:
    """A line of a transcript with its time in seconds."""

    start: float
    end: float
    text: str


def words(row: Row, work: StepContext) -> Row:
    """Reject the pieces of a source in which a word of the list falls."""
    if not work.words:
        return row
    cues = [cue for path in transcripts(Path(row["source"])) for cue in read_cues(path)]
    bad = [cue for cue in cues if said(cue.text, work.words)]
    pieces = []
    for piece in row["pieces"]:
        start = piece["first"] / MODEL_FPS
        end = start + piece["frames"] / MODEL_FPS
        hit = any(cue.start < end and cue.end > start for cue in bad)
        pieces.append({**piece, "reason": REASON} if hit and not piece["reason"] else piece)
    return {**row, "pieces": pieces, "transcript": bool(cues)}


def transcripts(source: Path) -> list[Path]:
    """Transcript files that belong to a source."""
    beside = source.parent.glob(f"{_escaped(source.stem)}.*")
    return sorted(path for path in beside if path.suffix.lower() in SUFFIXES)


def _escaped(name: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", name)


def read_cues(path: Path) -> list[Cue]:
    """Cues of a WebVTT or SubRip file; what cannot be understood is skipped."""
    cues = []
    text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip().split("\n")
        for i, line in enumerate(lines):
            start, arrow, end = line.partition("-->")
            times = [_TIME.search(part) for part in (start, end)]
            if arrow and times[0] and times[1]:
                said_there = _TAG.sub("", " ".join(lines[i + 1 :]))
                cues.append(Cue(_seconds(times[0]), _seconds(times[1]), said_there))
                break
    return cues


def _seconds(match: re.Match[str]) -> float:
    hours, minutes, seconds, fraction = match.groups()
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + float(f"0.{fraction}")


def said(text: str, listed: tuple[str, ...]) -> bool:
    """Whether a word (or phrase) of the list is in a text, as whole words, whatever the case."""
    spoken = f" {_plain(text)} "
    return any(f" {word} " in spoken for word in listed)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.casefold()))


def read_words(path: Path) -> tuple[str, ...]:
    """A word list: one word or phrase a line, ``#`` begins a remark.

    Raises:
        LipwrightError: unreadable or empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LipwrightError(f"the word list {path} cannot be read ({error}).") from error
    listed = (_plain(line.split("#")[0]) for line in lines)
    found = tuple(sorted({word for word in listed if word}))
    if not found:
        raise LipwrightError(f"the word list {path} is empty; give one word a line.")
    return found
