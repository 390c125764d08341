"""``lipwright weights``: the network files that Lipwright uses but did not make."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.text import megabytes, print_table
from lipwright.errors import LipwrightError

weights_app = typer.Typer(
    no_args_is_help=True, help="List, fetch and check the network files that Lipwright uses."
)


def register(app: typer.Typer) -> None:
    """Add the command group to the application."""
    app.add_typer(weights_app, name="weights")


@weights_app.command("list")
def list_files() -> None:
    """List the network files: what each is for, its size, its licence and whether it is here."""
    from lipwright.files import user_folders
    from lipwright.weights import fetch

    rows = [*_shipped_rows()]
    rows += [
        (
            status.entry.name,
            megabytes(status.entry.size),
            "here" if status.problem is None else "not here",
            status.entry.licence + (" (research use only)" if status.entry.research_only else ""),
            status.entry.purpose,
        )
        for status in fetch.check()
    ]
    rows += list(_published_rows())
    print_table(("name", "size", "state", "licence", "purpose"), rows)
    print(f"Cache: {user_folders.cache_folder()}")


def _published_rows() -> Iterator[tuple[str, ...]]:
    """Networks that others published; never downloaded, used when they are here."""
    from lipwright.weights import published

    for name, row in published.TABLE.items():
        licence = row.licence + (" (research use only)" if row.research_only else "")
        try:
            path = published.find_published(name)
        except LipwrightError:
            yield name, "", "not here", licence, f"{row.purpose}; {row.file} from {row.url}"
            continue
        yield name, megabytes(path.stat().st_size), "here", licence, row.purpose


def _shipped_rows() -> Iterator[tuple[str, ...]]:
    """The default checkpoint of every method, which comes with the package."""
    from lipwright.methods import registry
    from lipwright.weights import checkpoint

    for method, name in registry.SHIPPED.items():
        purpose = f"default of the method {method}"
        try:
            path = registry.shipped(method)
            licence = str(checkpoint.read_header(path).get("licence", "not stated"))
        except LipwrightError:
            yield name, "", "missing", "", purpose
            continue
        yield name, megabytes(path.stat().st_size), "shipped", licence, purpose


@weights_app.command("fetch")
def fetch_files(
    name: Annotated[str, typer.Argument(help="Name of one file, or 'all'.")] = "all",
) -> None:
    """Download network files, so that later runs need no network."""
    from lipwright.weights import fetch

    for path in fetch.fetch(name):
        print(path)


@weights_app.command("check")
def check_files() -> None:
    """Compare every network file on this machine with its checksum; exit 1 if one is not right.

    What only training needs may be missing.
    """
    from lipwright.weights import fetch

    problems = []
    for status in fetch.check():
        state = "not usable"
        if status.path is not None:
            state = f"ok, {status.path}"
        elif status.only_training_lacks_it:
            state = "not here; only training needs it"
        print(f"{status.entry.name}: {state}")
        if status.problem is not None and not status.only_training_lacks_it:
            problems.append(status.problem)
    if problems:
        raise LipwrightError("; ".join(problems))


@weights_app.command("convert-vqgan", no_args_is_help=True)
def convert_vqgan(
    source: Annotated[Path, typer.Argument(help="VQGAN of taming-transformers, .ckpt.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Checkpoint to write, .safetensors.")],
) -> None:
    """Turn a published VQGAN into a checkpoint that training can go on from.

    As RUN/vqgan/vqgan.safetensors it takes the place of the stage vqgan.
    """
    from lipwright.training.published_vqgan import convert_vqgan as run

    arguments = run(source, out)
    print(f"{out}: {arguments['n_codes']} entries of {arguments['dim']} numbers")
