"""Speech as it comes, brought to 16 kHz with as little delay as a filter allows.

soxr, which files are resampled with, transforms whole blocks: it holds back 20 to 120 ms of what it
was given, and at the qualities that hold back least it takes away what lies above 6 kHz. The filter
of libswresample works sample by sample: it holds back 1 ms (2 ms at 8 kHz), half its own length.
"""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.media.mel import SAMPLE_RATE

Samples = NDArray[np.float32]


class LowDelayResampler:
    """One signal from any rate to 16 kHz, in 32-bit floats throughout.

    Sample ``i`` of what comes out is that of ``i / 16000`` s of what went in.

    Args:
        rate: samples per second that come in.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._filter = av.AudioResampler("fltp", "mono", SAMPLE_RATE)

    def feed(self, wave: Samples) -> Samples:
        """Take (n,) samples that follow; gives the (m,) that are complete."""
        if not wave.size:
            return np.zeros(0, np.float32)
        samples = np.ascontiguousarray(wave[None], np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = self.rate
        return self._joined(frame)

    def end(self) -> Samples:
        """What was held back; nothing follows."""
        return self._joined(None)

    def _joined(self, frame: av.AudioFrame | None) -> Samples:
        parts = [part.to_ndarray()[0] for part in self._filter.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)
