"""A live session in real time: frames shown, latency, skipped frames, processor and memory.

    python benchmarks/live.py [--sizes 480p 720p] [--seconds 60] [--method vq] [--out FOLDER]

The bundled portrait in motion speaks the bundled speech, repeated, into a file and, as MPEG-TS over
UDP, to a receiver on the loopback that a process of its own writes to a file. The files are looked
at afterwards: does a picture's time leave the grid of the frame rate, and does the sound drift
against the session's clock? Goals on two quiet cores at 480p: 25 frames per second, at most 1 %
skipped, and at most 300 ms from sound in to frame ready at the 99th percentile.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av

from clips import SIZES, machine, make_clip, make_speech
from lipwright.dubbing.options import DubOptions
from lipwright.live.job import LiveObserver, LiveOptions, live
from lipwright.live.report import LiveStatistics

COLUMNS = (
    "size",
    "sound, s",
    "frames/s",
    "skipped",
    "latency, median",
    "latency, p99",
    "cores",
    "RSS after 10 s -> end, MiB",
    "off the grid, ms",
    "sound behind the clock, ms",
    "recorded sound - heard, ms",
    "received",
)
RECEIVER = """
import socket, sys
port, out = int(sys.argv[1]), sys.argv[2]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, open(out, "wb") as f:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.bind(("127.0.0.1", port)); s.settimeout(60); print("ready", flush=True)
    try:
        while True:
            f.write(s.recv(65536)); s.settimeout(15)
    except TimeoutError:
        pass
"""


class Memory(LiveObserver):
    """Notes the resident set while the session goes on."""

    def __init__(self) -> None:
        self.early = self.late = 0.0
        self.first_lag = self.last_lag = self._seen = 0.0

    def progress(self, seconds: float, statistics: LiveStatistics) -> None:
        """See ``LiveObserver``."""
        now = time.monotonic()
        if seconds <= 5 or now - self._seen < 1.0:
            return
        self._seen = now
        self.last_lag = now - seconds
        self.first_lag = self.first_lag or self.last_lag
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.late = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        self.early = self.early or (self.late if seconds > 10 else 0.0)


def off_the_grid(path: Path, rate: float) -> float:
    """Milliseconds by which the time of a picture differs from a multiple of the frame's, most."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [float(p.pts * p.time_base) for p in container.demux(stream) if p.pts is not None]
    first = min(times)
    return 1e3 * max(abs((t - first) * rate - round((t - first) * rate)) / rate for t in times)


def length(path: Path, kind: str) -> float:
    """Seconds from the first to the end of the last packet of a stream."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        spans = [
            (p.pts * p.time_base, p.duration * p.time_base)
            for p in container.demux(stream)
            if p.pts is not None
        ]
    return float(max(a + b for a, b in spans) - min(a for a, _ in spans))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["480p", "720p"], choices=list(SIZES))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--method", default="vq")
    parser.add_argument("--clips", type=Path, help="folder that keeps the generated clips")
    parser.add_argument("--out", type=Path, help="folder that keeps the recordings")
    options = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for size in options.sizes:
            face = make_clip(options.clips or Path(scratch), size, 5)
            speech = make_speech(Path(scratch), options.seconds)
            kept = options.out or Path(scratch)
            kept.mkdir(parents=True, exist_ok=True)
            out, got = kept / f"{size}.mp4", kept / f"{size}-received.ts"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            command = [sys.executable, "-c", RECEIVER, str(port), str(got)]
            receiver = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert receiver.stdout is not None
            receiver.stdout.readline()
            memory = Memory()
            report, error = live(
                face,
                str(speech),
                [str(out), f"udp://127.0.0.1:{port}"],
                LiveOptions(dub=DubOptions(method=options.method, manifest=False)),
                memory,
            )
            if error is not None:
                raise SystemExit(str(error))
            receiver.wait()
            found = report.to_json()
            rate = float(report.rate)
            drift = 1e3 * (memory.last_lag - memory.first_lag)
            apart = 1e3 * (length(out, "audio") - report.seconds)
            with av.open(str(got)) as container:
                received = sum(1 for p in container.demux(video=0) if p.size)
            grid = max(off_the_grid(out, rate), off_the_grid(got, rate))
            cells = (
                size,
                f"{report.seconds:.1f}",
                f"{report.statistics.frames / report.seconds:.1f}",
                f"{100 * found['skipped_share']:.1f} %",
                f"{found['latency_ms']['median']:.0f}",
                f"{found['latency_ms']['p99']:.0f}",
                f"{found['cpu_cores']:.2f}",
                f"{memory.early:.0f} -> {memory.late:.0f}",
                f"{grid:.2f}",
                f"{drift:+.0f}",
                f"{apart:+.0f}",
                f"{received} of {found['frames']}",
            )
            print("| " + " | ".join(cells) + " |", flush=True)
            for line in report.lines():
                print(f"  {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
