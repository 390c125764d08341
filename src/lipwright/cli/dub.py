"""``lipwright dub`` and ``lipwright demo``: the main job."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.options import Quiet, takes_dub_options
from lipwright.cli.spoken import Synthesiser, Text, TextFile, Voice, check_given, speech_or_text
from lipwright.dubbing.cast.request import CastSpeech, Original
from lipwright.dubbing.options import DubOptions
from lipwright.printable import printable

_cast_option = partial(typer.Option, rich_help_panel="Cast")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(no_args_is_help=True)(dub)
    app.command()(demo)


@takes_dub_options()
def dub(
    video: Annotated[
        Path, typer.Argument(help="Video of a talking person, or a still picture; - for a pipe.")
    ],
    *,
    speech: Annotated[
        Path | None,
        typer.Argument(
            help="Any file with a sound track; - for a pipe. Not with --text or --cast."
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", help="Video to write: .mp4, .mov, .mkv or .webm; - for a pipe."
        ),
    ],
    text: Text = None,
    text_file: TextFile = None,
    voice: Voice = None,
    synthesiser: Synthesiser = None,
    cast: Annotated[
        Path | None,
        _cast_option(
            metavar="FILE",
            help="Who says what, and when, in a film of several people: .yaml or .csv.",
        ),
    ] = None,
    bed: Annotated[
        Path | None,
        _cast_option(
            metavar="FILE", help="Music and effects, to be heard below the speeches of a cast."
        ),
    ] = None,
    duck_bed: Annotated[
        bool, _cast_option("--duck-bed", help="Lower the bed where somebody speaks.")
    ] = False,
    original: Annotated[
        Original,
        _cast_option(
            help="The film's own sound below the speeches of a cast. keep: as it is; duck: lower "
            "where somebody speaks; drop: not at all; auto: drop where there is a bed, else duck."
        ),
    ] = "auto",
    quiet: Quiet = False,
    options: DubOptions,
) -> None:
    """Move the mouth of a person in a video to any speech.

    Frames, timing, size, colours and bit depth stay those of the video; a frame without a usable
    face passes through unchanged.
    """
    from lipwright.cli.closing import closing_lines
    from lipwright.cli.pipes import PIPE, real_files
    from lipwright.cli.progress import dub_progress
    from lipwright.dubbing.checks import check_job

    has_text = check_given(text, text_file, voice, synthesiser)
    if (speech is not None) + has_text + (cast is not None) != 1:
        raise typer.BadParameter("give either a SPEECH, a --text (or --text-file) or a --cast.")
    if video == PIPE == text_file:
        raise typer.BadParameter("video and text cannot both come from a pipe.")
    if cast is None and (bed is not None or duck_bed or original != "auto"):
        raise typer.BadParameter("--bed, --duck-bed and --original belong to a --cast.")
    said = sys.stderr if out == PIPE else sys.stdout
    given = speech or Path(str(cast))
    with (
        speech_or_text(given, text, text_file, voice, synthesiser, options.limit) as speech_source,
        real_files(video, speech_source, out, options.lossless) as files,
    ):
        if cast is None:  # what is wrong with a cast is said by its own check, all at once
            check_job(*files, options)
        with dub_progress(quiet) as observer:
            from lipwright.dubbing.job import dub as run

            spoken: Path | CastSpeech = files[1]
            if cast is not None:
                spoken = CastSpeech(cast, bed, duck_bed, original)
            found = run(files[0], spoken, files[2], options, observer)
        lines = closing_lines(found, observer.notices)
        if out == PIPE:
            lines = [*found.summary_lines(observer.notices), "Wrote the video to standard output."]
        for line in [] if quiet else lines:
            print(line, file=said)


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder to write the results to.")
    ] = Path("lipwright-demo"),
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="No progress, no closing lines.")
    ] = False,
) -> None:
    """Dub the bundled portrait and lay source and result side by side."""
    from lipwright.cli.closing import closing_lines
    from lipwright.cli.progress import dub_progress

    if not quiet:
        print("Setting a public-domain portrait in motion and dubbing it ...", file=sys.stderr)
    with dub_progress(quiet) as observer:
        from lipwright.demo import run_demo

        files, report = run_demo(out, observer)
    if quiet:
        return
    for line in closing_lines(report, observer.notices):
        print(printable(line))
    print(f"Source {files.source}, speech {files.speech}, contact sheet {files.sheet}.")
    print(
        "Play the comparison with sound: at the right the mouth should follow the voice and rest "
        "in the pause and at the end; nothing else should differ from the left."
    )
