"""How a long recording is cut into windows for a speech encoder that sees at most 30 seconds.

Windows of 20 s at fixed places, of which 2 s at either end are context only: a result depends on
nothing but the recording, not on batches, and not on where a job was resumed. A leaf module, for
networks of PyTorch and for graphs alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

COLUMNS_PER_FEATURE = 2
"""Spectrogram columns (10 ms) per feature column of the encoder (20 ms)."""
FEATURES_PER_FRAME = 2
"""Feature columns of the encoder (50 a second) in one video frame (25 fps)."""
WINDOW, MARGIN = 2000, 200
"""Spectrogram columns of a window, and how many of them at either end only serve as context."""


@dataclass(frozen=True)
class RecordingWindow:
    """One window.

    Attributes:
        start, stop: spectrogram columns that the encoder sees.
        skip: feature columns of its output that are context.
        wanted: feature columns that count, after those.
    """

    start: int
    stop: int
    skip: int
    wanted: int


def recording_windows(total: int) -> Iterator[RecordingWindow]:
    """The windows of a recording of ``total`` columns; what is wanted of them joins without gap."""
    step = WINDOW - 2 * MARGIN
    for first in range(0, max(total, 1), step):
        start, stop = max(0, first - MARGIN), min(total, first + step + MARGIN)
        skip = (first - start) // COLUMNS_PER_FEATURE
        wanted = -(-(min(total, first + step) - first) // COLUMNS_PER_FEATURE)
        yield RecordingWindow(start, stop, skip, wanted)
