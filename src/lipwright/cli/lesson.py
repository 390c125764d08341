"""``lipwright lesson``: clips and a page to practise lip-reading with."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipwright.cli.options import Quiet, takes_dub_options
from lipwright.cli.spoken import Synthesiser, Voice, text_of
from lipwright.dubbing.options import DubOptions
from lipwright.printable import printable

if TYPE_CHECKING:
    from lipwright.lesson.words import Item

NOT_HERE = (
    "face",
    "length",
    "speech_offset",
    "speech_stream",
    "codec",
    "pixels",
    "lossless",
    "report",
    "resume",
    "compare",
    "overwrite",
    "preview",
    "keep_streams",
    "ray",
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(no_args_is_help=True)(lesson)


@takes_dub_options(without=NOT_HERE, pixels="8")
def lesson(
    words: Annotated[
        Path,
        typer.Argument(
            metavar="WORDS.txt",
            help="A word or a sentence a line, UTF-8; lines with # are headings; - for a pipe.",
        ),
    ],
    *,
    face: Annotated[
        Path,
        typer.Option(
            "--face", metavar="VIDEO", help="Video or picture of the person who says them."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder to write.")],
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Lip-reading lesson",
    speed: Annotated[
        float, typer.Option(min=0.25, max=0.99, help="Speed of the slow versions; 1 is usual.")
    ] = 0.5,
    voice: Voice = None,
    synthesiser: Synthesiser = None,
    quiet: Quiet = False,
    options: DubOptions,
) -> None:
    """Make a lesson for practising lip-reading.

    Each word and sentence becomes a clip with captions and a slow version; index.html has them as
    exercises and needs no network. Run again, only what is missing is made.
    """
    from lipwright.cli.progress import dub_progress
    from lipwright.lesson.words import read_items

    items = read_items(text_of(words), "The word list" if words == Path("-") else str(words))
    options.check()
    count = len(items)
    with dub_progress(quiet or count > 1) as observer:
        from lipwright.lesson.make import PAGE, Voice, make_lesson

        def progress(item: Item, done: bool) -> None:
            if not quiet:
                state = " (done before)" if done else ""
                print(
                    printable(f"Clip {item.number} of {count}{state}: {item.text}"), file=sys.stderr
                )

        made = make_lesson(
            items,
            face,
            out,
            options,
            title=title,
            voice=Voice(voice, synthesiser),
            speed=Fraction(str(speed)),
            observer=observer,
            progress=progress,
        )
    if not quiet:
        print(printable(f"Wrote {len(made)} clips; open {out / PAGE} in a browser."))
