"""``lipwright animate``: a still picture speaks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.options import Quiet, takes_dub_options
from lipwright.cli.spoken import Synthesiser, Text, TextFile, Voice, check_given, speech_or_text
from lipwright.dubbing.options import DubOptions
from lipwright.printable import printable


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(no_args_is_help=True)(animate)


@takes_dub_options(still=True)
def animate(
    image: Annotated[Path, typer.Argument(help="Picture of a face: photograph or drawing.")],
    *,
    speech: Annotated[
        Path | None, typer.Argument(help="Any file with a sound track. Not with --text.")
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Video to write: .mp4, .mov, .mkv or .webm.")
    ],
    text: Text = None,
    text_file: TextFile = None,
    voice: Voice = None,
    synthesiser: Synthesiser = None,
    idle: Annotated[
        bool,
        typer.Option(
            "--idle/--no-idle",
            help="Let the eyes blink and the head sway a little; made by warping the picture.",
            rich_help_panel="Face",
        ),
    ] = False,
    quiet: Quiet = False,
    options: DubOptions,
) -> None:
    """Let the face in a still picture speak.

    The whole picture is kept; only the lower face moves, unless --idle is given.
    """
    from lipwright.cli.closing import closing_lines
    from lipwright.cli.progress import dub_progress
    from lipwright.dubbing.checks import check_job

    if (speech is not None) is check_given(text, text_file, voice, synthesiser):
        raise typer.BadParameter("give either a SPEECH or a --text (or --text-file).")
    given = speech or Path()
    with speech_or_text(given, text, text_file, voice, synthesiser, options.limit) as speech_source:
        check_job(image, speech_source, out, options)
        with dub_progress(quiet) as observer:
            from lipwright.animation.job import animate as run

            found = run(image, speech_source, out, options, observer, fps=options.fps, idle=idle)
    for line in [] if quiet else closing_lines(found, observer.notices):
        print(printable(line))
