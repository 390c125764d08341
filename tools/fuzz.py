"""Damaged files against the whole product: ``python tools/fuzz.py --count 10000 --minutes 60``.

Small valid files are damaged at random (``fuzzing/mutate.py``) and given to all that Lipwright does
with files of their kind (``fuzzing/targets.py``), many in one child process that has limits on its
memory, time and file sizes. Either it works, or there is one sentence (LipwrightError). Everything
else is a fault and makes the exit code 1: another exception, a process that dies, takes too long or
too much memory, files or threads that are left behind.

A mutant is a function of kind, seed and number: ``--only mp4:1234`` makes a certain one again. The
files of faults are written where ``--keep`` says, and nowhere else.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import math
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

from fuzzing.checksums import with_checksums  # noqa: E402
from fuzzing.mutate import mutated  # noqa: E402
from fuzzing.seeds import SEEDS  # noqa: E402
from fuzzing.targets import TARGETS  # noqa: E402

CPU_SECONDS = 20.0
"""Of one mutant: some hundred times what a usual one takes."""
WALL_SECONDS = 120.0
"""Without a word from the child: it waits for something that does not come."""
EXTRA_MEMORY = 1536 << 20
"""Address space that the child may take beside what it has at its start."""
LARGEST_FILE = 256 << 20
SPARE_FILES = 8
"""Libraries keep a few open from their first use on; more than that is a leak."""
BATCH = 100
TEXT_KINDS = ("yaml", "csv", "lines")
WORKED = ("worked", "refused")


@dataclass
class Findings:
    """What came out, by kind; and every fault with the number of its mutant."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[tuple[str, int, str]] = field(default_factory=list)

    def note(self, kind: str, number: int, outcome: str) -> None:
        """Count one mutant."""
        word = outcome.split(":", 1)[0]
        self.counts.setdefault(kind, Counter())[word] += 1
        if word not in WORKED:
            self.faults.append((kind, number, outcome))

    @property
    def total(self) -> int:
        """All mutants."""
        return sum(counter.total() for counter in self.counts.values())


