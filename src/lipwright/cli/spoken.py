"""Text in the place of a speech file: what ``dub`` and ``animate`` share."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lipwright.errors import LipwrightError

_option = partial(typer.Option, rich_help_panel="Text instead of a speech")

Text = Annotated[
    str | None,
    _option(metavar="TEXT", help="What is to be said, by a speech synthesiser; instead of SPEECH."),
]
TextFile = Annotated[
    Path | None,
    _option(metavar="FILE", help="The same from a text file in UTF-8; - for a pipe."),
]
Voice = Annotated[
    str | None,
    _option(
        metavar="NAME",
        help="Voice or language of the synthesiser, such as de or en-gb for espeak-ng.",
    ),
]
Synthesiser = Annotated[
    str | None,
    _option(
        metavar="COMMAND",
        help="Program that speaks, with {out} for the sound file that it writes and {text}, "
        "{text_file} and {voice}; without a text in it, the text comes on standard input. "
        "Default: espeak-ng.",
    ),
]


def check_given(text: str | None, text_file: Path | None, *belongings: str | None) -> bool:
    """Whether a text was given.

    Args:
        text: of ``--text``.
        text_file: of ``--text-file``.
        belongings: what has a meaning with a text only.

    Raises:
        typer.BadParameter: both, or options of a text that is not there.
    """
    if text is not None and text_file is not None:
        raise typer.BadParameter("give either --text or a --text-file.")
    there = text is not None or text_file is not None
    if not there and any(item is not None for item in belongings):
        raise typer.BadParameter("--voice and --synthesiser belong to --text or --text-file.")
    return there


@contextmanager
def speech_or_text(
    speech: Path,
    text: str | None,
    text_file: Path | None,
    voice: str | None,
    synthesiser: str | None,
    limit: Sequence[str],
) -> Iterator[Path]:
    """The speech file that was given, or the text as one that is gone at the end.

    Args:
        speech: the file; unused where there is a text.
        text: of ``--text``.
        text_file: of ``--text-file``.
        voice: of ``--voice``.
        synthesiser: of ``--synthesiser``.
        limit: of ``--limit``, for the length of the text and the synthesiser's work.

    Raises:
        LipwrightError: the text cannot be read or not be spoken.
    """
    if text is None and text_file is None:
        yield speech
        return
    from lipwright.media import limits
    from lipwright.media.synthesis import spoken

    with limits.applied(limits.parse(limit)):
        said = text if text is not None else text_of(Path(str(text_file)))
        with spoken(said, voice, synthesiser) as made:
            yield made


def text_of(path: Path) -> str:
    """What a text file says, or the pipe (``-``)."""
    from lipwright.media.source import check_file
    from lipwright.media.synthesis import longest_file, read_text

    if path == Path("-"):
        data = sys.stdin.buffer.read(longest_file() + 1)
        if not data:
            raise LipwrightError("Nothing came from the pipe; give a text file, or pipe one in.")
        return read_text(data, "What came from the pipe")
    check_file(path, "text file")
    with path.open("rb") as file:
        return read_text(file.read(longest_file() + 1), f"The text file {path}")
