"""``lipwright prepare`` and ``lipwright train``: from raw videos to a model."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.options import Device
from lipwright.cli.text import megabytes
from lipwright.errors import missing_extra
from lipwright.training.stages.registry import summary_line


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
        typer.Option(
            help="CSV with the columns file, identity and split (train or val), and language."
        ),
    ] = None,
    size: Annotated[int, typer.Option(min=64, help="Side of the stored face crops.")] = 256,
    hd: Annotated[
        int, typer.Option(help="Side of the further crops of very large faces; 0 for none.")
    ] = 768,
    pack_size: Annotated[
        int, typer.Option(min=32, help="Side of the packed crops that training reads.")
    ] = 128,
    min_face: Annotated[float, typer.Option(help="Lowest face, in pixels of the source.")] = 60.0,
    max_yaw: Annotated[float, typer.Option(help="Largest turn of the head, degrees.")] = 40.0,
    expert: Annotated[
        Path | None,
        typer.Option(help="Training run whose sync expert judges offsets.", metavar="RUN"),
    ] = None,
    lips: Annotated[
        bool,
        typer.Option(
            "--lips",
            help="Judge offsets by what the shipped speech network says that lips do, instead of "
            "by a fit to this corpus; tells short and few clips.",
        ),
    ] = False,
    drop_words: Annotated[
        Path | None,
        typer.Option(
            help="Word list; pieces in whose transcript (.vtt or .srt beside the video) one falls "
            "are left out.",
            metavar="FILE",
        ),
    ] = None,
    watermark: Annotated[
        str | None,
        typer.Option(
            help="Mark all stored frames with this id, eight hexadecimal digits.", metavar="ID"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Run on a Ray cluster instead: its address, auto or local. Needs the extra 'ray'.",
            metavar="ADDRESS",
        ),
    ] = None,
    pack: Annotated[
        bool, typer.Option("--pack/--no-pack", help="Write the arrays that training reads.")
    ] = True,
    shards: Annotated[
        bool, typer.Option("--shards/--no-shards", help="Write WebDataset shards too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
) -> None:
    """Cut raw videos into a training corpus; run again to continue after an interruption.

    Every source ends as aligned face crops at 25 fps with their speech in step, or with a written
    reason for its rejection, in the corpus' manifest.jsonl; statistics.html sums it up.
    """
    from lipwright.cli import prepare as shown
    from lipwright.data.prepare import PrepareOptions
    from lipwright.data.rows import PrepareSettings
    from lipwright.provenance.watermark.grid import format_id, parse_id

    settings = PrepareSettings(
        size=size,
        hd=hd,
        pack_size=pack_size,
        min_face=min_face,
        max_yaw=max_yaw,
        mark=format_id(parse_id(watermark)) if watermark else "",
    )
    options = PrepareOptions(labels, workers, ray, expert, drop_words, pack, shards, lips)
    if dry_run:
        shown.dry_run(sources, out, workers, labels)
        return
    shown.run(sources, out, settings, options)


def train(
    stage: Annotated[
        str,
        typer.Argument(
            metavar="STAGE",
            help=f"One of {summary_line()}; or all, for the stages of a config in their order; or "
            "doctor, which says why an expert does not learn.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Changes to the configuration, as run.steps=100; with all the stage comes first, "
            "as vqgan.run.steps=100.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    *,
    data: Annotated[Path, typer.Option(help="Corpus made by lipwright prepare.", metavar="CORPUS")],
    config: Annotated[
        str,
        typer.Option(
            help="YAML file, or the name of a shipped one (configs/METHOD/NAME.yaml).",
            metavar="FILE",
        ),
    ] = "tiny",
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder of the run; an interrupted run goes on. Only doctor can do without.",
            metavar="RUN",
        ),
    ] = None,
    device: Annotated[Device, typer.Option(help="What computes: auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Train one stage of a method, or all of them; run again to continue after an interruption.

    With several GPUs: torchrun -m lipwright train ... Needs the extra 'train'.
    """
    if find_spec("accelerate") is None or find_spec("torch") is None:
        raise missing_extra("Training", "train")
    if stage == "doctor":
        from lipwright.training.doctor.report import diagnose

        diagnose(data, out, list(overrides or ()))
        return
    if out is None:
        raise typer.BadParameter("is needed: the folder of the run.", param_hint="'--out'")
    from lipwright.training.kept_memory import keep_freed_memory
    from lipwright.training.stages.run import run_stage

    _show_log()
    keep_freed_memory()
    made = run_stage(stage, data, config, out, list(overrides or ()), device)
    size = f" ({megabytes(made.stat().st_size)})" if made.is_file() else ""
    print(f"Wrote {made}{size}")


def _show_log() -> None:
    """Show the progress lines that data and training write to their loggers."""
    import logging

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("lipwright")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
