"""What is to be practised: a text file with a word or a sentence a line.

Lines that begin with ``#`` are headings of the page; empty lines separate and say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from lipwright.errors import LipwrightError, Problems

LONGEST = 200
"""Characters of a line: what can be read from lips in one go, with room to spare."""
MOST = 1000
"""Lines of a lesson."""


@dataclass(frozen=True)
class Item:
    """One thing to practise.

    Attributes:
        number: from 1, in the order of the file.
        text: what is said.
        heading: of the part of the page that it belongs to; empty for none.
    """

    number: int
    text: str
    heading: str = ""

    @property
    def kind(self) -> str:
        """``word`` or ``sentence``."""
        return "sentence" if len(self.text.split()) > 1 else "word"


def read_items(text: str, where: str) -> list[Item]:
    """The items of a file.

    Args:
        text: its content.
        where: what it is called in messages.

    Raises:
        LipwrightError: lines that cannot be practised, all at once, or nothing at all.
    """
    items: list[Item] = []
    problems: list[str] = []
    heading = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = " ".join(raw.split())
        if not line:
            continue
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
            continue
        if len(line) > LONGEST:
            problems.append(
                f"Line {number} of {where} has {len(line)} characters; a line may have {LONGEST}: "
                "break it into sentences, a line each."
            )
        elif not any(c.isalnum() for c in line):
            problems.append(f"Line {number} of {where} has no word that can be spoken: {line}")
        else:
            items.append(Item(len(items) + 1, line, heading))
    if len(items) > MOST:
        problems.append(f"{where} has {len(items)} lines to speak; a lesson may have {MOST}.")
    if problems:
        raise Problems(problems)
    if not items:
        raise LipwrightError(f"{where} holds no word; write a word or a sentence on every line.")
    return items
