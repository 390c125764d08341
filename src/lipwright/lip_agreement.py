"""Do these lips go with this sound, and by how many frames is the sound late?

What a speech network says that lips do is correlated with what the lips in the picture do, at every
shift of the sound within half a second or so. The sharper and higher the peak, the surer it is that
the two belong together. SyncNet (Chung and Zisserman, ACCV-W 2016) asks the same of two networks
trained to answer it; here no network is trained for the question, and no picture is looked at, only
landmarks. A leaf module: arrays in, numbers out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

REACH = 15
"""Shifts of -REACH .. REACH frames at 25 fps are tried (SyncNet's choice)."""
TREND = 51
"""Frames over which the mean is taken away: moods of the face and level of the sound."""
LEAST = 20
"""Frames below which a shift is not judged."""
LONGEST_GAP = 0.1
"""Between two sightings further apart than this, seconds, lips are not interpolated."""
MOTION_WEIGHTS = (0.6, 0.2, 0.2)
"""Weights of the opening and the first two components of the lip shape in the correlation."""
MEASURES = (0.5, 0.25, 0.25)
"""Weights of opening, width and height of the mouth, where these are correlated instead."""

SURE, FAR = 2.5, 0.1
"""Certainty from which a peak is believed, and how much more it takes per frame of offset."""
INDEPENDENT = 4
"""Frames after which lips tell something new, roughly: the time in which their memory fades."""


@dataclass(frozen=True)
class Agreement:
    """What a curve over shifts says.

    Attributes:
        offset: frames at 25 fps by which the sound comes after the lips, at the peak.
        peak: correlation there.
        here: correlation as the two are, at shift 0; NaN where it could not be judged.
        certainty: how far the peak stands out, in standard errors of a correlation.
    """

    offset: int
    peak: float
    here: float
    certainty: float

    @property
    def sure(self) -> bool:
        """Whether the peak is to be believed."""
        return self.certainty > needed(self.offset) and abs(self.offset) < REACH


def agreement_curve(
    measured: Array, predicted: Array, weights: Iterable[float] = MOTION_WEIGHTS
) -> Array:
    """Weighted correlation of measured lips with predictions at every shift.

    Args:
        measured: (T, K) at 25 fps; rows that are not known are NaN.
        predicted: (T + 2 REACH, K), row ``REACH`` belongs to the first of ``measured``; NaN where
            there is no sound.
        weights: of the columns, as many as count.

    Returns:
        (2 REACH + 1,) for sound that comes so many frames late: -REACH .. REACH; NaN where fewer
        than ``LEAST`` frames are known on both sides.
    """
    parts = np.asarray(tuple(weights), np.float64)
    count = len(measured)
    seen = np.isfinite(measured).all(axis=1)
    out = np.full(2 * REACH + 1, np.nan)
    for shift in range(2 * REACH + 1):
        delayed = predicted[shift : shift + count]
        both = seen & np.isfinite(delayed).all(axis=1)
        if both.sum() >= LEAST:
            out[shift] = correlation(measured[both], delayed[both], parts)
    return out


def rows_around(predicted: Array, first: int, count: int, beyond: float) -> Array:
    """(count + 2 REACH, K) predictions about frames ``first`` on; ``beyond`` the sound's ends."""
    rows = np.arange(first - REACH, first + count + REACH)
    known = (rows >= 0) & (rows < len(predicted))
    return np.asarray(np.where(known[:, None], predicted[rows.clip(0, len(predicted) - 1)], beyond))


def correlation(measured: Array, predicted: Array, weights: Iterable[float]) -> float:
    """Weighted mean over the first columns of the correlations of two (T, K), trends removed."""
    parts = np.asarray(tuple(weights), np.float64)
    pair = [standardised(detrended(x[:, : len(parts)])) for x in (measured, predicted)]
    return float((pair[0] * pair[1]).mean(axis=0) @ parts)


def steady(
    times: Array, values: Array, rate: int, longest_gap: float = LONGEST_GAP
) -> tuple[int, Array]:
    """Rows of any times at a steady rate.

    Args:
        times: (N,) seconds, increasing.
        values: (N, K).
        rate: rows a second wanted.
        longest_gap: seconds; between rows further apart nothing is interpolated.

    Returns:
        The number of the first row (row n is at n / rate), and (T, K), NaN where not known.
    """
    if not times.size:
        return 0, np.zeros((0, values.shape[1]))
    first, last = int(np.ceil(times[0] * rate)), int(np.floor(times[-1] * rate))
    grid = np.arange(first, last + 1) / rate
    out = np.stack([np.interp(grid, times, column) for column in values.T], axis=1)
    if times.size > 1:
        after = np.searchsorted(times, grid).clip(1, times.size - 1)
        out[times[after] - times[after - 1] > longest_gap] = np.nan
    return first, out


def agreement(curve: Array, frames: int) -> Agreement:
    """Read a curve of :func:`agreement_curve`.

    Args:
        curve: at least one value is known.
        frames: so many were judged.
    """
    offset = int(np.nanargmax(curve)) - REACH
    return Agreement(offset, float(np.nanmax(curve)), float(curve[REACH]), certainty(curve, frames))


def certainty(curve: Array, frames: int) -> float:
    """How far the peak stands out of the curve, in standard errors of a correlation."""
    return float((np.nanmax(curve) - np.nanmedian(curve)) * np.sqrt(frames / INDEPENDENT))


def needed(offset: int) -> float:
    """The certainty that an offset of so many frames needs: most videos are nearly in step."""
    return SURE + FAR * abs(offset)


def detrended(values: Array) -> Array:
    """(T, K) less its moving mean over TREND frames."""
    return np.asarray(values - moving_mean(values, TREND))


def moving_mean(values: Array, frames: int) -> Array:
    """(T, K) centred means over so many frames, over fewer at the ends; an odd number."""
    count = len(values)
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    index = np.arange(count)
    low, high = np.maximum(index - frames // 2, 0), np.minimum(index + frames // 2 + 1, count)
    return np.asarray((total[high] - total[low]) / (high - low)[:, None])


def standardised(values: Array) -> Array:
    """(T, K) with mean 0 and standard deviation 1; what does not vary becomes 0."""
    spread = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf))
