"""``lipwright faces``: who is in a video, before it is dubbed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(no_args_is_help=True)(faces)


def faces(
    video: Annotated[Path, typer.Argument(help="Video to look at.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for people.png and people.json.")
    ],
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="No progress, no closing lines.")
    ] = False,
) -> None:
    """Find the people of a video and number them for --face.

    Faces of different shots are compared and grouped into people. people.png shows each of them
    with the number that `--face person:N` takes; people.json says how long they are on screen, and
    how long they speak in the video's own sound. A dub of the same video uses what was found here.
    """
    from lipwright.cli.progress import dub_progress
    from lipwright.cli.text import print_table

    with dub_progress(quiet) as observer:
        from lipwright.dubbing.people_report import write_people

        people, files = write_people(video, out, observer)
    if quiet:
        return
    rows = [
        [
            p.name,
            f"{p.seconds:.1f}",
            "" if p.speaking is None else f"{p.speaking:.1f}",
            str(len({t.shot for t in p.tracks})),
            f"{p.first:.1f} to {p.last:.1f}",
        ]
        for p in people
    ]
    print_table(["--face", "seconds", "speaking", "shots", "from, to (s)"], rows)
    print(f"Wrote {files[0]} and {files[1]}.")
