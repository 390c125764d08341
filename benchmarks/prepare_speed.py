"""How fast raw video becomes a corpus: seconds of video prepared per second, step by step.

    python benchmarks/prepare_speed.py [--size 1080p] [--seconds 20] [--workers 2]

Each worker gets one clip: the bundled portrait in motion with the bundled speech. The mouth of the
portrait does not move, so the limit on that is lifted. Processor time is shown beside the clock,
since on a busy machine only the former means something. Goal: five times real time at 1080p on two
cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from clips import SIZES, machine, make_clip
from lipwright.data.prepare import PrepareOptions, prepare
from lipwright.data.rows import PrepareSettings
from lipwright.demo import speech_samples


def with_speech(video: Path, out: Path, seconds: int, turn: int) -> Path:
    """Copy the pictures of a clip and put the speech beside them, begun elsewhere each ``turn``."""
    samples, rate = speech_samples()
    wave = np.roll(np.resize(samples, seconds * rate), turn * rate)
    with av.open(str(out), "w") as target, av.open(str(video)) as source:
        pictures = source.streams.video[0]
        stream = target.add_stream_from_template(pictures)
        sound: Any = target.add_stream("pcm_s16le", rate=rate, layout="mono")
        for packet in source.demux(pictures):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
        for start in range(0, wave.size, rate):
            part = np.ascontiguousarray((wave[None, start : start + rate] * 32767).astype(np.int16))
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    return out


def cpu_seconds() -> float:
    """Processor time of this process and of the workers that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1080p", choices=list(SIZES))
    parser.add_argument("--seconds", type=int, default=20, help="length of each clip")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clips", type=Path, help="folder that keeps the generated clips")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        video = make_clip(given.clips or Path(scratch) / "clips", given.size, given.seconds)
        folder = Path(scratch) / "sources"
        folder.mkdir()
        for turn in range(given.workers):
            with_speech(video, folder / f"{turn}.mkv", given.seconds, turn)
        began: dict[str, float] = {}
        ended: dict[str, float] = {}

        def tell(step: str, done: int, total: int) -> None:
            began.setdefault(step, time.perf_counter())
            ended[step] = time.perf_counter()

        start, cpu = time.perf_counter(), cpu_seconds()
        summary = prepare(
            [folder],
            Path(scratch) / "corpus",
            PrepareSettings(min_motion=0.0),
            PrepareOptions(workers=given.workers),
            tell,
        )
        wall, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    length = given.seconds * given.workers
    print(f"{length} s of {given.size} at 25 fps, {given.workers} processes, {summary}")
    print("| step | seconds | times real time |")
    print("|---|---|---|")
    for step, first in began.items():
        seconds = max(ended[step] - first, 1e-9)
        print(f"| {step} | {seconds:.1f} | {length / seconds:.1f} |")
    print(f"| all, with start-up | {wall:.1f} | {length / wall:.1f} |")
    print(f"processor time {cpu:.1f} s: {length / cpu:.2f} times real time on every core")


if __name__ == "__main__":
    main()
