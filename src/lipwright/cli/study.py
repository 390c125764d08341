"""``lipwright study``: let people judge."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipwright.errors import reading_errors, system_errors

if TYPE_CHECKING:
    from lipwright.serving.study.answers import Answers
    from lipwright.serving.study.design import Design

study_app = typer.Typer(
    no_args_is_help=True,
    help="Let people rate the outputs of methods, blind and in random order.",
)

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(study_app, name="study")


@study_app.command("build", no_args_is_help=True)
def build(
    folders: Annotated[
        list[Path],
        typer.Argument(help="One folder for each method, with clips of the same names."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the study to make.")],
    title: Annotated[
        str, typer.Option(help="What raters read at the top.")
    ] = "Which videos look right?",
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Two clips side by side instead of grades from 1 to 5.")
    ] = False,
    checks: Annotated[
        int, typer.Option(min=0, max=20, help="Attention checks for each rater.")
    ] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every order.")] = 0,
) -> None:
    """Make a blind, randomised, counter-balanced study of the clips that all folders have."""
    _check_extra()
    from lipwright.serving.study.design import build as run

    design = run(
        folders, out, title=title, mode="pairs" if pairs else "scale", checks=checks, seed=seed
    )
    print(f"{len(design.methods)} methods, {len(design.clips)} clips in {out}.")
    print(f"Start it with: lipwright study serve {out}")


@study_app.command("serve", no_args_is_help=True)
def serve(
    study: StudyArgument,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 7862,
) -> None:
    """Open the study for raters, until Ctrl-C; prints the address to give to them."""
    _check_extra()
    from lipwright.serving.study.design import load
    from lipwright.serving.study.web import serve as run

    design = load(study)
    shown = f"[{host}]" if ":" in host else host
    print(f"Give this address to raters: http://{shown}:{port}/join/{design.join}")
    sys.stdout.flush()
    run(study.absolute(), host, port)


@study_app.command("report", no_args_is_help=True)
def report(
    study: StudyArgument,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write the numbers as JSON.")
    ] = None,
) -> None:
    """Print mean opinion scores with 95 % intervals, or preferences, and the raters' agreement."""
    with _opened(study) as (design, answers):
        from lipwright.serving.study.report import evaluate, markdown

        found = evaluate(design, answers.all())
    print(markdown(found), end="")
    if out is not None:
        _write(out, json.dumps(found.as_json(), indent=1) + "\n")


@study_app.command("export", no_args_is_help=True)
def export(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.csv", help="File to write.")],
) -> None:
    """Write all answers as CSV."""
    with _opened(study) as (_, answers):
        _write(out, answers.to_csv())


@study_app.command("import", no_args_is_help=True)
def import_(
    study: StudyArgument,
    file: Annotated[Path, typer.Argument(help="CSV file, as 'export' writes it.")],
) -> None:
    """Add the answers of a CSV file, for example those of a copy of the study."""
    with _opened(study) as (design, answers):
        with reading_errors(f"The file {file}"):
            text = file.read_text("utf-8")
        new = answers.from_csv(text, design)
    print(f"{new} new answers.")


@contextmanager
def _opened(study: Path) -> Iterator[tuple[Design, Answers]]:
    _check_extra()
    from lipwright.serving.study.answers import Answers
    from lipwright.serving.study.design import load

    design = load(study)
    with closing(Answers(study)) as answers:
        yield design, answers


def _check_extra() -> None:
    from lipwright.cli.serve import check_extra

    check_extra("lipwright study")


def _write(path: Path, text: str) -> None:
    from lipwright.files.whole import write_text

    with system_errors(f"The file {path} cannot be written", "choose another"):
        write_text(path, text)
