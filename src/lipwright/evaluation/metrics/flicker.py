"""Flicker: how much the mouth region trembles from frame to frame.

Mean absolute second difference in time, ``|x[t+1] - 2 x[t] + x[t-1]|``, of 8-bit values inside the
mouth box of the aligned crop. Steady motion gives 0, trembling does not. In a table: result over
real video, so 1 is right; below 1 the mouth is too smooth, above it quivers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.metrics.base import (
    ClipPair,
    ClipResult,
    Metric,
    MetricInfo,
    Moment,
)
from lipwright.face_regions import MOUTH_BOX, pixel_box

INFO = MetricInfo(
    "flicker",
    "flicker",
    "this project",
    "own",
    "real",
    "mean absolute second difference in time inside the mouth box, result over real (1 is right)",
    protocols=("reconstruction", "unpaired", "silent"),
    aim=1.0,
)


def flicker(frames: NDArray[np.uint8]) -> float:
    """Mean absolute second difference of (T, ...) frames; NaN with fewer than 3."""
    if len(frames) < 3:
        return float("nan")
    x = frames.astype(np.int16)
    return float(np.abs(x[2:] - 2 * x[1:-1] + x[:-2]).mean())


class FlickerMeter:
    """The same, one frame at a time, in bounded memory; ``None`` (no face) starts afresh."""

    def __init__(self) -> None:
        self._last: list[NDArray[np.int16]] = []
        self._sum = 0.0
        self._count = 0

    def add(self, frame: NDArray[Any] | None) -> None:
        """The next frame, any shape, always the same."""
        if frame is None:
            self._last = []
            return
        self._last = [*self._last[-2:], frame.astype(np.int16)]
        if len(self._last) == 3:
            a, b, c = self._last
            self._sum += float(np.abs(c - 2 * b + a).mean())
            self._count += 1

    def value(self) -> float:
        """Mean over all frames with two neighbours; NaN without any."""
        return self._sum / self._count if self._count else float("nan")


class Flicker(Metric):
    """Flicker of the result's mouth over that of the real one."""

    infos = (INFO,)

    def __init__(self, clip: ClipPair) -> None:
        super().__init__(clip)
        self._real, self._result = FlickerMeter(), FlickerMeter()

    def add(self, moment: Moment) -> None:
        """The mouth box of both crops."""
        for meter, crop in (
            (self._real, moment.crops.real),
            (self._result, moment.crops.result),
        ):
            if moment.after_gap:
                meter.add(None)
            left, top, right, bottom = pixel_box(MOUTH_BOX, crop.shape[0])
            meter.add(crop[top:bottom, left:right])

    def finish(self, out: ClipResult) -> None:
        """Their ratio."""
        real = self._real.value()
        out.result[INFO.name] = self._result.value() / real if real else float("nan")
