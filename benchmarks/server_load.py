"""Load and crashes: many queued jobs, many clients that poll, processes killed at random.

    python benchmarks/server_load.py --jobs 50 --clients 20
    python benchmarks/server_load.py --jobs 50 --clients 20 --kills 10

Dubs a generated clip of one second with the method ``copy``, so that what is measured is the server
and not a network. Prints how the jobs ended, what the clients met, and the resident memory of the
server and of its largest worker in the first and the last quarter of the time.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections import Counter
from pathlib import Path

import numpy as np

from lipwright.client import Client
from lipwright.demo import make_video
from lipwright.errors import LipwrightError

CONSENT = {"who": "nobody", "purpose": "load test", "date": "2026-01-01"}


class Server:
    """A server process that can be killed and started again."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.data = data
        self.client = Client(f"http://127.0.0.1:{self.port}")
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = ["-m", "lipwright", "serve", "--port", str(self.port), "--data", str(self.data)]
        self.process = subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while True:
            try:
                self.client.jobs(limit=1)
                return
            except LipwrightError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def workers(self) -> list[int]:
        """Process numbers of the workers (Linux)."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        found = []
        for task in tasks.iterdir():
            found += [int(pid) for pid in (task / "children").read_text().split()]
        return found


def resident(pid: int) -> float:
    """Resident memory of a process in MiB; 0 if it is gone (Linux)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def make_inputs(folder: Path) -> tuple[Path, Path]:
    """A second of the bundled portrait, and a second of a buzz."""
    make_video(folder / "clip.mp4", 1.0, (360, 240))
    samples = 8000 * np.sign(np.sin(np.arange(16_000) / 16_000 * 2 * np.pi * 150))
    with wave.open(str(folder / "speech.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.astype("<i2").tobytes())
    return folder / "clip.mp4", folder / "speech.wav"


def poll(server: Server, stop: threading.Event, met: Counter[str]) -> None:
    client = Client(f"http://127.0.0.1:{server.port}")
    while not stop.wait(1.0):
        try:
            client.jobs(limit=100)
            met["answers"] += 1
        except LipwrightError:
            met["errors"] += 1


def run(jobs: int, clients: int, kills: int, seed: int) -> dict[str, object]:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder / "data")
        video, speech = (server.client.upload(path) for path in make_inputs(folder))
        for _ in range(jobs):
            server.client.dub(video, speech, consent=CONSENT, options={"method": "copy"})
        began, stop, met = time.monotonic(), threading.Event(), Counter[str]()
        threads = [threading.Thread(target=poll, args=(server, stop, met)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        memory: list[tuple[float, float]] = []
        killed: Counter[str] = Counter()
        due = began + rng.uniform(5, 30)
        found = server.client.jobs(limit=500)
        while any(job["state"] in ("queued", "running") for job in found):
            time.sleep(2.0)
            pids = server.workers()
            memory.append((resident(server.process.pid), max(map(resident, pids), default=0.0)))
            if sum(killed.values()) < kills and time.monotonic() > due:
                if pids and sum(killed.values()) % 2 == 0:
                    subprocess.run(["kill", "-9", str(rng.choice(pids))], check=False)
                    killed["worker"] += 1
                else:
                    server.process.kill()
                    server.process.wait()
                    server.start()
                    killed["server"] += 1
                due = time.monotonic() + rng.uniform(5, 30)
            found = server.client.jobs(limit=500)
        stop.set()
        for thread in threads:
            thread.join()
        whole = sum(len(list((server.data / "jobs" / j["id"]).glob("*.mp4"))) for j in found)
        server.process.terminate()
        server.process.wait()
    quarter = max(1, len(memory) // 4)
    return {
        "jobs": dict(Counter(job["state"] for job in found)),
        "results": whole,
        "reasons": sorted({job["error"] for job in found if job["error"]}),
        "seconds": round(time.monotonic() - began),
        "clients": dict(met),
        "killed": dict(killed),
        "server_mib": [round(statistics.median(m[0] for m in part))
                       for part in (memory[:quarter], memory[-quarter:])],
        "worker_mib": [round(statistics.median(m[1] for m in part))
                       for part in (memory[:quarter], memory[-quarter:])],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    print(json.dumps(run(words.jobs, words.clients, words.kills, words.seed), indent=1))


if __name__ == "__main__":
    main()
