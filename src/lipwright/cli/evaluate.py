"""``lipwright evaluate``: how good is a result, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

MOST_NOTES = 6
"""So many notes are printed; the files have all of them."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(no_args_is_help=True)(evaluate)


def evaluate(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="OUT",
            help="Dubbed videos, or a folder of them; several folders are compared, a column each.",
        ),
    ],
    reference: Annotated[
        list[Path],
        typer.Option(
            metavar="REF",
            help="The real video of each result, in the same order, or one folder with the same "
            "file names; may be given several times.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="TABLE",
            help="Table to write, .json or .csv; .md and .png beside it.",
        ),
    ],
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Only these metrics, of the tables of docs/evaluation.md (an unknown name gets "
            "the list as its answer); default: all that can be computed.",
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="A network that some metrics need: syncnet, inception, i3d, vgg16, lpips-heads, "
            "identity, expert, vqgan; may be given several times.",
        ),
    ] = None,
    front: Annotated[
        str,
        typer.Option(
            metavar="tracked|whole",
            help="What SyncNet sees: the tracked face, or the whole picture of cropped clips.",
        ),
    ] = "tracked",
    title: Annotated[
        str, typer.Option(help="Name of the results' column; those of folders have their own.")
    ] = "result",
) -> None:
    """Measure results against their real videos and print a table with 95 % intervals.

    The real videos always have a column of their own. Run again to continue; clips that were
    measured before are not measured twice. A metric whose network is absent is left out and named.
    """
    from lipwright.cli.progress import counter
    from lipwright.evaluation.evaluate import check_table, find_groups
    from lipwright.evaluation.evaluate import evaluate as run
    from lipwright.evaluation.networks import parse_weights

    check_table(out)
    groups = find_groups(results, reference, title)
    names = [n.strip() for n in metrics.split(",") if n.strip()] if metrics else None
    with counter("Measuring", "clips") as progress:
        content = run(groups, out, names, parse_weights(weights or []), front, progress=progress)
    show_table(content, out)


def show_table(content: dict[str, Any], out: Path) -> None:
    """Print what limits the numbers, then the table, then where everything lies."""
    from lipwright.cli.text import print_cells
    from lipwright.evaluation.evaluate import left_out_lines, notes_of_clips
    from lipwright.evaluation.table import cells_of_data

    notes = [*content["notes"], *notes_of_clips(content["clips"])]
    for line in [*left_out_lines(content, 100), *notes[:MOST_NOTES]]:
        print(f"- {line}")
    if len(notes) > MOST_NOTES:
        print(f"- {len(notes) - MOST_NOTES} more notes are in the files")
    clips, frames = len(content["clips"]), content["protocol"]["frames"]
    print(f"\n{clips} clip{'s' if clips != 1 else ''}, {frames} frames. Mean [95 % interval].\n")
    print_cells(cells_of_data(content["rows"]))
    page, plot = out.with_suffix(".md"), out.with_suffix(".png")
    print(f"\nTable {out}; plot {plot}; with the published numbers {page}")
