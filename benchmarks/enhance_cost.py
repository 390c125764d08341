"""What stage 2 costs a frame: CPU time of the compositing thread, and peak memory of the dub.

    python benchmarks/enhance_cost.py [--sizes 1080p 4k] [--seconds 2] [--video FILE]

The bundled portrait in motion, or a video of your own. CPU time of a thread does not depend on how
busy the machine is, so this can be measured beside other work.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from clips import SIZES, machine, make_clip, make_speech
from lipwright.dubbing.enhancing import FaceEnhancer
from lipwright.dubbing.job import dub
from lipwright.dubbing.options import DubOptions
from memory import peak_mib

SHARPEN = FaceEnhancer.sharpen


def cost(video: Path, speech: Path, out: Path, enhance: Any) -> tuple[float, int, int]:
    """Milliseconds of CPU for each sharpened face, how many, and the side of the last crop."""
    spent: list[float] = []
    sides: list[float] = []

    def timed(self: FaceEnhancer, *args: Any) -> None:
        began = time.thread_time()
        SHARPEN(self, *args)
        spent.append(time.thread_time() - began)
        sides.append(args[2].side)

    FaceEnhancer.sharpen = timed  # type: ignore[method-assign]
    try:
        dub(video, speech, out, DubOptions(enhance=enhance, manifest=False, length="video"))
    finally:
        FaceEnhancer.sharpen = SHARPEN  # type: ignore[method-assign]
    later = spent[1:]  # the first one splits the references
    if not later:
        return float("nan"), 0, 0
    return 1000 * sum(later) / len(later), len(spent), round(sides[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["1080p", "4k"], choices=list(SIZES))
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--video", type=Path, nargs="*", default=[], help="instead of the portrait")
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--enhance", default="self")
    parser.add_argument("--clips", type=Path, help="folder that keeps the generated clips")
    given = parser.parse_args()
    print(machine())
    print("| video | side of the crop, px | faces | CPU ms a face | peak RSS, MiB | without |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        videos = given.video or [
            make_clip(given.clips or folder, size, given.seconds) for size in given.sizes
        ]
        for video in videos:
            speech = given.speech or make_speech(folder, given.seconds)
            out = folder / "out.mp4"
            spent, count, side = cost(video, speech, out, given.enhance)
            peaks = [
                peak_mib(video, speech, out, ["--enhance", name, "--length", "video"])
                for name in (given.enhance, "none")
            ]
            cells = [video.stem, side, count, f"{spent:.0f}", *(f"{p:,.0f}" for p in peaks)]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
