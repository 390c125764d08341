"""Processor time of a whole `lipwright verify`, beside another checkout and with a full registry.

    python benchmarks/verify_cost.py CLIP.mp4 [--base OTHER/src] [--pairs 5] [--registered 246]

CLIP is brought to 6 s at 524 x 524, once as it is and once marked and signed by `dub --method copy`
with its own sound. Every run is a process of its own; user and system time are added. Runs of this
checkout and of the base take turns. The last row is the marked file with a registry of so many
outputs of other sizes, 8K among them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from clips import machine

HERE = Path(__file__).parents[1] / "src"


def cpu_seconds(source: Path, home: Path, video: Path) -> float:
    """User and system time of one `verify`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(source), "LIPWRIGHT_HOME": str(home)}
    command = [sys.executable, "-m", "lipwright", "verify", str(video)]
    subprocess.run(command, env=environment, check=False, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fill_registry(home: Path, count: int) -> None:
    """Entries of unrelated outputs: 8K, and sizes around 720p."""
    sizes = [(7680, 4320), *((1280 + 16 * k, 720 + 9 * k) for k in range(count - 1))]
    lines = [
        json.dumps({"mark_id": f"{0x1F3A0000 + 7919 * k:08x}", "time": "2026", "size": size})
        for k, size in enumerate(sizes)
    ]
    with (home / "watermarks.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--base", type=Path, help="folder src of another checkout")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--registered", type=int, default=246)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        plain, marked, speech = folder / "plain.mp4", folder / "marked.mp4", folder / "speech.wav"
        shape = ["-t", "6", "-vf", "scale=524:524", "-r", "25", "-crf", "18", "-an"]
        start = ["ffmpeg", "-loglevel", "error", "-y", "-i", str(given.clip)]
        subprocess.run([*start, *shape, str(plain)], check=True)
        subprocess.run([*start, "-t", "6", "-vn", str(speech)], check=True)
        home = folder / "home"
        environment = {**os.environ, "PYTHONPATH": str(HERE), "LIPWRIGHT_HOME": str(home)}
        dub = [sys.executable, "-m", "lipwright", "dub", str(plain), str(speech)]
        dub += ["--method", "copy", "-q", "-o", str(marked)]
        subprocess.run(dub, env=environment, check=True, capture_output=True)
        sources = {"here": HERE, **({"base": given.base} if given.base else {})}
        print("| file | registered | " + " | ".join(f"{s}, CPU-s" for s in sources) + " |")
        print("|---" * (2 + len(sources)) + "|")
        rows = [("marked", marked, 1), ("unmarked", plain, 1), ("marked", marked, given.registered)]
        for name, video, registered in rows:
            if registered > 1:
                fill_registry(home, registered - 1)
            runs: dict[str, list[float]] = {s: [] for s in sources}
            for _ in range(given.pairs if registered == 1 else 1):
                for label, source in sources.items():
                    runs[label].append(cpu_seconds(source, home, video))
            cells = " | ".join(f"{statistics.median(v):.1f}" for v in runs.values())
            print(f"| {name} | {registered} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
