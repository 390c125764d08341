"""How fast a dub is: plan, model, render and the whole, beside a plain transcode of the same clip.

    python benchmarks/dub_speed.py [--sizes 480p 1080p 4k] [--seconds 8]
    python benchmarks/dub_speed.py --against COMMIT [--pairs 5] [--sizes 1080p] [--seconds 10]

The plain transcode decodes the clip and encodes it again with the writer's own settings, in the
same run; the ratio is what the dub costs on top of that. Nothing is cached between the runs.
Goals on 2 cores: 10 fps for the whole dub at 1080p, at most twice the plain transcode in 4K.

With ``--against`` whole commands of this checkout and of another commit run by turns, and processor
time, wall time and peak memory are compared; processor time means the most on a busy machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from clips import SIZES, machine, make_clip, make_speech
from dub_pairs import compare
from lipwright.dubbing.job import dub
from lipwright.dubbing.options import DubOptions
from lipwright.media.info import probe
from lipwright.media.mel import windows
from lipwright.media.reader import VideoReader
from lipwright.media.writer import VideoWriter
from lipwright.methods.base import Method
from lipwright.methods.registry import load_method

COLUMNS = ("size", "frames", "transcode", "plan", "model", "render", "whole dub", "whole/transcode")


def transcode_seconds(video: Path, out: Path, crf: int) -> tuple[int, float]:
    """Decode and encode again, with the product's own reader and writer. Frames and seconds."""
    began = time.perf_counter()
    count = 0
    with VideoReader(video) as reader, VideoWriter(out, probe(video), crf=crf) as writer:
        for frame in reader:
            writer.write(frame.native, frame.pts)
            count += 1
    return count, time.perf_counter() - began


def model_fps(method: Method, batch: int, seconds: float) -> float:
    """Faces per second of the method alone, on random faces, warmed up."""
    rng = np.random.default_rng(0)
    faces = rng.uniform(-1, 1, (batch, 3, method.size, method.size)).astype(np.float32)
    features = method.speech_features(rng.uniform(-0.1, 0.1, 16_000).astype(np.float32))
    if method.info.whole_speech:
        audio = features[:, :batch].T
    else:
        audio = windows(features, [Fraction(n, 25) for n in range(batch)], method.info.audio)
    side = method.info.reference_size
    state = method.start(rng.uniform(-1, 1, (8, 3, side, side)).astype(np.float32))
    for _ in range(2):
        method.render(faces, audio, state)
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < seconds:
        method.render(faces, audio, state)
        done += batch
    return done / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--seconds", type=int, default=8, help="length of the clips (default 8)")
    parser.add_argument("--runs", type=int, default=1, help="the fastest of so many is shown")
    parser.add_argument("--method", default=None)
    parser.add_argument("--weights", type=Path, help="checkpoint instead of the default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--batch-size", type=int, default=DubOptions().batch_size)
    parser.add_argument("--no-marks", action="store_true", help="without watermark and manifest")
    parser.add_argument("--clips", type=Path, help="folder that keeps the generated clips")
    parser.add_argument("--against", metavar="COMMIT", help="run this commit beside it, in pairs")
    parser.add_argument("--pairs", type=int, default=5, help="with --against (default 5)")
    given = parser.parse_args()
    if given.against:
        extra = ["--no-watermark", "--no-manifest"] if given.no_marks else []
        extra += ["--method", given.method] if given.method else []
        compare(given.against, given.sizes, given.seconds, given.pairs, given.clips, extra)
        return
    options = DubOptions(
        method=given.method,
        weights=given.weights,
        device=given.device,
        backend=given.backend,
        batch_size=given.batch_size,
        watermark=not given.no_marks,
        manifest=not given.no_marks,
        plan_cache=False,
    )
    method = load_method(given.method, given.device, given.backend, given.weights)
    alone = model_fps(method, given.batch_size, seconds=3.0)
    print(machine())
    print(f"method {method.model_id}, {method.size} px; frames per second of every part")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    with tempfile.TemporaryDirectory() as scratch:
        for size in given.sizes:
            video = make_clip(given.clips or Path(scratch), size, given.seconds)
            speech = make_speech(Path(scratch), given.seconds)
            out = Path(scratch) / "out.mp4"
            plain, plan, render, whole = [], [], [], []
            for _ in range(given.runs):
                count, seconds = transcode_seconds(video, out, options.crf)
                plain.append(seconds)
                report = dub(video, speech, out, options, method=method)
                plan.append(report.timings["plan"])
                render.append(report.timings["render"])
                whole.append(report.timings["total"])
            rates = [f"{count / min(part):.1f}" for part in (plain, plan)]
            rates += [f"{alone:.1f}", f"{report.frames / min(render):.1f}"]
            rates += [f"{report.frames / min(whole):.1f}", f"{min(whole) / min(plain):.2f}"]
            print(f"| {size} | {report.frames} | " + " | ".join(rates) + " |", flush=True)


if __name__ == "__main__":
    main()
