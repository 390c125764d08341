"""``lipwright live``: a recorded face speaks what is being said."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lipwright.cli.options import Quiet, fraction_of, takes_dub_options
from lipwright.dubbing.option_info import options_of
from lipwright.dubbing.options import DubOptions
from lipwright.printable import printable

if TYPE_CHECKING:
    from lipwright.live.report import LiveStatistics

SHARED = {
    "method",
    "weights",
    "watermark",
    "manifest",
    "certificate",
    "key",
    "time_stamp",
    "consent",
    "report",
    "overwrite",
    "device",
    "backend",
    "speech_stream",
    "limit",
    "silence_gate",
    "detail",
    "plan_cache",
}
"""Options of a dub that mean the same here."""
LINE_SECONDS = 10.0
_timing = partial(typer.Option, rich_help_panel="Timing")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(no_args_is_help=True)(live)


@takes_dub_options(without=set(options_of(DubOptions)) - SHARED)
def live(
    face: Annotated[
        str,
        typer.Option(
            metavar="VIDEO",
            help="Video of the person, best without speech; it runs to and fro for as long as the "
            "session lasts.",
        ),
    ],
    speech: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Where the speech comes from: a file, played in real time; - for raw samples on "
            "standard input; microphone or microphone:NAME; or an address (udp, rtp, srt, rtmp, "
            "rtsp).",
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SINK",
            help="Where face and sound go: a file (.mp4, .mov, .mkv) or an address (udp, srt, rtp, "
            "rtmp, rtsp, tcp); virtual-camera or virtual-camera:/dev/videoN, and speaker or "
            "speaker:NAME for its sound; may be repeated.",
        ),
    ] = None,
    fill_in: Annotated[
        bool,
        typer.Option(
            help="The face is a camera's stream with its own sound (a file or an address): it is "
            "shown as it is, and generated where its frames stop or freeze.",
        ),
    ] = False,
    pcm: Annotated[
        str,
        typer.Option(
            metavar="FORMAT", help="Samples on standard input: s16le or f32le, rate, channels."
        ),
    ] = "s16le:16000:1",
    delay: Annotated[
        float,
        _timing(
            metavar="MS",
            min=0,
            max=10_000,
            help="Milliseconds after its sound came in by which a frame should be ready; later "
            "ones are skipped where there is a newer one. 0: the look-ahead of the mouth and 200.",
        ),
    ] = 0.0,
    fps: Annotated[
        str | None,
        _timing(
            metavar="RATE", help="Frames per second; by default those of the video, at most 30."
        ),
    ] = None,
    seconds: Annotated[
        float, _timing(min=0, help="End after so many seconds; 0: when the speech ends.")
    ] = 0.0,
    quiet: Quiet = False,
    *,
    options: DubOptions,
) -> None:
    """Let a recorded face speak what is being said, as it is being said.

    Frames are in step with the sound, which never waits for them. Ctrl-C ends the session; files
    are complete then.
    """
    from lipwright.live.job import LiveObserver, LiveOptions, check
    from lipwright.live.sources import PcmFormat

    chosen = LiveOptions(
        dub=options,
        delay=delay / 1e3 or None,
        rate=None if fps is None else fraction_of("fps", "RATE", fps),
        pcm=PcmFormat.parse(pcm),
        limit=seconds,
        fill_in=fill_in,
    )
    to = list(to or ())
    check(face, speech, to, chosen)

    class Progress(LiveObserver):
        shown = 0.0  # preparing the face takes its time, so counted from the first frame on

        def notice(self, line: str) -> None:
            print(printable(line), file=sys.stderr)

        def progress(self, seconds: float, statistics: LiveStatistics) -> None:
            now = time.monotonic()
            self.shown = self.shown or now
            if not quiet and now - self.shown >= LINE_SECONDS:
                self.shown = now
                print(
                    f"{seconds:.0f} s: {statistics.frames} frames, {statistics.left_out} skipped.",
                    file=sys.stderr,
                )

    from lipwright.live.job import live as run

    if not quiet:
        print("Preparing the face ...", file=sys.stderr)
    report, error = run(face, speech, to, chosen, Progress())
    for line in [] if quiet else report.lines():
        print(printable(line))
    if error is not None:
        raise error
