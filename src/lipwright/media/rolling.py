"""The last seconds of sound that goes on, addressed by its samples' own numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lipwright.media.mel import zero_padded

Samples = npt.NDArray[np.float32]


class RollingSound:
    """Mono sound of which only the newest samples are kept; memory does not grow.

    Args:
        keep: samples that can still be had, at least.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._buffer = np.zeros(2 * keep, np.float32)
        self._used = 0
        self.received = 0
        """Samples so far: the next one has this number."""

    def append(self, samples: Samples) -> None:
        """Take (n,) float32 samples that follow the ones before."""
        for first in range(0, samples.size, self._keep):
            part = samples[first : first + self._keep]
            if self._used + part.size > self._buffer.size:
                kept = self._buffer[self._used - self._keep : self._used].copy()
                self._buffer[: self._keep] = kept
                self._used = self._keep
            self._buffer[self._used : self._used + part.size] = part
            self._used += part.size
            self.received += part.size

    def part(self, first: int, last: int) -> Samples:
        """Samples ``first`` to ``last - 1``; zeros before the first and after the newest one.

        Raises:
            ValueError: some of them are no longer kept.
        """
        start = self.received - self._used
        if max(first, 0) < start:
            raise ValueError(f"sample {first} is no longer kept; the oldest one is {start}")
        return zero_padded(self._buffer[: self._used], first - start, last - start)
