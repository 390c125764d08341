"""Which frame rate the timestamps of a video mean.

Containers count in units of their own: a Matroska file at 59.94 frames per second holds steps of 16
and 17 ms, and a program that writes these into an MP4 gets an "average rate" of 40000/667. Where
every timestamp is what a steady rate gives when it is rounded to the container's unit, that rate is
meant, and the output says it exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

STANDARD = tuple(
    Fraction(rate)
    for rate in (
        *("24000/1001", "24", "25", "30000/1001", "30", "48000/1001", "48", "50", "60000/1001"),
        *("60", "100", "120000/1001", "120", "240000/1001", "240", "12", "15", "10", "12.5"),
        *("15000/1001", "20", "8", "5"),
    )
)
"""Frames per second that cameras and editors write."""

_NEAR = Fraction(1, 100)


def steady_rate(
    pts: Sequence[int], time_base: Fraction, declared: Fraction | None = None
) -> Fraction | None:
    """The standard rate that timestamps support, or None.

    Args:
        pts: ticks of the frames, strictly increasing.
        time_base: seconds per tick.
        declared: what the container says; decides between rates that fit equally.
    """
    ticks = np.asarray(pts, np.int64)
    if ticks.size < 2:
        return None
    ticks = ticks - ticks[0]
    mean = (ticks.size - 1) / (int(ticks[-1]) * time_base)
    fitting = []
    for rate in STANDARD:
        if abs(rate / mean - 1) > _NEAR and abs(rate - mean) * int(ticks[-1]) > rate:
            continue
        # Frame k at k / rate s, in ticks, exactly: k * numerator / denominator.
        step = 1 / (rate * time_base)
        exact = np.arange(ticks.size, dtype=np.float64) * float(step)
        error = ticks - exact
        # Rounding to a whole tick, of the first timestamp too, moves a difference by under 1.
        spread = float(error.max() - error.min())
        if spread <= 1.0 + 1e-6:
            fitting.append((spread, rate))
    if not fitting:
        return None
    if declared is not None and any(rate == declared for _, rate in fitting):
        return declared
    wanted = declared if declared is not None else mean
    return min((abs(rate - wanted), spread, rate) for spread, rate in fitting)[2]


def nominal_rate(frames: int, seconds: Fraction) -> Fraction:
    """What to declare for a video of no steady rate: the mean, or a standard rate near it."""
    mean = Fraction(frames) / seconds
    nearest = min(STANDARD, key=lambda rate: abs(rate - mean))
    if abs(nearest / mean - 1) <= _NEAR:
        return nearest
    return mean.limit_denominator(1001) or Fraction(1)
