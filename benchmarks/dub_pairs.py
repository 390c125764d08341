"""The table of `dub_speed.py --against COMMIT`: this checkout beside another one, run by turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from clips import machine, make_clip, make_speech
from pairs import Checkout, Cost, by_turns, checkouts, median

ROOT = Path(__file__).resolve().parents[1]
RATE = 25
TRANSCODE = """
import sys
from pathlib import Path
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader
from lipwright.media.writer import VideoWriter
source, out = map(Path, sys.argv[1:3])
with VideoReader(source) as reader, VideoWriter(out, probe(source), crf=int(sys.argv[3])) as writer:
    for frame in reader:
        writer.write(frame.native, frame.pts)
"""
"""Decodes and encodes with the product's own reader and writer: the limit."""
CRF = 16
SHORT = 10
"""Frames of the dub that shows the fixed cost."""


def compare(
    commit: str, sizes: list[str], seconds: int, pairs: int, clips: Path | None, extra: list[str]
) -> None:
    """Measure and print.

    Args:
        commit: of this repository, to compare with.
        sizes: of the clips.
        seconds: their length.
        pairs: runs of each checkout; medians are shown.
        clips: folder that keeps the generated clips.
        extra: further options of ``dub``.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with checkouts(commit, ROOT, scratch) as both:
            print(f"{machine()}; medians of {pairs} runs each, by turns; {seconds} s of video")
            print(f"| what | {commit} | here | here/{commit} |")
            print("|---|---|---|---|", flush=True)
            _fixed(both, pairs, scratch, clips or scratch, extra)
            for size in sizes:
                _whole(both, pairs, scratch, clips or scratch, size, seconds, extra)


def _whole(
    both: tuple[Checkout, Checkout],
    pairs: int,
    scratch: Path,
    clips: Path,
    size: str,
    seconds: int,
    extra: list[str],
) -> None:
    video, speech = make_clip(clips, size, seconds), make_speech(scratch, seconds)
    out = scratch / "out.mp4"
    words = ("-m", "lipwright", "dub", video, speech, "-o", out, "--no-plan-cache", *extra)

    def measure(each: Checkout) -> dict[str, Cost]:
        plain = each.run("-c", TRANSCODE, video, scratch / "plain.mp4", CRF)
        return {"plain": plain, "dub": each.run(*words)}

    frames = _frames(video)
    found = by_turns(both, pairs, measure)

    def row(what: str, digits: int, value: Callable[[dict[str, list[Cost]]], float]) -> None:
        old, new = (value(found[each.name]) for each in both)
        share = f"{new / old:.2f}"
        print(f"| {size}: {what} | {old:.{digits}f} | {new:.{digits}f} | {share} |", flush=True)

    row("plain transcode, CPU-s", 1, lambda f: median(f["plain"], lambda c: c.cpu))
    row("dub, CPU-s", 1, lambda f: median(f["dub"], lambda c: c.cpu))
    row(
        "dub / plain transcode, CPU time",
        2,
        lambda f: median(f["dub"], lambda c: c.cpu) / median(f["plain"], lambda c: c.cpu),
    )
    row("dub, frames a second", 1, lambda f: frames / median(f["dub"], lambda c: c.wall))
    row("dub, peak RSS, MiB", 0, lambda f: median(f["dub"], lambda c: c.peak))


def _fixed(
    both: tuple[Checkout, Checkout], pairs: int, scratch: Path, clips: Path, extra: list[str]
) -> None:
    video, speech = make_clip(clips, "1080p", 1), make_speech(scratch, 1)
    out = scratch / "out.mp4"
    end = ("--end", str(SHORT / RATE), "--length", "video", "--no-plan-cache", *extra)
    words = ("-m", "lipwright", "dub", video, speech, "-o", out, *end)

    def measure(each: Checkout) -> dict[str, Cost]:
        return {"dub": each.run(*words), "help": each.run("-m", "lipwright", "--help")}

    for each in both:  # caches, and compiled files of Python
        measure(each)
    found = by_turns(both, pairs, measure)
    figures: tuple[tuple[str, str, int, Callable[[Cost], float]], ...] = (
        (f"a dub of {SHORT} frames of 1080p, CPU-s", "dub", 1, lambda c: c.cpu),
        (f"a dub of {SHORT} frames of 1080p, peak RSS, MiB", "dub", 0, lambda c: c.peak),
        ("`lipwright --help`, CPU-s", "help", 2, lambda c: c.cpu),
        ("`lipwright --help`, s", "help", 2, lambda c: c.wall),
    )
    for what, name, digits, value in figures:
        old, new = (median(found[each.name][name], value) for each in both)
        print(f"| {what} | {old:.{digits}f} | {new:.{digits}f} | {new / old:.2f} |", flush=True)


def _frames(video: Path) -> int:
    from lipwright.media.reader import VideoReader

    with VideoReader(video) as reader:
        return sum(1 for _ in reader)
