"""``lipwright weights``: the network files that Lipwright uses but did not make."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.text import megabytes
from lipwright.errors import LipwrightError

weights_app = typer.Typer(
    no_args_is_help=True, help="List, fetch and check the network files that Lipwright uses."
)


def register(app: typer.Typer) -> None:
    """Add the command group to the application."""
    app.add_typer(weights_app, name="weights")


@dataclass(frozen=True)
class _Row:
    """One file: ``state`` is shipped, here, not here or missing; ``source`` an address or empty."""

    name: str
    size: str
    state: str
    licence: str
    purpose: str
    source: str = ""


@weights_app.command("list")
def list_files() -> None:
    """List the network files: what each is for, its size, its licence and whether it is here."""
    from lipwright.files import user_folders

    rows = [*_shipped_rows(), *_fetched_rows(), *_published_rows()]
    if sys.stdout.isatty():
        for row in rows:
            print("\n".join(_block(row)))
    else:
        print("\t".join(("name", "size", "state", "licence", "purpose", "source")))
        for row in rows:
            print("\t".join((row.name, row.size, row.state, row.licence, row.purpose, row.source)))
    print(f"Cache: {user_folders.cache_folder()}")


def _block(row: _Row) -> list[str]:
    """An entry for a terminal; an address has a line of its own, so that it can be copied."""
    lines = [f"{row.name:<34} {row.size:>9}  {row.state}"]
    lines += [f"    {row.purpose}", f"    licence: {row.licence}"]
    return [*lines, *([f"    {row.source}"] if row.source else []), ""]


def _fetched_rows() -> Iterator[_Row]:
    """Networks that ``weights fetch`` downloads."""
    from lipwright.weights import fetch

    for status in fetch.check():
        entry = status.entry
        licence = entry.licence + (" (research use only)" if entry.research_only else "")
        state = "here" if status.problem is None else "not here"
        yield _Row(entry.name, megabytes(entry.size), state, licence, entry.purpose)


def _published_rows() -> Iterator[_Row]:
    """Networks that others published; never downloaded, used when they are here."""
    from lipwright.weights import published

    for name, row in published.TABLE.items():
        licence = row.licence + (" (research use only)" if row.research_only else "")
        try:
            path = published.find_published(name)
        except LipwrightError:
            purpose = f"{row.purpose}; as {row.file} in the folder of LIPWRIGHT_MODELS"
            yield _Row(name, "", "not here", licence, purpose, row.url)
            continue
        yield _Row(name, megabytes(path.stat().st_size), "here", licence, row.purpose, row.url)


def _shipped_rows() -> Iterator[_Row]:
    """The checkpoint of every method that comes with the package."""
    from lipwright.methods import registry
    from lipwright.weights import container

    for method, name in registry.SHIPPED.items():
        purpose = f"checkpoint of the method {method}"
        try:
            path = registry.shipped(method)
            licence = str(container.read_header(path).get("licence", "not stated"))
        except LipwrightError:
            yield _Row(name, "", "missing", "", purpose)
            continue
        yield _Row(name, megabytes(path.stat().st_size), "shipped", licence, purpose)


@weights_app.command("fetch")
def fetch_files(
    name: Annotated[str, typer.Argument(help="Name of one file, or 'all'.")] = "all",
) -> None:
    """Download network files, so that later runs need no network."""
    from lipwright.weights import fetch, published

    if name in published.TABLE:
        row = published.TABLE[name]
        raise LipwrightError(
            f"'{name}' is not downloaded; get {row.file} from {row.url} and put it into the folder "
            "that LIPWRIGHT_MODELS names."
        )
    for path in fetch.fetch(name):
        print(path)


@weights_app.command("check")
def check_files() -> None:
    """Compare every network file on this machine with its checksum; exit 1 if one is not right.

    What only training needs may be missing.
    """
    from lipwright.weights import fetch

    problems = []
    for shipped in _shipped_rows():
        print(f"{shipped.name}: {'ok, shipped' if shipped.state == 'shipped' else shipped.state}")
        if shipped.state != "shipped":
            problems.append(f"{shipped.name} is missing; reinstall lipwright")
    for status in fetch.check():
        state = "not usable"
        if status.path is not None:
            state = f"ok, {status.path}"
        elif status.only_training_lacks_it:
            state = "not here; only training needs it"
        elif status.missing:
            state = "not here yet"
        print(f"{status.entry.name}: {state}")
        if status.problem is not None and not status.only_training_lacks_it:
            problems.append(status.problem)
    if problems:
        raise LipwrightError("; ".join(problems))
    print("All right.")


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
