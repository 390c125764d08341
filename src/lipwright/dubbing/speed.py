"""How fast a job is going now, for an honest time left.

The first frames of a stage wait for everything behind them to warm up; a mean from the start on is
wrong for minutes. So the speed is that of the last seconds, counted from the first frame that was
finished, and unknown until there is something to count.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 12.0
LEAST_SECONDS = 0.5


class Speed:
    """Frames per second of the last few seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, done: int) -> float:
        """The speed, given how many frames are done by now; 0.0 while it is not known."""
        now = self._clock()
        if self._seen and done == self._seen[-1][1]:
            first, last = self._seen[0], self._seen[-1]
        else:
            if done <= 0:
                return 0.0
            self._seen.append((now, done))
            while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW_SECONDS:
                self._seen.popleft()
            first, last = self._seen[0], self._seen[-1]
        spent = now - first[0]
        gained = last[1] - first[1]
        return gained / spent if gained > 0 and spent >= LEAST_SECONDS else 0.0
