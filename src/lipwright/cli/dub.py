"""``lipwright dub`` and ``lipwright demo``: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.options import Backend, Detail, Device, Length, Region, frame_rate

MODEL, FACE, OUTPUT, MARKS, JOB = "Model", "Face", "Output", "Marks", "Job"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(no_args_is_help=True)(dub)
    app.command()(demo)


def dub(
    video: Annotated[Path, typer.Argument(help="Video of a talking person, or a still picture.")],
    speech: Annotated[Path, typer.Argument(help="Any file with a sound track.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Video to write: .mp4, .mov, .mkv or .webm.")
    ],
    face: Annotated[
        str,
        typer.Option(
            metavar="largest|all|ID",
            help="Whose mouth moves: the largest face of every shot, all faces, or face numbers "
            "as the report gives them, separated by commas.",
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
            help="keep: add the edit to the source, which keeps skin and beard; "
            "off: paste the drawn face.",
            rich_help_panel=FACE,
        ),
    ] = "keep",
    enhance: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Post-processing of the drawn face.", rich_help_panel=FACE
        ),
    ] = "none",
    method: Annotated[
        str, typer.Option(metavar="NAME", help="Method of lip-sync.", rich_help_panel=MODEL)
    ] = "vq",
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
    batch_size: Annotated[
        int,
        typer.Option(
            min=1, help="Frames at once; does not change the result.", rich_help_panel=MODEL
        ),
    ] = 8,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of everything random.", rich_help_panel=MODEL)
    ] = 0,
    length: Annotated[
        Length,
        typer.Option(
            help="How long the output lasts; auto: as long as the longer of the two. A video that "
            "is too short continues backward and forward.",
            rich_help_panel=OUTPUT,
        ),
    ] = "auto",
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
    fps: Annotated[
        str,
        typer.Option(
            metavar="RATE",
            help="Frames per second of a still picture, whole or as a fraction (30000/1001); a "
            "video keeps its own.",
            rich_help_panel=OUTPUT,
        ),
    ] = "25",
    keep_streams: Annotated[
        bool,
        typer.Option(
            "--keep-streams",
            help="Keep the video's other sound and subtitle streams.",
            rich_help_panel=OUTPUT,
        ),
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
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue an interrupted job; keep what is done if interrupted again.",
            rich_help_panel=JOB,
        ),
    ] = False,
    plan_cache: Annotated[
        bool,
        typer.Option(
            "--plan-cache/--no-plan-cache",
            help="Keep what was found out about the video for its next dub.",
            rich_help_panel=JOB,
        ),
    ] = True,
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", help="No progress, no closing lines.", rich_help_panel=JOB),
    ] = False,
) -> None:
    """Move the mouth of a person in a video to any speech.

    Frames, timing, size, colours and bit depth stay those of the video; a frame without a usable
    face passes through unchanged.
    """
    from lipwright.dubbing.job import dub as run
    from lipwright.dubbing.options import DubOptions

    options = DubOptions(
        method=method,
        weights=weights,
        face=face,
        length=length,
        enhance=enhance,
        crf=crf,
        lossless=lossless,
        watermark=False if no_watermark else watermark,
        manifest=manifest,
        certificate=certificate,
        key=key,
        time_stamp=time_stamp,
        consent=consent,
        report=report,
        resume=resume,
        preview=preview,
        device=device,
        backend=backend,
        seed=seed,
        batch_size=batch_size,
        keep_streams=keep_streams,
        silence_gate=silence_gate,
        detail=detail,
        plan_cache=plan_cache,
        fps=frame_rate(fps),
    )
    from lipwright.cli.progress import DubProgress, QuietProgress

    if quiet:
        run(video, speech, out, options, QuietProgress())
        return
    with DubProgress() as observer:
        found = run(video, speech, out, options, observer)
    for line in found.summary_lines():
        print(line)


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder to write the results to.")
    ] = Path("lipwright-demo"),
) -> None:
    """Dub the bundled portrait and lay source and result side by side."""
    print("Setting a public-domain portrait in motion and dubbing it ...", file=sys.stderr)
    from lipwright.cli.progress import DubProgress
    from lipwright.demo import run_demo

    with DubProgress() as observer:
        files, report = run_demo(out, observer)
    for line in report.summary_lines():
        print(line)
    print(f"Source         {files.source}")
    print(f"Speech         {files.speech}")
    print(f"Result         {files.result}")
    print(f"Contact sheet  {files.sheet}")
    print(f"Report         {files.report}")
    print(
        "Play the result with sound: the mouth should follow the voice and rest in the pause and "
        "at the end. In the contact sheet the source is above the result; only the lower face "
        "should differ."
    )
