"""Peak memory of a whole dub, and how it grows with the length of the video.

    python benchmarks/memory.py [--sizes 1080p 4k] [--seconds 10 60]

Every dub runs in a process of its own, whose peak resident set size the operating system tells.
Goals: growth from the shortest to the longest clip at most 5 %; 4K at most 4 GiB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from clips import SIZES, machine, make_clip, make_speech

KIB_PER_UNIT = 1 if sys.platform != "darwin" else 1 / 1024  # macOS counts bytes


LAUNCH = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
with open(3, "w") as told:
    told.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""
"""Starts the dub from a small process. On Linux the peak of a process counts that of whoever
started it, up to then, and this one has held clips and speeches in memory."""


def peak_mib(video: Path, speech: Path, out: Path, extra: list[str]) -> float:
    """Dub in a process of its own. Returns its peak resident set size in MiB."""
    command = [sys.executable, "-m", "lipwright", "dub", str(video), str(speech), "-o", str(out)]
    with tempfile.TemporaryFile() as log:
        here, there = os.pipe()
        process = subprocess.Popen(
            ["sh", "-c", f'exec 3>&{there}; exec "$@"', "sh", sys.executable, "-c", LAUNCH,
             *command, *extra], stdout=log, stderr=log, pass_fds=[there],
        )  # fmt: skip
        os.close(there)
        with open(here) as told:  # noqa: PTH123
            peak = told.read()
        if process.wait() != 0:
            log.seek(0)
            raise SystemExit(f"the dub failed:\n{log.read().decode(errors='replace')}")
    return int(peak) * KIB_PER_UNIT / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["1080p", "4k"], choices=list(SIZES))
    parser.add_argument("--seconds", nargs="+", type=int, default=[10, 60])
    parser.add_argument(
        "--without", type=int, default=0, help="seconds without a face after each 5 s with one"
    )
    parser.add_argument("--rate", type=int, default=25, help="frames per second of the clips")
    parser.add_argument("--clips", type=Path, help="folder that keeps the generated clips")
    parser.add_argument("dub_options", nargs="*", help="options for lipwright dub, after --")
    options = parser.parse_args()
    print(machine())
    print("| size | " + " | ".join(f"{s} s" for s in options.seconds) + " | growth |")
    print("|---|" + "---|" * (len(options.seconds) + 1))
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.clips or Path(scratch)
        for size in options.sizes:
            peaks = []
            for seconds in sorted(options.seconds):
                video = make_clip(folder, size, seconds, options.without, options.rate)
                speech = make_speech(Path(scratch), seconds)
                out = Path(scratch) / f"out-{size}-{seconds}.mp4"
                peaks.append(peak_mib(video, speech, out, options.dub_options))
                out.unlink()
            cells = " | ".join(f"{peak:,.0f} MiB" for peak in peaks)
            print(f"| {size} | {cells} | {100 * (peaks[-1] / peaks[0] - 1):+.1f} % |", flush=True)


if __name__ == "__main__":
    main()
