"""``lipwright verify`` and ``lipwright watermark``: is a file synthetic, and whose is it?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lipwright.cli.options import Region
from lipwright.errors import system_errors
from lipwright.printable import printable

NOTHING_FOUND = 3
_COLOURS: dict[str, str] = {
    "intact": "green",
    "manifest only": "green",
    "mark only": "yellow",
    "changed": "red",
    "nothing": "white",
}

watermark_app = typer.Typer(
    no_args_is_help=True, help="Embed and detect the invisible mark of synthetic video."
)

ReportOption = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write what was found as JSON; - prints it."),
]
FacesOption = Annotated[
    bool,
    typer.Option("--faces/--no-faces", help="Look around faces too, or at whole frames only."),
]
SearchOption = Annotated[
    Literal["auto", "off"],
    typer.Option("--search", help="Look for cropped, zoomed and turned copies too, or not."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(no_args_is_help=True)(verify)
    app.add_typer(watermark_app, name="watermark")


def verify(
    file: Annotated[Path, typer.Argument(help="Video or picture.")],
    trust_anchors: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Certificates of the authorities that you trust."),
    ] = None,
    faces: FacesOption = True,
    search: SearchOption = "auto",
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough", help="Read every frame, and around every face, for very faint marks."
        ),
    ] = False,
    report: ReportOption = None,
) -> None:
    """Say where a file comes from and whether it was changed since, by its manifest and watermark.

    The first line is the verdict, the others are the reasons. Exits with 0 if a manifest or a
    watermark was found and holds, with 3 if there is neither, with 4 if the manifest is broken.
    """
    from lipwright.cli.progress import frame_counter
    from lipwright.provenance.verify import verify as run

    with frame_counter("Reading the mark") as progress:
        found = run(
            file,
            trust_anchors=trust_anchors,
            faces=faces,
            mode=search,
            effort="full" if thorough else "quick",
            progress=progress,
        )
    _print_result(found.sentences, found.to_json(), report, found.headline, _COLOURS[found.verdict])
    raise typer.Exit(found.exit_code)


@watermark_app.command("embed", no_args_is_help=True)
def embed(
    file: Annotated[Path, typer.Argument(help="Video or picture to mark.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The marked copy.")],
    mark_id: Annotated[
        str | None,
        typer.Option("--id", metavar="HEX", help="Eight hexadecimal digits; random by default."),
    ] = None,
    region: Annotated[
        Region, typer.Option(help="What carries the mark: face, frame or both.")
    ] = "face",
    crf: Annotated[
        int,
        typer.Option(min=0, max=51, help="Quality from 0 to 51; lower is better and larger."),
    ] = 16,
    lossless: Annotated[bool, typer.Option("--lossless", help="FFV1 in an .mkv file.")] = False,
    report: ReportOption = None,
) -> None:
    """Write a copy of a video or picture that carries an invisible id."""
    from lipwright.provenance.embed import embed_file
    from lipwright.provenance.watermark.grid import parse_id

    number = parse_id(mark_id) if mark_id is not None else None
    made = embed_file(file, out, number, region=region, crf=crf, lossless=lossless)
    _print_result([made.sentence(), *made.warnings], made.to_json(), report)


@watermark_app.command("detect", no_args_is_help=True)
def detect(
    file: Annotated[Path, typer.Argument(help="Video or picture.")],
    mark_id: Annotated[
        list[str] | None,
        typer.Option(
            "--id",
            metavar="HEX",
            help="Look for this id too; may be given several times. The ids of your own outputs "
            "are always looked for.",
        ),
    ] = None,
    faces: FacesOption = True,
    search: SearchOption = "auto",
    report: ReportOption = None,
) -> None:
    """Look for an invisible mark; exits with 3 if there is none."""
    from lipwright.cli.progress import frame_counter
    from lipwright.provenance.record.registry import read_registry
    from lipwright.provenance.watermark.detect import detect_file
    from lipwright.provenance.watermark.grid import parse_id

    entries = read_registry()
    wanted = [*(parse_id(text) for text in mark_id or ()), *(e.mark_id for e in entries)]
    sizes = [e.size for e in entries if e.size]
    with frame_counter("Reading the mark") as progress:
        found = detect_file(file, wanted, sizes=sizes, faces=faces, mode=search, progress=progress)
    _print_result([found.sentence(), *found.warnings], found.to_json(), report)
    if not found.found:
        raise typer.Exit(NOTHING_FOUND)


def _print_result(
    sentences: Sequence[str],
    data: dict[str, Any],
    report: Path | None,
    headline: str = "",
    colour: str = "",
) -> None:
    """Print headline and sentences, or the JSON; write the JSON where it was asked for."""
    text = json.dumps(data, indent=1, ensure_ascii=False)
    if report == Path("-"):
        print(text)
        return
    if headline:
        typer.secho(headline, fg=colour, bold=True)
    for sentence in sentences:
        print(printable(sentence))
    if report is not None:
        with system_errors(f"The report {report} cannot be written", "choose another place for it"):
            report.write_text(text + "\n", encoding="utf-8")
