"""Mouth opening: does the mouth open when it should, as far as it should?

The correlation of the result's mouth opening (inner-lip gap over face height) with the real
video's is the cheapest honest measure of lip-sync that needs no network trained for the purpose.
For foreign speech there is no real video; there the opening is compared with the loudness of the
speech, and only against the value that real mouths reach.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.base import ClipResult, Metric, MetricInfo
from lipwright.evaluation.metrics.sound_power import power_around
from lipwright.media.mel import SAMPLE_RATE

Series = NDArray[np.float64]
LEAST = 10
"""Frames below which no correlation is given."""

CORRELATION = MetricInfo(
    "opening_r",
    "opening r",
    "this project: Pearson correlation of mouth openings",
    "own",
    "high",
    "result against real video, frames where both faces are found, at least 10",
    protocols=("reconstruction", "noise"),
)
ENVELOPE = MetricInfo(
    "envelope_r",
    "envelope r",
    "this project: correlation of mouth opening and loudness of the speech that is heard",
    "own",
    "real",
    "loudness is the square root of the RMS over 80 ms",
    paired=False,
)
OFFSET = MetricInfo(
    "opening_offset",
    "opening offset",
    "this project: lag of the largest correlation of mouth openings within 15 frames",
    "own",
    "low",
    "absolute value; sign in the per-clip results as opening_lag (positive: result is late)",
    "frames",
    1,
    protocols=("reconstruction", "noise"),
)
SPREAD = MetricInfo(
    "opening_spread",
    "opening spread",
    "this project: standard deviation of the opening, result over real",
    "own",
    "real",
    "1 is right; below 1 the mouth mumbles",
    protocols=("reconstruction", "silent", "noise"),
    aim=1.0,
)


def correlation(a: Series, b: Series) -> float:
    """Pearson correlation over the frames where both are known.

    NaN with fewer than 10 such frames or when one does not vary.

    Raises:
        LipwrightError: the series have different lengths.
    """
    if len(a) != len(b):
        raise LipwrightError(
            f"series of {len(a)} and {len(b)} frames cannot be correlated; match their times first."
        )
    known = np.isfinite(a) & np.isfinite(b)
    if int(known.sum()) < LEAST:
        return float("nan")
    x, y = a[known], b[known]
    if x.std() < 1e-9 or y.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def best_lag(a: Series, b: Series, longest: int = 15) -> int:
    """Shift of ``a`` against ``b`` in frames, within +-``longest``, of the largest correlation.

    Positive: ``a`` comes later than ``b``. 0 when no shift can be judged.
    """
    best, best_r = 0, -2.0
    for lag in sorted(range(-longest, longest + 1), key=abs):
        x = a[max(0, lag) : len(a) + min(0, lag)]
        y = b[max(0, -lag) : len(b) + min(0, -lag)]
        r = correlation(x, y)
        if np.isfinite(r) and r > best_r + 1e-9:
            best, best_r = lag, r
    return best


def speech_envelope(wave: NDArray[np.float32], times: Series, width: float = 0.08) -> Series:
    """Loudness at each time: square root of the RMS over ``width`` seconds centred there."""
    return np.asarray(power_around(wave, times, width, SAMPLE_RATE // 50) ** 0.25)


def spread_ratio(a: Series, b: Series) -> float:
    """Standard deviation of ``a`` over that of ``b``, known frames only; NaN when b is still."""
    x, y = a[np.isfinite(a)], b[np.isfinite(b)]
    if len(x) < 2 or len(y) < 2 or y.std() < 1e-9:
        return float("nan")
    return float(x.std() / y.std())


class Opening(Metric):
    """Mouth openings of the result against the real ones, on matched frames."""

    infos = (CORRELATION, OFFSET, SPREAD)
    also = ("opening_lag",)

    def finish(self, out: ClipResult) -> None:
        """All three."""
        result, real = self.clip.matched("opening")
        lag = best_lag(result, real)
        out.result |= {
            CORRELATION.name: correlation(result, real),
            "opening_lag": float(lag),
            OFFSET.name: float(abs(lag)),
            SPREAD.name: spread_ratio(result, real),
        }


class Envelope(Metric):
    """Mouth opening against the loudness of the speech, for both sides."""

    infos = (ENVELOPE,)

    def finish(self, out: ClipResult) -> None:
        """Both sides, each with its own sound."""
        for side, speech, values in self.sides_with_sound(out):
            loudness = speech_envelope(speech, side.series.times)
            values[ENVELOPE.name] = correlation(side.series.opening, loudness)