class Fuzzer:
    """Runs mutants in children; the parent never opens one of them."""

    def __init__(self, seed: int = 0, keep: Path | None = None, kinds: list[str] | None = None):
        self.seed, self.keep = seed, keep
        self.kinds = kinds or list(SEEDS)
        self.findings = Findings()
        self._folder = Path(tempfile.mkdtemp(prefix="lipwright-fuzz-"))
        self._partners = self._folder / "partners"
        self._partners.mkdir()
        self._open = 0
        self._seeds: dict[str, list[Path]] = {}
        for kind in dict.fromkeys((*self.kinds, "wav", "mp4")):
            self._seeds[kind] = SEEDS[kind](self._partners)

    def close(self) -> None:
        """Remove the seeds."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, count: int, minutes: float, start: int = 0) -> Findings:
        """Try ``count`` mutants, of all kinds by turns, from number ``start`` on."""
        end = time.monotonic() + 60 * minutes
        each = -(-count // len(self.kinds))
        for first in range(start, start + each, BATCH):
            for kind in self.kinds:
                if time.monotonic() > end:
                    return self.findings
                self.batch(kind, list(range(first, min(first + BATCH, start + each))), end)
                counter = self.findings.counts.get(kind, Counter())
                done, faults = self.findings.total, len(self.findings.faults)
                words = ", ".join(f"{n} {word}" for word, n in sorted(counter.items()))
                print(f"{done:6d} mutants, {faults} faults; {kind}: {words}", flush=True)
        return self.findings

    def check_seeds(self) -> list[str]:
        """The undamaged files, tried like the damaged; those that do not work."""
        bad = []
        for kind in self.kinds:
            numbers = [-1 - i for i in range(len(self._seeds[kind]))]
            for number, outcome in self._child(kind, numbers):
                if outcome != "worked":
                    bad.append(f"{kind}: {self.mutant(kind, number)[0]}: {outcome}")
        return bad

    def batch(self, kind: str, numbers: list[int], end: float = math.inf) -> None:
        """Try some mutants of one kind, in as few children as possible, until the time ``end``."""
        left = list(numbers)
        while left and time.monotonic() < end:
            done = 0
            for number, outcome in self._child(kind, left, end):
                self.findings.note(kind, number, outcome)
                done += 1
                if self.keep is not None and outcome.split(":", 1)[0] not in WORKED:
                    self.keep.mkdir(parents=True, exist_ok=True)
                    name, data = self.mutant(kind, number)
                    (self.keep / f"{kind}-{number}-{name}").write_bytes(data)
            left = left[done:]

    def mutant(self, kind: str, number: int) -> tuple[str, bytes]:
        """Name and content of a mutant."""
        if number < 0:  # the seeds themselves
            source = self._seeds[kind][-number - 1]
            return source.name, source.read_bytes()
        rng = random.Random(f"{self.seed}:{kind}:{number}")
        source = rng.choice(self._seeds[kind])
        data = mutated(source.read_bytes(), rng, kind in TEXT_KINDS)
        if rng.random() < 0.7:  # else the first checksum stops most of them
            data = with_checksums(kind, data)
        return source.name, data

    def _child(
        self, kind: str, numbers: list[int], end: float = math.inf
    ) -> Iterator[tuple[int, str]]:
        """Outcomes of the mutants up to the first that ends the child, in order."""
        reader, writer = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reader)
                self._work(kind, numbers, writer, end)
            finally:
                os._exit(0)
        os.close(writer)
        place, reason = 0, ""
        with os.fdopen(reader, "rb") as pipe:
            buffer = b""
            while True:
                ready, _, _ = select.select([pipe], [], [], WALL_SECONDS)
                if not ready:
                    reason = "hang: no word for two minutes"
                    os.kill(pid, signal.SIGKILL)
                    break
                part = os.read(pipe.fileno(), 65536)
                if not part:
                    break
                *lines, buffer = (buffer + part).split(b"\n")
                for line in lines:
                    yield numbers[place], line.decode("utf-8", "replace")
                    place += 1
        _, status = os.waitpid(pid, 0)
        if place < len(numbers) and (reason or os.WIFSIGNALED(status)):
            name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""
            yield numbers[place], reason or f"crash: {name}"
        # Otherwise the child has ended itself after the last outcome that it told.
        shutil.rmtree(self._folder / "work", ignore_errors=True)

    def _work(self, kind: str, numbers: list[int], pipe: int, end: float) -> None:
        """The child: limits, then one mutant after the other."""
        _limit()
        gc.freeze()  # what lay in memory before the first mutant cannot be left behind by one
        self._open = _descriptors()
        for number in numbers:
            if time.monotonic() > end:
                return
            outcome = self._one(kind, number)
            os.write(pipe, outcome.replace("\n", " ").encode()[:4000] + b"\n")
            if outcome.split(":", 1)[0] not in WORKED:
                return  # a fresh child for the next: this one may be in any state

    def _one(self, kind: str, number: int) -> str:
        name, data = self.mutant(kind, number)
        work = self._folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        path = work / name
        path.write_bytes(data)
        os.environ["LIPWRIGHT_HOME"] = str(self._folder / "home")
        os.environ["LIPWRIGHT_CACHE"] = str(self._folder / "cache")
        rng = random.Random(f"choices {self.seed}:{kind}:{number}")
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            outcome = TARGETS[kind](path, self._partners, rng)
        except _TooLongError:
            outcome = "hang: more than 20 s of processor time"
        except MemoryError:
            outcome = f"memory: {_where()}"
        except Exception as error:  # what the product must never let through
            if "alloc" in str(error).lower():
                outcome = f"memory: {type(error).__name__} {_where()}"
            else:
                outcome = f"traceback: {type(error).__name__}: {error!s:.200} {_where()}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if outcome.split(":", 1)[0] not in WORKED:
            return outcome
        allowed = {name} | {p.name for p in work.glob("out.*") if p.suffix != ".part"}
        left = sorted(p.name for p in work.iterdir() if p.name not in allowed)
        if left:
            return f"leftover: {', '.join(left)}"
        threads = [t.name for t in threading.enumerate() if t.name.startswith("lipwright")]
        if threads:
            return f"leftover: threads {threads}"
        gc.collect()
        if _descriptors() > self._open + SPARE_FILES:
            return f"leftover: {_descriptors() - self._open} open files"
        return outcome


class _TooLongError(BaseException):
    """The mutant has used up its time; no handler of the product may swallow it."""


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise _TooLongError


def _limit() -> None:
    faulthandler.disable()
    signal.signal(signal.SIGPROF, _too_long)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error of the write instead
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + EXTRA_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_WRONLY)  # libraries print what they think of such files
    os.dup2(null, 2)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _where() -> str:
    """The last places in the product's code that an exception came through."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    own = [f for f in frames if "lipwright" in f.filename]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in own[:-4:-1])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=10_000, help="mutants, over all kinds")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop then")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first mutant of a kind")
    parser.add_argument("--kinds", default="", help="for example mp4,wav; default all")
    parser.add_argument("--keep", type=Path, help="folder for the files of faults")
    parser.add_argument("--only", default="", help="a certain mutant, for example mp4:1234")
    chosen = parser.parse_args()
    kinds = [kind for kind in chosen.kinds.split(",") if kind]
    if chosen.only:
        kinds = [chosen.only.split(":")[0]]
    fuzzer = Fuzzer(chosen.seed, chosen.keep, kinds or None)
    began = time.monotonic()
    try:
        bad = fuzzer.check_seeds()
        if bad:
            sys.exit("the undamaged files do not work: " + "; ".join(bad))
        if chosen.only:
            fuzzer.batch(kinds[0], [int(chosen.only.split(":")[1])])
        else:
            fuzzer.run(chosen.count, chosen.minutes, chosen.start)
    finally:
        fuzzer.close()
    findings = fuzzer.findings
    for kind, counter in findings.counts.items():
        words = ", ".join(f"{count} {word}" for word, count in counter.most_common())
        print(f"{kind:12s} {counter.total():6d}: {words}")
    for kind, number, outcome in findings.faults:
        print(f"FAULT {kind}:{number} {outcome}")
    minutes = (time.monotonic() - began) / 60
    print(f"{findings.total} mutants in {minutes:.1f} min, {len(findings.faults)} faults")
    sys.exit(bool(findings.faults))


if __name__ == "__main__":
    main()
