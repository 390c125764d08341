"""``lipwright protocol``: fixed evaluation protocols, dubbing included."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from lipwright.cli.evaluate import show_table
from lipwright.cli.options import Device
from lipwright.cli.text import print_cells
from lipwright.errors import LipwrightError

protocol_app = typer.Typer(
    no_args_is_help=True, help="Dub real clips by a fixed protocol and measure the results."
)

Sources = Annotated[
    list[Path] | None, typer.Argument(metavar="CLIP...", help="Real videos, or folders of them.")
]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for videos and tables.")]
Labels = Annotated[
    Path | None,
    typer.Option(help="CSV with the columns file, identity, split and set, instead of CLIP."),
]
Sets = Annotated[str | None, typer.Option("--set", help="Values of the CSV's column set.")]
PerIdentity = Annotated[int, typer.Option(min=0, help="At most so many clips of a person; 0: all.")]
Most = Annotated[int, typer.Option("--clips", min=0, help="At most so many clips; 0: all.")]
MethodName = Annotated[str, typer.Option(metavar="NAME", help="Method of lip-sync.")]
Checkpoint = Annotated[Path | None, typer.Option(metavar="FILE", help="Checkpoint of the method.")]
Weights = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=FILE", help="Networks of the metrics, as for lipwright evaluate."),
]
Dubbing = tuple[Path, str, Path | None, dict[str, Path]]


def register(app: typer.Typer) -> None:
    """Add the command group to the application."""
    app.add_typer(protocol_app, name="protocol")


def _clips(
    clips: Sources = None,
    labels: Labels = None,
    sets: Sets = None,
    per_identity: PerIdentity = 0,
    most: Most = 0,
) -> Any:
    from lipwright.evaluation.protocols.clips import collect

    return collect(clips or [], labels, sets=sets, per_identity=per_identity, most=most)


def _dubbing(
    out: Out, method: MethodName = "vq", checkpoint: Checkpoint = None, weights: Weights = None
) -> Dubbing:
    """What the protocols that dub take after the clips."""
    from lipwright.evaluation.networks import parse_weights

    return out, method, checkpoint, parse_weights(weights or [])


def _takes(**shared: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the parameters of functions; it gets their results by the names here."""

    def with_parameters(command: Callable[..., None]) -> Callable[..., None]:
        functions = (*shared.values(), command)
        hints = {each: get_type_hints(each, include_extras=True) for each in functions}
        parameters = [
            parameter.replace(
                annotation=hints[function][parameter.name],
                kind=inspect.Parameter.KEYWORD_ONLY,
            )
            for function in functions
            for parameter in inspect.signature(function).parameters.values()
            if parameter.name not in shared
        ]

        @functools.wraps(command)
        def run(**given: Any) -> None:
            for name, function in shared.items():
                own = inspect.signature(function).parameters
                given[name] = function(**{each: given.pop(each) for each in own})
            command(**given)

        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return with_parameters


def _run(
    name: Literal["reconstruction", "unpaired", "silent"],
    clips: Any,
    dubbing: Dubbing,
    pairing: Path | None = None,
) -> None:
    from lipwright.cli.progress import counter
    from lipwright.evaluation.protocols.run import run_protocol

    with counter("Dubbing, then measuring", "steps") as progress:
        table = run_protocol(
            name,
            clips,
            *dubbing,
            pairing,
            progress=lambda done, total: progress(done, 2 * total),
            measuring_progress=lambda done, total: progress(total + done, 2 * total),
        )
    show_table(json.loads(table.read_text(encoding="utf-8")), table)


@protocol_app.command(no_args_is_help=True)
@_takes(chosen=_clips, dubbing=_dubbing)
def reconstruction(*, chosen: Any, dubbing: Dubbing) -> None:
    """Dub every clip with its own speech and compare it with the real video."""
    _run("reconstruction", chosen, dubbing)


