"""A batch of 20 jobs that is killed three times: ``python benchmarks/batch_kills.py``.

Two videos, ten speeches each. The command is ended by SIGKILL after some jobs, three times, and run
again until it is through; then every output is compared with that of a dub of its own: the same
frames, bit by bit. Also told: the time of the second speech of a video, beside that of the first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clips import SIZES, machine, make_clip, make_speech
from lipwright.media.reader import VideoReader

JOBS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="144p", choices=list(SIZES))
    parser.add_argument("--after", type=int, nargs="+", default=[3, 8, 14], help="jobs per kill")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lipwright-") as scratch:
        folder = Path(scratch)
        environment = {**os.environ, "LIPWRIGHT_CACHE": str(folder / "cache")}
        lines = ["video,speech,out"]
        for number, seconds in enumerate((4, 5)):
            make_clip(folder, given.size, seconds).rename(folder / f"v{number}.mp4")
        for number in range(JOBS):
            speech = make_speech(folder, 2 + number % 10 // 5)
            speech.rename(folder / f"s{number}.wav")
            lines.append(f"v{number // 10}.mp4,s{number}.wav,done/{number}.mp4")
        (folder / "jobs.csv").write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "lipwright", "batch", str(folder / "jobs.csv"), "-q"]
        record = folder / ".jobs.csv.lipwright-batch.jsonl"
        for after in given.after:
            process = subprocess.Popen(command, env=environment)
            while ended(record) < after and process.poll() is None:
                time.sleep(0.05)
            process.kill()
            process.wait()
            print(f"killed after {ended(record)} jobs", flush=True)
        code = subprocess.run(command, env=environment, check=False).returncode
        right = sum(same(folder, number, environment) for number in range(JOBS))
        told = [json.loads(line) for line in record.read_text().splitlines()]
        seconds = [row["seconds"] for row in told[:2]]
        print(machine())
        print(f"exit code {code}, {right} of {JOBS} outputs right")
        print(
            f"second speech {seconds[1]:.1f} s, first {seconds[0]:.1f} s: "
            f"{seconds[1] / seconds[0]:.0%}"
        )
        raise SystemExit(right != JOBS)


def ended(record: Path) -> int:
    """Jobs that are noted down."""
    return record.read_bytes().count(b"\n") if record.exists() else 0


def same(folder: Path, number: int, environment: dict[str, str]) -> bool:
    """Whether an output shows what a dub of its own shows."""
    alone = folder / f"done/{number}.mp4"
    alone.rename(folder / "batch.mp4")
    names = [str(folder / f"v{number // 10}.mp4"), str(folder / f"s{number}.wav")]
    command = [sys.executable, "-m", "lipwright", "dub", *names, "-o", str(alone), "-q"]
    subprocess.run(command, env=environment, check=True)
    both = []
    for path in (folder / "batch.mp4", alone):
        with VideoReader(path) as reader:
            both.append([(f.pts, [bytes(p) for p in f.native.planes]) for f in reader])
    return bool(both[0]) and both[0] == both[1]


if __name__ == "__main__":
    main()
