"""``lipwright evaluate``: how good is a result, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(no_args_is_help=True)(evaluate)


def evaluate(
    results: Annotated[
        list[Path], typer.Argument(metavar="OUT...", help="Dubbed videos, or one folder of them.")
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
            "-o", "--out", metavar="TABLE.json", help="Table to write; .md and .png beside it."
        ),
    ],
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="Only these metrics; default: all that can be computed."
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
    title: Annotated[str, typer.Option(help="Name of the results' row.")] = "result",
) -> None:
    """Measure results against their real videos and print a table with 95 % intervals.

    The real videos always have a row of their own. Run again to continue; clips that were measured
    before are not measured twice. A metric whose network is absent is left out and named.
    """
    from lipwright.cli.progress import counter
    from lipwright.evaluation.evaluate import evaluate as run
    from lipwright.evaluation.evaluate import find_pairs
    from lipwright.evaluation.networks import parse_weights

    pairs = find_pairs(results, reference)
    names = [n.strip() for n in metrics.split(",") if n.strip()] if metrics else None
    with counter("Measuring", "clips") as tell:
        run(pairs, out, names, parse_weights(weights or []), front, title, tell=tell)
    print(out.with_suffix(".md").read_text(encoding="utf-8"), end="")
