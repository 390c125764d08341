"""The speech features and the activity of every mouth of a cast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.cast.stretches import Stretch
from lipwright.media.mel import HOP, SAMPLE_RATE
from lipwright.media.voice_activity import SilenceGate
from lipwright.methods.base import Method

PAUSE_SECONDS = 1
"""Silence that a method hears before and after a stretch."""
_COLUMNS = SAMPLE_RATE // HOP
_REACH = 20
"""Columns around a stretch in which the mouth prepares and comes to rest."""

Wave = NDArray[np.float32]


def part_of(wave: Wave, each: Stretch) -> Wave:
    """The samples of a speech that a stretch lets hear."""
    assert each.end is not None
    first = round(each.offset * SAMPLE_RATE)
    return wave[first : first + round((each.end - each.start) * SAMPLE_RATE)]


def features_of(
    stretches: Sequence[Stretch],
    waves: Mapping[Path, Wave],
    method: Method,
    film: Fraction,
) -> Wave:
    """(C, T) what the speech of one mouth makes of a method, laid out over the film.

    Args:
        stretches: of this mouth, by start, with their ends.
        waves: the speeches at 16 kHz, at a level that methods know.
        method: makes the features.
        film: seconds.
    """
    rest = method.speech_features(np.zeros(SAMPLE_RATE, np.float32))[:, :1]
    total = 1 + int(film * _COLUMNS)
    features = np.repeat(rest, total, axis=1).astype(np.float32)
    done = 0
    for each in stretches:
        # The features are made on the film's own columns, with silence around the stretch.
        begin = int(each.start * _COLUMNS) - PAUSE_SECONDS * _COLUMNS
        lead = round((each.start - Fraction(begin, _COLUMNS)) * SAMPLE_RATE)
        part = part_of(waves[each.speech], each)
        padded = np.pad(part, (lead, PAUSE_SECONDS * SAMPLE_RATE))
        made = method.speech_features(padded)
        assert each.end is not None
        first = max(done, int(each.start * _COLUMNS) - _REACH, 0)
        last = min(int(each.end * _COLUMNS) + _REACH, total, begin + made.shape[1])
        if last > first:
            features[:, first:last] = made[:, first - begin : last - begin]
        done = int(each.end * _COLUMNS)
    return features


def activity_of(
    stretches: Sequence[Stretch],
    gates: Mapping[Path, SilenceGate],
    times: NDArray[np.float64],
) -> NDArray[np.float32]:
    """(n,) how much of some stretches is heard at each time (n,)."""
    out = np.zeros(times.size, np.float32)
    for each in stretches:
        assert each.end is not None
        first, last = np.searchsorted(times, [float(each.start), float(each.end)])
        inside = times[first:last] - float(each.start) + float(each.offset)
        out[first:last] = np.maximum(out[first:last], gates[each.speech].activity(inside))
    return out
