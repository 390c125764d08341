"""``lipwright animate``: a still picture speaks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.dub import FACE, JOB, MARKS, MODEL, OUTPUT
from lipwright.cli.options import Backend, Detail, Device, Region, frame_rate


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(no_args_is_help=True)(animate)


def animate(
    image: Annotated[Path, typer.Argument(help="Picture of a face: photograph or drawing.")],
    speech: Annotated[Path, typer.Argument(help="Any file with a sound track.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Video to write: .mp4, .mov, .mkv or .webm.")
    ],
    idle: Annotated[
        bool,
        typer.Option(
            "--idle/--no-idle",
            help="Let the eyes blink and the head sway a little; made by warping the picture.",
            rich_help_panel=FACE,
        ),
    ] = False,
    face: Annotated[
        str,
        typer.Option(
            metavar="largest|all|ID",
            help="Whose mouth moves: the largest face, all, or face numbers as the report gives "
            "them, separated by commas.",
            rich_help_panel=FACE,
        ),
    ] = "largest",
    silence_gate: Annotated[
        bool,
        typer.Option(
            "--silence-gate/--no-silence-gate",
            help="Bring the mouth to rest where nobody speaks.",
            rich_help_panel=FACE,
        ),
    ] = True,
    detail: Annotated[
        Detail,
        typer.Option(
            help="keep: add the edit to the picture, which keeps skin and beard; "
            "off: paste the drawn face.",
            rich_help_panel=FACE,
        ),
    ] = "keep",
    method: Annotated[
        str, typer.Option(metavar="NAME", help="Method of lip-sync.", rich_help_panel=MODEL)
    ] = "landmark",
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Checkpoint to use instead of the method's default.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    device: Annotated[Device, typer.Option(help="What computes.", rich_help_panel=MODEL)] = "auto",
    backend: Annotated[
        Backend, typer.Option(help="Which runtime computes.", rich_help_panel=MODEL)
    ] = "auto",
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of everything random.", rich_help_panel=MODEL)
    ] = 0,
    fps: Annotated[
        str,
        typer.Option(
            metavar="RATE",
            help="Frames per second, whole or as a fraction (30000/1001).",
            rich_help_panel=OUTPUT,
        ),
    ] = "25",
    crf: Annotated[
        int,
        typer.Option(
            min=0,
            max=51,
            help="Quality from 0 to 51; lower is better and larger.",
            rich_help_panel=OUTPUT,
        ),
    ] = 16,
    lossless: Annotated[
        bool,
        typer.Option("--lossless", help="FFV1 in an .mkv file.", rich_help_panel=OUTPUT),
    ] = False,
    preview: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw a few frames only, source above result, into this picture.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what was done to every frame, and why, as JSON.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    watermark: Annotated[
        Region,
        typer.Option(
            help="What carries the invisible mark of synthetic video: the surroundings of the "
            "face, the whole frame, or both.",
            rich_help_panel=MARKS,
        ),
    ] = "face",
    no_watermark: Annotated[
        bool,
        typer.Option("--no-watermark", help="No invisible mark.", rich_help_panel=MARKS),
    ] = False,
    manifest: Annotated[
        bool,
        typer.Option(
            "--manifest/--no-manifest",
            help="Sign a C2PA manifest that says what was changed.",
            rich_help_panel=MARKS,
        ),
    ] = True,
    consent: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|FILE.yaml",
            help='Who agreed, to what, when: "who, purpose, date".',
            rich_help_panel=MARKS,
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM",
            help="Sign with this certificate chain instead of a self-made one; needs --key.",
            rich_help_panel=MARKS,
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="The certificate's private key.", rich_help_panel=MARKS),
    ] = None,
    time_stamp: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Ask this time stamp authority when signing; otherwise nobody is asked.",
            rich_help_panel=MARKS,
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", help="No progress, no closing lines.", rich_help_panel=JOB),
    ] = False,
) -> None:
    """Let the face in a still picture speak.

    The whole picture is kept; only the lower face moves, unless --idle is given.
    """
    rate = frame_rate(fps)
    from lipwright.animation.job import animate as run
    from lipwright.cli.progress import DubProgress, QuietProgress
    from lipwright.dubbing.options import DubOptions

    options = DubOptions(
        method=method,
        weights=weights,
        face=face,
        crf=crf,
        lossless=lossless,
        watermark=False if no_watermark else watermark,
        manifest=manifest,
        certificate=certificate,
        key=key,
        time_stamp=time_stamp,
        consent=consent,
        report=report,
        preview=preview,
        device=device,
        backend=backend,
        seed=seed,
        silence_gate=silence_gate,
        detail=detail,
    )
    if quiet:
        run(image, speech, out, options, QuietProgress(), fps=rate, idle=idle)
        return
    with DubProgress() as observer:
        found = run(image, speech, out, options, observer, fps=rate, idle=idle)
    for line in found.summary_lines():
        print(line)