@protocol_app.command(no_args_is_help=True)
@_takes(chosen=_clips, dubbing=_dubbing)
def unpaired(
    *,
    chosen: Any,
    dubbing: Dubbing,
    pairing: Annotated[
        Path | None, typer.Option(help="CSV with the columns video and speech; default: the rule.")
    ] = None,
) -> None:
    """Dub every clip with another person's speech, by a pairing that is the same for everybody."""
    _run("unpaired", chosen, dubbing, pairing)


@protocol_app.command(no_args_is_help=True)
@_takes(chosen=_clips, dubbing=_dubbing)
def silent(*, chosen: Any, dubbing: Dubbing) -> None:
    """Dub every clip with digital silence: does the mouth rest?"""
    _run("silent", chosen, dubbing)


@protocol_app.command(no_args_is_help=True)
@_takes(chosen=_clips, dubbing=_dubbing)
def noise(
    *,
    chosen: Any,
    dubbing: Dubbing,
    levels: Annotated[
        str,
        typer.Option(metavar="DB,...", help="Signal-to-noise ratios; the clean speech is added."),
    ] = "20,10,5,0",
) -> None:
    """Dub with speech under noise and plot the metrics against the signal-to-noise ratio."""
    from lipwright.cli.progress import counter
    from lipwright.evaluation.protocols.run import run_noise
    from lipwright.evaluation.table import cells_of_data

    try:
        numbers = [float("inf"), *(float(v) for v in levels.split(","))]
    except ValueError as error:
        raise LipwrightError(f"'{levels}' is no list of decibels; write 20,10,5,0.") from error
    with counter("Dubbing", "clips") as progress:
        table = run_noise(chosen, *dubbing, numbers, progress=progress)
    content = json.loads(table.read_text(encoding="utf-8"))
    for note in content["notes"]:
        print(f"- {note}")
    print_cells(cells_of_data(content["rows"]))
    print(f"\nTable {table}; plot {table.with_suffix('.png')}")


@protocol_app.command("expert-accuracy", no_args_is_help=True)
@_takes(chosen=_clips)
def expert_accuracy(
    *,
    chosen: Any,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="TABLE.json", help="Table.")],
    expert: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="A sync expert; may be given several times."),
    ],
    vqgan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="VQGAN of experts that judge codes.")
    ] = None,
) -> None:
    """How often sync experts tell matching speech from shifted speech, on real videos."""
    from lipwright.cli.progress import counter
    from lipwright.evaluation.experts import load_expert
    from lipwright.evaluation.protocols.accuracy import expert_accuracy as run

    experts = {str(path): load_expert(path, vqgan) for path in expert}
    with counter("Judging", "clips") as progress:
        run(experts, chosen, out, progress=progress)
    print(out.with_suffix(".md").read_text(encoding="utf-8"), end="")


@protocol_app.command(no_args_is_help=True)
@_takes(chosen=_clips)
def ablation(
    *,
    chosen: Any,
    data: Annotated[Path, typer.Option(metavar="CORPUS", help="Corpus made by lipwright prepare.")],
    config: Annotated[str, typer.Option(metavar="FILE", help="YAML with a section expert.")],
    out: Out,
    override: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE.KEY=VALUE", help="Change for every variant."),
    ] = None,
    enhance: Annotated[
        str | None, typer.Option(metavar="NAME", help="Adds a row with this post-processing.")
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Train the variants of the paper's tables 4 and 5 from one config, and fill the table."""
    from lipwright.cli.progress import counter
    from lipwright.evaluation.networks import parse_weights
    from lipwright.evaluation.protocols.ablation import run_ablation

    with counter("Ablation", "variants") as progress:
        table = run_ablation(
            data,
            config,
            chosen,
            out,
            overrides=override or [],
            enhance=enhance,
            weights=parse_weights(weights or []),
            device=device,
            progress=progress,
        )
    print(table.with_suffix(".md").read_text(encoding="utf-8"), end="")
