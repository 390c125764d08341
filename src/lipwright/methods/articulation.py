"""How far from rest a predicted lip motion is drawn: wide mouths wider, nearly closed ones not.

What is predicted of lips in doubt is an average, which moves less than lips do, and mixing
reference frames takes away more. A constant gain about rest makes up for that, but holds the mouth
too far open between the loud vowels. So the gain works about the mouth that speaks on average:
beyond it motion grows ``gain`` times as fast, below it falls off to rest by a power,

    y = a (x / a)^p    for 0 <= x <= a,        y = a + g (x - a)    for x > a,

with p the gain, but no more than :data:`POWER`: drawing closes half-open mouths a little further,
and with the whole gain the lips met too often. Motions beyond rest (x < 0) stay as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPEAKING = 0.8
"""a, of the opening and of the jaw's component alike, in standard deviations. What is predicted on
average while somebody speaks is 1.0; mixing takes some away again (docs/experiments.md)."""
POWER = 1.4
"""Largest power p by which motion falls off to rest (docs/experiments.md)."""

Array = NDArray[np.floating]


def stretched(
    motions: Array, gain: NDArray[np.float32] | None, speaking: float = SPEAKING
) -> NDArray[np.float32]:
    """(..., K) predicted motions as they are to be drawn; gains (K,), up to 1 plain factors."""
    x = np.asarray(motions, np.float32)
    if gain is None:
        return x
    low = speaking * (np.clip(x, 0.0, speaking) / speaking) ** np.minimum(gain, POWER)
    high = gain * np.maximum(x - speaking, 0.0)
    return np.asarray(np.where(gain > 1.0, low + high + np.minimum(x, 0.0), gain * x), np.float32)


def unstretched(motions: Array, gain: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """The inverse: what has to be predicted for (..., K) motions to be drawn."""
    y = np.asarray(motions, np.float32)
    if gain is None:
        return y
    safe = np.maximum(gain, 1e-6)
    low = SPEAKING * (np.clip(y, 0.0, SPEAKING) / SPEAKING) ** (1.0 / np.minimum(safe, POWER))
    high = np.maximum(y - SPEAKING, 0.0) / safe
    return np.asarray(np.where(gain > 1.0, low + high + np.minimum(y, 0.0), y / safe), np.float32)
