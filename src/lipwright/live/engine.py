"""Which frame is drawn when: in step with the sound, and never so that the sound has to wait.

Sound carries the time of the session: its first sample is at 0 s. A frame is due once the
look-ahead behind its time has come in, and late when it cannot be ready within the delay that
was agreed on. A late frame is skipped if a newer one is due already; so a machine that is too slow
shows fewer frames, each of them as fresh as it can be, and catches up as soon as it can.

What is drawn depends on the sound and on the number of the frame alone, never on the moment.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av

from lipwright.live.clock import Clock
from lipwright.live.listener import Listener
from lipwright.live.report import LiveStatistics
from lipwright.media.sound import Sound


class Drawer(Protocol):
    """Makes frames."""

    def frame(self, k: int, time: Fraction) -> av.VideoFrame:
        """Output frame ``k``, shown ``time`` seconds after the first sample."""
        ...


@dataclass(frozen=True)
class DrawnFrame:
    """A finished frame.

    Attributes:
        k: its number; skipped ones are missing.
        time: seconds after the first sample at which it is shown.
        native: the picture.
    """

    k: int
    time: Fraction
    native: av.VideoFrame


class Engine:
    """Takes sound, gives frames; one thread may feed it while another one draws.

    Args:
        drawer: makes the frames.
        listener: hears the sound for the drawer.
        rate: frames per second.
        delay: seconds after its sound came in by which a frame should be ready.
        clock: tells the time.
        statistics: takes the counts.
    """

    def __init__(
        self,
        drawer: Drawer,
        listener: Listener,
        rate: Fraction,
        delay: float,
        clock: Clock,
        statistics: LiveStatistics,
    ) -> None:
        self._drawer, self._listener, self._rate = drawer, listener, rate
        self._delay, self._clock, self.statistics = delay, clock, statistics
        self._next = 0
        self._ended: Fraction | None = None
        self._arrivals: deque[tuple[Fraction, float]] = deque(maxlen=500)
        self._received = Fraction(0)
        self._cost = 0.0
        self._lock = threading.Lock()

    @property
    def received(self) -> Fraction:
        """Seconds of sound so far."""
        return self._received

    def feed(self, sound: Sound, arrived: float) -> None:
        """Take the sound that follows.

        Args:
            sound: a piece.
            arrived: the clock's time at which its last sample was there.
        """
        with self._lock:
            self._received += Fraction(sound.count, sound.rate)
            self._arrivals.append((self._received, arrived))
        self._listener.feed(sound)

    def end(self) -> None:
        """No more sound comes; frames up to its end can still be had."""
        if self._ended is None:
            self._ended = self._received
            self._listener.end()

    def close(self) -> None:
        """No more frames are wanted."""
        self._listener.close()

    def is_due(self) -> bool:
        """Whether a frame can be drawn now."""
        return self._due(self._next)

    def next_frame(self) -> DrawnFrame | None:
        """Draw the next frame that is due; None if there is none yet."""
        while self._due(self._next):
            k = self._next
            began = self._clock.now()
            is_late = began + self._cost > self._arrival(self._time(k)) + self._delay
            self._next += 1
            if is_late and self._due(k + 1):
                self.statistics.skipped(k)
                continue
            native = self._drawer.frame(k, self._time(k))
            done = self._clock.now()
            self._cost = 0.8 * self._cost + 0.2 * (done - began)
            latency = done - self._arrival(self._time(k))
            self.statistics.drawn(k, latency, done - began, latency > self._delay)
            return DrawnFrame(k, self._time(k), native)
        return None

    def _time(self, k: int) -> Fraction:
        return Fraction(k) / self._rate

    def _due(self, k: int) -> bool:
        time = self._time(k)
        if self._ended is not None and time >= self._ended:
            return False
        return self._listener.ready(time)

    def _arrival(self, time: Fraction) -> float:
        """When the sound of a moment came in; counted from the piece that holds it."""
        with self._lock:
            for received, arrived in self._arrivals:
                if received > time:
                    return arrived - float(received - time)
            return self._arrivals[-1][1] if self._arrivals else self._clock.now()
