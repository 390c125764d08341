"""How long ``lipwright --help`` takes, and which imports take the time.

    python benchmarks/help_time.py [--runs 10] [--imports 10]

Goal: 0.5 s at most.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from clips import machine

COMMAND = (sys.executable, "-m", "lipwright", "--help")
HEAVY = ("torch", "cv2", "av", "openvino", "numpy", "pydantic", "c2pa")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="how often (default 10)")
    parser.add_argument("--imports", type=int, default=10, help="slowest imports to list")
    options = parser.parse_args()
    seconds = []
    for _ in range(options.runs + 1):
        start = time.perf_counter()
        subprocess.run(COMMAND, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    warm = seconds[1:]
    print(machine())
    print(
        f"lipwright --help: median {statistics.median(warm):.2f} s, "
        f"fastest {min(warm):.2f} s, slowest {max(warm):.2f} s, first {seconds[0]:.2f} s"
    )
    timed = subprocess.run(
        (sys.executable, "-X", "importtime", *COMMAND[1:]),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows = []
    for line in timed.stderr.splitlines():
        cells = line.removeprefix("import time:").split("|")
        if len(cells) == 3 and cells[0].strip().isdigit():
            rows.append((int(cells[0]), cells[2].strip()))
    loaded = {name.split(".")[0] for _, name in rows}
    print(f"heavy modules loaded: {', '.join(sorted(loaded & set(HEAVY))) or 'none'}")
    for microseconds, name in sorted(rows, reverse=True)[: options.imports]:
        print(f"{microseconds / 1000:8.1f} ms  {name}")


if __name__ == "__main__":
    main()
