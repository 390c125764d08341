"""``lipwright batch``: many dubs from one table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipwright.cli.options import takes_dub_options
from lipwright.cli.text import clock, print_table
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError

if TYPE_CHECKING:
    from lipwright.batch.record import Outcome
    from lipwright.batch.run import BatchResult
    from lipwright.batch.table import BatchJob


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(no_args_is_help=True)(batch)


@takes_dub_options(without=("preview", "resume", "report", "compare"))
def batch(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="JOBS", help="Table of jobs, .csv or .yaml; see docs/dubbing.md for its form."
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--out",
            metavar="TEMPLATE",
            help="Name of the outputs of jobs that have none in the table, for example "
            "'done/{video}-{speech}.mp4'.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Jobs at once, each in a process with a model of its own.")
    ] = 1,
    retry: Annotated[int, typer.Option(min=0, help="Try a failed job again so many times.")] = 0,
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", help="No progress, no table.", rich_help_panel="Job"),
    ] = False,
    *,
    options: DubOptions,
) -> None:
    """Dub what a table says; run again, it does only what is missing.

    Speeches of one video share its plan and the loaded model. Options given here hold for all jobs
    whose row says nothing else. Exits with 1 if a job failed; the others are done all the same.
    """
    from lipwright.batch.table import read_table
    from lipwright.cli.progress import dub_progress

    jobs = read_table(table, out, options)
    count = len(jobs)
    if not quiet:
        print(f"{count} jobs in {table}.", file=sys.stderr)
    several = workers > 1 or options.ray is not None
    with dub_progress(quiet or several) as observer:
        from lipwright.batch.run import run_batch

        def progress(job: BatchJob, outcome: Outcome | None) -> None:
            if quiet:
                return
            if outcome is None:
                observer.notice(f"Job {job.number} of {count}: {job.title}")
            elif outcome.error:
                observer.notice(f"Job {job.number} of {count} failed: {outcome.error}")

        result = run_batch(
            table,
            jobs,
            options,
            workers=workers,
            retries=retry,
            ray=options.ray,
            observer=observer,
            progress=progress,
        )
    if not quiet:
        print_table(("job", "output", "state", "frames", "time"), rows_of(result))
    failed = result.failed
    if failed:
        numbers = ", ".join(str(job.number) for job in failed[:10])
        more = " and more" if failed[10:] else ""
        raise LipwrightError(
            f"{len(failed)} of {count} jobs failed (number {numbers}{more}); the same command "
            "tries them again."
        )


def rows_of(result: BatchResult) -> list[tuple[str, ...]]:
    """The summary, a row for each job."""
    rows: list[tuple[str, ...]] = []
    for job, outcome in result.outcomes:
        state = "failed" if outcome.error else "done"
        state = "done before" if job.number in result.skipped else state
        frames = str(outcome.frames) if outcome.frames else ""
        rows.append((str(job.number), str(job.out), state, frames, clock(outcome.seconds)))
    return rows
