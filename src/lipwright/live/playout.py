"""When sound and frames of a call leave: each at its time, whatever the other does.

What was said at the session's time t leaves at ``start + t + delay``. When sound is not there in
time (the network held it back), silence leaves in its place and all that follows leaves so much
later; what piles up instead is cut away where it is silent. Frames follow the sound's clock.
"""

from __future__ import annotations

import threading
from collections import deque
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipwright.live.engine import DrawnFrame
from lipwright.media.mix import stereo_weights
from lipwright.media.sound import Sound

RATE = 48_000
BLOCK = 960
"""Samples that leave at once: 20 ms."""
MOST_WAITING = 0.3
"""Seconds of sound that may wait beyond the delay before silence of it is cut away."""
SILENCE = 1e-3
"""Blocks whose samples are all below this can be cut away unheard."""
MOST_FRAMES = 30


class Playout:
    """A sink whose content is taken out at its time; for several threads.

    Args:
        delay: seconds after its sound came in at which everything leaves.

    Attributes:
        error: always None: nobody can break it.
        inserted: blocks of silence that stood in for late sound.
        cut: silent blocks that were cut away.
    """

    name = "the call"
    error = None

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._lock = threading.Lock()
        self._sound: deque[NDArray[np.float32]] = deque()
        self._held = 0
        self._frames: deque[DrawnFrame] = deque(maxlen=MOST_FRAMES)
        self._start: float | None = None
        self._sent = 0  # blocks that left
        self._offset = 0  # samples by which what leaves is behind what was said
        self.inserted = self.cut = 0

    def begin(self, now: float) -> None:
        """The first sound came in, and its last sample was there at ``now``."""
        if self._start is None:
            self._start = now

    @property
    def began(self) -> bool:
        """Whether :meth:`begin` was called."""
        return self._start is not None

    def sound(self, piece: Sound) -> None:
        """Take sound at 48 kHz."""
        weights = stereo_weights(piece.channels, piece.samples.shape[0])
        with self._lock:
            self._sound.append(np.asarray(weights @ piece.samples, np.float32))
            self._held += piece.count

    def picture(self, frame: DrawnFrame) -> None:
        """Take a frame."""
        with self._lock:
            self._frames.append(frame)

    def close(self) -> None:
        """Nothing has to be completed."""

    def next_block_at(self) -> float:
        """When the next block of sound leaves; the call has begun."""
        assert self._start is not None
        return self._start + self.delay + self._sent * BLOCK / RATE

    def block(self) -> tuple[NDArray[np.float32], int]:
        """The next block, (2, 960) in [-1, 1], and its number; silence where none is there."""
        with self._lock:
            number = self._sent
            self._sent += 1
            if self._held < BLOCK:
                self.inserted += 1
                self._offset += BLOCK
                return np.zeros((2, BLOCK), np.float32), number
            made = self._take()
            if self._held > (self.delay + MOST_WAITING) * RATE and np.abs(made).max() < SILENCE:
                self.cut += 1
                self._offset -= BLOCK
                made = self._take()
            return made.clip(-1.0, 1.0), number

    def frame_at(self, frame: DrawnFrame) -> float:
        """When a frame leaves."""
        assert self._start is not None
        return self._start + self.delay + float(frame.time) + self._offset / RATE

    def ticks(self, frame: DrawnFrame) -> int:
        """The frame's time in what leaves, in samples: the sound said then has the same."""
        return round(frame.time * RATE) + self._offset

    def newest_due(self, now: float) -> tuple[DrawnFrame | None, int]:
        """The frame that should be seen at ``now``, and how many before it were passed over."""
        passed = -1
        found = None
        with self._lock:
            while self._frames and self.frame_at(self._frames[0]) <= now:
                found = self._frames.popleft()
                passed += 1
        return found, max(0, passed)

    def next_frame_at(self) -> float | None:
        """When the next frame that is there leaves; None if none is there."""
        with self._lock:
            return self.frame_at(self._frames[0]) if self._frames else None

    def _take(self) -> NDArray[np.float32]:
        parts, wanted = [], BLOCK
        while wanted:
            first = self._sound[0]
            if first.shape[1] <= wanted:
                parts.append(self._sound.popleft())
                wanted -= first.shape[1]
            else:
                parts.append(first[:, :wanted])
                self._sound[0] = first[:, wanted:]
                wanted = 0
        self._held -= BLOCK
        return np.concatenate(parts, axis=1)


def time_of_block(number: int) -> Fraction:
    """Seconds of what leaves at which a block begins."""
    return Fraction(number * BLOCK, RATE)
