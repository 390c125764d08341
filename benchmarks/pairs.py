"""Whole commands of two checkouts by turns: processor time, wall time, peak memory of each."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KIB_PER_UNIT = 1 if sys.platform != "darwin" else 1 / 1024  # macOS counts bytes


@dataclass(frozen=True)
class Cost:
    """What one run of a command took.

    Attributes:
        cpu: user and system time of the process and all of its children, seconds.
        wall: seconds.
        peak: resident set size of the largest process, MiB.
    """

    cpu: float
    wall: float
    peak: float


@dataclass(frozen=True)
class Checkout:
    """A version of the product: its name, and a folder with ``src``."""

    name: str
    folder: Path
    caches: Path

    def environment(self) -> dict[str, str]:
        """Its code, and caches of its own."""
        own = {"PYTHONPATH": str(self.folder / "src"), "LIPWRIGHT_CACHE": str(self.caches)}
        home = {"LIPWRIGHT_HOME": str(self.caches / "home")}
        # Compiled files of Python are kept, as in an installation, whatever is usual here.
        compiled = {"PYTHONPYCACHEPREFIX": str(self.caches / "python")}
        usual = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {**usual, **own, **home, **compiled}

    def run(self, *command: object, allowed: tuple[int, ...] = (0,)) -> Cost:
        """Run ``python`` with these words.

        Raises:
            SystemExit: it failed.
        """
        words = [sys.executable, *map(str, command)]
        with tempfile.TemporaryFile() as log:
            began = time.perf_counter()
            process = subprocess.Popen(words, env=self.environment(), stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode not in allowed:
                log.seek(0)
                raise SystemExit(f"{words} failed:\n{log.read().decode(errors='replace')}")
        return _cost(usage, wall)


def _cost(usage: resource.struct_rusage, wall: float) -> Cost:
    peak = usage.ru_maxrss * KIB_PER_UNIT / 1024
    return Cost(usage.ru_utime + usage.ru_stime, wall, peak)


@contextmanager
def checkouts(commit: str, root: Path, scratch: Path) -> Iterator[tuple[Checkout, Checkout]]:
    """A commit of the repository, in a folder of its own, and its working tree."""
    other = scratch / "other"
    add = ["git", "-C", str(root), "worktree", "add", "-q", "--detach", str(other), commit]
    subprocess.run(add, check=True)
    try:
        yield (
            Checkout(commit, other, scratch / "cache-other"),
            Checkout("here", root, scratch / "cache-here"),
        )
    finally:
        remove = ["git", "-C", str(root), "worktree", "remove", "--force", str(other)]
        subprocess.run(remove, check=True)


def by_turns(
    both: tuple[Checkout, Checkout], pairs: int, measure: Callable[[Checkout], Mapping[str, Cost]]
) -> dict[str, dict[str, list[Cost]]]:
    """``pairs`` times the one, then the other.

    Returns:
        By the name of the checkout, by what ``measure`` measured.
    """
    found: dict[str, dict[str, list[Cost]]] = {each.name: {} for each in both}
    for _ in range(pairs):
        for each in both:
            for name, cost in measure(each).items():
                found[each.name].setdefault(name, []).append(cost)
    return found


def median(costs: list[Cost], what: Callable[[Cost], float]) -> float:
    """Of one figure."""
    return statistics.median(what(cost) for cost in costs)
