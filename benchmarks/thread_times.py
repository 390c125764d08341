"""Processor time of a dub by thread, and its peak memory (Linux).

    python benchmarks/thread_times.py VIDEO SPEECH -o OUT [options of lipwright dub]

The words are those of ``lipwright dub``. Threads of the render pass go by their names (decode,
draw, compose, encode); those of the encoder, the decoders and OpenVINO by what the system calls
them.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lipwright.dubbing.queues import ThreadGroup

EVERY = 0.3
"""Seconds between two looks; what a thread does after the last one is not counted for it."""
LEAST = 0.05
"""Threads with fewer seconds are put together."""


class Watch:
    """Looks at the threads of this process again and again."""

    def __init__(self) -> None:
        self.seconds: dict[int, tuple[str, float]] = {}
        self.names = {threading.get_native_id(): "main"}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.names[threading.get_native_id()] = "this measurement"
        while True:
            for task in Path("/proc/self/task").iterdir():
                try:
                    stat = (task / "stat").read_text()
                except OSError:  # it has ended
                    continue
                name, _, rest = stat[stat.index("(") + 1 :].rpartition(")")
                user, system = rest.split()[11:13]
                self.seconds[int(task.name)] = (name, (int(user) + int(system)) / 100)
            if self._stop.wait(EVERY):
                return

    def __enter__(self) -> Watch:
        self._thread.start()
        usual = ThreadGroup.start

        def start(group: ThreadGroup, name: str, work: Callable[[], None]) -> None:
            def named() -> None:
                self.names[threading.get_native_id()] = name
                work()

            usual(group, name, named)

        ThreadGroup.start = start  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def main() -> None:
    """Dub, and print."""
    from lipwright.cli import main as lipwright

    with Watch() as watch:
        try:
            lipwright(["dub", *sys.argv[1:]])
        except SystemExit as left:
            if left.code:
                raise
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"process {time.process_time():.2f} CPU-s, peak {peak:.0f} MiB")
    rest = 0.0
    for number, (name, seconds) in sorted(watch.seconds.items(), key=lambda row: -row[1][1]):
        if seconds < LEAST:
            rest += seconds
        else:
            print(f"{watch.names.get(number, name):20} {seconds:.2f}")
    print(f"{'others':20} {rest:.2f}")


if __name__ == "__main__":
    main()
