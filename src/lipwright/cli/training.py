"""``lipwright prepare`` and ``lipwright train``: from raw videos to a model."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.options import Device
from lipwright.errors import LipwrightError


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(no_args_is_help=True)(prepare)
    app.command(no_args_is_help=True)(train)


def prepare(
    sources: Annotated[
        list[Path], typer.Argument(help="Video files, or folders that are searched for them.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Corpus folder; made or continued.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns file, identity and split (train or val)."),
    ] = None,
    size: Annotated[int, typer.Option(min=32, help="Side of the face crops in pixels.")] = 128,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    pack: Annotated[
        bool, typer.Option("--pack/--no-pack", help="Write the arrays that training reads.")
    ] = True,
) -> None:
    """Cut raw videos into a training corpus; run again to continue after an interruption.

    Every source ends as aligned face crops at 25 fps with their speech, or with a written reason
    for its rejection, in the corpus' manifest.jsonl.
    """
    from lipwright.cli.progress import counter
    from lipwright.data.extract import ExtractSettings
    from lipwright.data.prepare import prepare as run

    _show_log()
    with counter("Preparing", "sources") as tell:
        summary = run(sources, out, labels, ExtractSettings(size=size), workers, pack, tell)
    print(
        f"{summary.clips} clips, {summary.minutes} minutes, {summary.identities} identities "
        f"from {summary.sources} sources in {out}"
    )
    for reason, count in sorted(summary.rejected.items(), key=lambda item: -item[1]):
        print(f"rejected {count}: {reason}")


def train(
    stage: Annotated[
        str,
        typer.Argument(
            metavar="STAGE",
            help="vqgan, pose-vqgan, codes, expert, generator or vq, in this order, or all; "
            "landmarks, landmark-space, landmark-audio, landmark-video or landmark, in this order.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Changes to the configuration, as run.steps=100.", metavar="KEY=VALUE"),
    ] = None,
    *,
    data: Annotated[Path, typer.Option(help="Corpus made by lipwright prepare.", metavar="CORPUS")],
    config: Annotated[str, typer.Option(help="YAML file, or tiny, base or paper.", metavar="FILE")],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", help="Folder of the run; an interrupted run goes on.", metavar="RUN"
        ),
    ],
    device: Annotated[Device, typer.Option(help="What computes.")] = "auto",
) -> None:
    """Train one stage of a method, or all of them; run again to continue after an interruption.

    With several GPUs: torchrun -m lipwright train ... Needs the extra 'train'.
    """
    if find_spec("accelerate") is None:
        raise LipwrightError(
            "Training needs more packages than dubbing; run: "
            "python -m pip install 'lipwright[train]'."
        )
    from lipwright.training.stages import run_stage

    _show_log()
    run_stage(stage, data, config, out, list(overrides or ()), device)


def _show_log() -> None:
    """Show the progress lines that data and training write to their loggers."""
    import logging

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("lipwright")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
