"""What became of every frame of a session."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.errors import system_errors

KEPT = 200_000
"""Latencies that are kept: more than two hours; later ones replace the oldest."""


@dataclass
class FillIn:
    """A stretch of frames that stood in for a camera's.

    Attributes:
        start, end: seconds of the session.
        reason: why the camera's could not be shown.
        frames: how many were drawn.
    """

    start: float
    end: float
    reason: str
    frames: int = 0


@dataclass
class LiveStatistics:
    """Counts while the session runs; for several threads.

    Attributes:
        frames: drawn ones.
        late: of them, those that took longer than the delay that was agreed on.
        left_out: numbers of frames that were skipped because the machine was late.
        not_taken: frames that a receiver did not take in time, by its name.
        fill_ins: stretches that stood in for a camera's.
    """

    frames: int = 0
    late: int = 0
    left_out: int = 0
    not_taken: dict[str, int] = field(default_factory=dict)
    fill_ins: list[FillIn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._latencies = np.zeros(KEPT, np.float32)
        self._costs = np.zeros(KEPT, np.float32)
        self._began = time.monotonic()
        self._cpu = _cpu_seconds()
        self._spent: tuple[float, float] | None = None

    def start(self) -> None:
        """The session begins now: what was spent before does not count."""
        self._began, self._cpu = time.monotonic(), _cpu_seconds()
        self._spent = None

    def stop(self) -> None:
        """The session is over: what is spent from now on does not count."""
        self._spent = time.monotonic() - self._began, _cpu_seconds() - self._cpu

    def drawn(self, k: int, latency: float, cost: float, late: bool) -> None:
        """Frame ``k`` was ready ``latency`` seconds after its sound came in."""
        with self._lock:
            self._latencies[self.frames % KEPT] = latency
            self._costs[self.frames % KEPT] = cost
            self.frames += 1
            self.late += late

    def skipped(self, k: int) -> None:
        """Frame ``k`` was left out."""
        with self._lock:
            self.left_out += 1

    def refused(self, receiver: str) -> None:
        """A receiver did not take a frame in time."""
        with self._lock:
            self.not_taken[receiver] = self.not_taken.get(receiver, 0) + 1

    def latency(self, percentile: float) -> float:
        """Seconds from sound in to frame ready; 0 if none was drawn."""
        count = min(self.frames, KEPT)
        return float(np.percentile(self._latencies[:count], percentile)) if count else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        now = time.monotonic() - self._began, _cpu_seconds() - self._cpu
        seconds, spent = self._spent or now
        count = min(self.frames, KEPT)
        wanted = self.frames + self.left_out
        return {
            "frames": self.frames,
            "skipped": self.left_out,
            "skipped_share": round(self.left_out / wanted, 5) if wanted else 0.0,
            "late": self.late,
            "not_taken": dict(self.not_taken),
            "latency_ms": {
                "median": round(1e3 * self.latency(50), 1),
                "p99": round(1e3 * self.latency(99), 1),
            },
            "drawing_ms": round(1e3 * float(np.median(self._costs[:count])), 1) if count else None,
            "cpu_cores": round(spent / max(seconds, 1e-9), 3),
            "peak_rss_mib": round(peak_rss() / 2**20),
            "fill_ins": [
                {
                    "start": round(f.start, 3),
                    "end": round(f.end, 3),
                    "reason": f.reason,
                    "frames": f.frames,
                }
                for f in self.fill_ins
            ],
        }


@dataclass
class LiveReport:
    """What a session did.

    Attributes:
        face, speech: what it was made from.
        receivers: where it went.
        rate: frames per second.
        look_ahead: seconds that the mouth has to hear ahead.
        delay: seconds that were agreed on.
        seconds: of sound.
        ended: why it ended.
        model: name and identifier.
        statistics: see there.
        provenance: marks and manifest of each receiver.
        warnings: sentences.
    """

    face: str
    speech: str
    receivers: list[str]
    rate: Fraction = Fraction(25)
    look_ahead: float = 0.0
    delay: float = 0.0
    seconds: float = 0.0
    ended: str = ""
    model: dict[str, str] = field(default_factory=dict)
    statistics: LiveStatistics = field(default_factory=LiveStatistics)
    provenance: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "face": self.face,
            "speech": self.speech,
            "receivers": self.receivers,
            "rate": round(float(self.rate), 6),
            "look_ahead_ms": round(1e3 * self.look_ahead, 1),
            "delay_ms": round(1e3 * self.delay, 1),
            "seconds": round(self.seconds, 3),
            "ended": self.ended,
            "model": self.model,
            **self.statistics.to_json(),
            "provenance": self.provenance,
            "warnings": self.warnings,
        }

    def lines(self) -> list[str]:
        """A few lines for people."""
        found = self.to_json()
        share = 100.0 * found["skipped_share"]
        latency = found["latency_ms"]
        lines = [
            f"{found['seconds']:.1f} s at {found['rate']:g} frames per second; "
            f"{found['frames']} drawn, {found['skipped']} skipped ({share:.1f} %), "
            f"{found['late']} later than {found['delay_ms']:.0f} ms.",
            f"Sound in to frame ready: {latency['median']:.0f} ms in the median, "
            f"{latency['p99']:.0f} ms at the 99th percentile, of which "
            f"{found['look_ahead_ms']:.0f} ms are the look-ahead of the mouth.",
        ]
        lines += [
            f"Generated from {fill['start']:.2f} to {fill['end']:.2f} s "
            f"({fill['frames']} frames): {fill['reason']}."
            for fill in found["fill_ins"]
        ]
        lines += [
            f"{name} did not take {count} frames in time."
            for name, count in found["not_taken"].items()
        ]
        return [*lines, *self.warnings, self.ended]

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            LipwrightError: the file cannot be written.
        """
        with system_errors(f"The report {path} cannot be written"):
            path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")


def _cpu_seconds() -> float:
    return time.process_time()


def peak_rss() -> int:
    """Bytes of the largest resident set so far; 0 where the system does not tell (Windows)."""
    if sys.platform == "win32":
        return 0
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(largest if sys.platform == "darwin" else largest * 1024)
