"""``lipwright memory``: look into the memory of the method of that name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

memory_app = typer.Typer(no_args_is_help=True, help="Look into an Audio-Lip Memory.")


def register(app: typer.Typer) -> None:
    """Add the command group to the application."""
    app.add_typer(memory_app, name="memory")


@memory_app.callback()
def group() -> None:
    """Look into an Audio-Lip Memory."""


@memory_app.command(no_args_is_help=True)
def inspect(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="File of lipwright train memory.")
    ],
    *,
    data: Annotated[Path, typer.Option(help="Corpus made by lipwright prepare.", metavar="CORPUS")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write.", metavar="DIR")],
    split: Annotated[
        str, typer.Option(metavar="train|val|all", help="Which clips to look at.")
    ] = "all",
    clips: Annotated[
        int, typer.Option(min=1, help="At most so many clips, half of them with alignments.")
    ] = 200,
    edit: Annotated[
        str | None,
        typer.Option(
            metavar="A:B", help="Mix two sounds: words, phonemes or slot numbers, as ay:uw."
        ),
    ] = None,
    alignments: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Word alignments of GRID; default: beside the source videos."
        ),
    ] = None,
    aligner: Annotated[
        bool,
        typer.Option(
            "--aligner",
            help="Place phonemes by a forced aligner (English; in free speech, whose words are "
            "recognised first, too).",
        ),
    ] = False,
    identities: Annotated[
        str,
        typer.Option(metavar="PATTERNS", help="Only these people: 'person_*,vlog_*'."),
    ] = "*",
) -> None:
    """Show what the slots of a memory stand for: index.html, pictures and inspect.json.

    Slot use; addresses over time beside the waveform; which slots answer to which phonemes and
    words, with their mutual information against a shuffled control; the mouth each slot draws.
    """
    from lipwright.cli.progress import counter
    from lipwright.errors import LipwrightError
    from lipwright.evaluation.memory.inspect import inspect as run

    if split not in ("train", "val", "all"):
        raise LipwrightError(f"there is no split '{split}'; use train, val or all.")
    with counter("Listening", "clips") as progress:
        found = run(
            *(checkpoint, data, out, split, clips, edit),
            *(alignments, aligner, identities, progress),
        )
    use = found["slots"]
    print(
        f"{found['clips']} clips, {found['frames']} frames: audio uses "
        f"{use['audio']['effective']:.1f} of {use['count']} slots, lips "
        f"{use['lips']['effective']:.1f}."
    )
    print(
        f"They agree on the top slot in {100 * use['agreement']:.1f} % of frames, "
        f"{100 * use['agreement_shuffled']:.1f} % by chance."
    )
    predicted = found["information"]
    if predicted:
        i = predicted["audio"]["phonemes"]
        print(
            f"Top slot and phoneme share {i['bits']:.3f} bits of {i['label_bits']:.2f}; "
            f"{i['control']:.3f} by chance (p = {i['p']:.3f}, {i['frames']} frames)."
        )
    print(f"Wrote {out / 'index.html'}.")
