"""``lipwright dub`` and ``lipwright demo``: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.options import takes_dub_options
from lipwright.dubbing.options import DubOptions


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(no_args_is_help=True)(dub)
    app.command()(demo)


@takes_dub_options()
def dub(
    video: Annotated[Path, typer.Argument(help="Video of a talking person, or a still picture.")],
    speech: Annotated[Path, typer.Argument(help="Any file with a sound track.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Video to write: .mp4, .mov, .mkv or .webm.")
    ],
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", help="No progress, no closing lines.", rich_help_panel="Job"),
    ] = False,
    *,
    options: DubOptions,
) -> None:
    """Move the mouth of a person in a video to any speech.

    Frames, timing, size, colours and bit depth stay those of the video; a frame without a usable
    face passes through unchanged.
    """
    from lipwright.cli.progress import DubProgress, QuietProgress
    from lipwright.dubbing.job import dub as run

    if quiet:
        run(video, speech, out, options, QuietProgress())
        return
    with DubProgress() as observer:
        found = run(video, speech, out, options, observer)
    for line in found.summary_lines():
        print(line)


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder to write the results to.")
    ] = Path("lipwright-demo"),
) -> None:
    """Dub the bundled portrait and lay source and result side by side."""
    print("Setting a public-domain portrait in motion and dubbing it ...", file=sys.stderr)
    from lipwright.cli.progress import DubProgress
    from lipwright.demo import run_demo

    with DubProgress() as observer:
        files, report = run_demo(out, observer)
    for line in report.summary_lines():
        print(line)
    print(f"Source         {files.source}")
    print(f"Speech         {files.speech}")
    print(f"Result         {files.result}")
    print(f"Contact sheet  {files.sheet}")
    print(f"Report         {files.report}")
    print(
        "Play the result with sound: the mouth should follow the voice and rest in the pause and "
        "at the end. In the contact sheet the source is above the result; only the lower face "
        "should differ."
    )
