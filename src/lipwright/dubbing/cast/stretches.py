"""What a cast says: the people, and the stretches of speech that they are given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True)
class Stretch:
    """One speech, or part of it, given to one person for some time.

    Attributes:
        name: of the person, as the cast writes it.
        start: seconds from the film's first frame.
        end: seconds, or None: until the speech is over.
        speech: the file.
        offset: seconds of the file that are left out at its beginning.
        where: which line of which file says so, for messages.
    """

    name: str
    start: Fraction
    end: Fraction | None
    speech: Path
    offset: Fraction
    where: str


def within(stretches: Iterable[Stretch], begin: Fraction, end: Fraction) -> list[Stretch]:
    """What of some stretches lies in a passage, in seconds from the passage's first frame.

    Args:
        stretches: with their ends.
        begin: of the passage, seconds of the film.
        end: of it.
    """
    out = []
    for each in stretches:
        assert each.end is not None
        start, stop = max(each.start, begin), min(each.end, end)
        if start < stop:
            offset = each.offset + start - each.start
            out.append(replace(each, start=start - begin, end=stop - begin, offset=offset))
    return out


@dataclass
class Cast:
    """A whole cast.

    Attributes:
        path: the file.
        faces: per name, whose mouth moves, as ``--face`` takes it; None: a voice only.
        stretches: in the order of their starts.
    """

    path: Path
    faces: dict[str, str | None] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def speeches(self) -> list[Path]:
        """The files that are spoken, each once."""
        return list(dict.fromkeys(stretch.speech for stretch in self.stretches))


@dataclass(frozen=True)
class Line:
    """A line of a subtitle file or an edit list: who is heard when, and perhaps from which file.

    Attributes:
        speaker: label of the person.
        start, end: seconds from the film's first frame.
        text: what is said, empty where the file does not tell.
        source: name of the sound file, where the file tells.
        offset: seconds into that file, None where the file does not tell.
        where: for messages.
    """

    speaker: str
    start: Fraction
    end: Fraction
    where: str
    text: str = ""
    source: str | None = None
    offset: Fraction | None = None
