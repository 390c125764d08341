"""A drawn face in the light of its frame.

A face that is a mixture of reference frames comes in their light. Inside a shot the light may
change (exposure, a lamp, a cloud): then the drawn mouth would stand out like a patch. What the
drawn face and the source show alike, whatever the mouth does, is the nose with the cheeks beside
it; there the mean and the spread of every channel say how the tones differ, and the drawn face is
given those of the source, as in Reinhard et al., "Color Transfer between Images" (2001), here in
RGB. Small differences are left alone: they are noise, and the rim of the mask knows them better.

Where the head is turned so far that the two show different things there (skin in one, wall in the
other), their tones say nothing of the light; that they do not correlate tells.

Where the light is so strong or so weak that a channel ends at white or black, its spread there says
nothing: the pixels that end are left out, and a channel of which few are left takes the contrast of
the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.geometry import smoothstep

Array = NDArray[np.float32]

LEFT, RIGHT, TOP, BOTTOM = 0.32, 0.68, 0.32, 0.54
"""Nose and inner cheeks in parts of the crop's side: below the eyes, above the lips, and face even
when the head is turned."""
SAME_LIGHT, OTHER_LIGHT = 0.04, 0.07
"""Tones that differ by less than the first are left; from the second on they are moved in full
(10 and 18 of 255 levels)."""
UNLIKE, ALIKE = 0.55, 0.75
"""Correlation of the two pictures' brightness there: up to the first they show different things,
from the second on the same. Of turned heads on clips of the corpus it was 0.11 to 0.55, of heads
held as in the reference frames 0.78 to 0.97."""
GAIN = 2.0
"""The spread is changed by no more than this, or its inverse."""
LEAST_SPREAD = 0.01
WHITE, BLACK = 0.97, 0.03
"""A source pixel beyond these may be cut off."""
FEW, ENOUGH = 0.1, 0.4
"""Share of the pixels that are not cut off: up to the first a channel's own contrast does not
count, from the second on it does in full."""


def in_light_of(drawn: Array, there: Array, here: Array) -> Array:
    """The drawn face with the tones of the source.

    Args:
        drawn: (k S, k S, 3) in [0, 1].
        there: (s, s, 3) the same, smaller.
        here: (s, s, 3) the source face.

    Returns:
        ``drawn`` itself where the light is the same.
    """
    a, b = _middle(there), _middle(here)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    change = float(np.abs(mean_b - mean_a).max())
    share = smoothstep(min(1.0, max(0.0, (change - SAME_LIGHT) / (OTHER_LIGHT - SAME_LIGHT))))
    share *= _same_thing(a, b)
    if share <= 0.0:
        return drawn
    gain = _contrast(a, b)
    gain, offset = 1 + share * (gain - 1), share * (mean_b - gain * mean_a)
    return np.asarray(np.clip(drawn * gain + offset, 0.0, 1.0), np.float32)


def _same_thing(there: Array, here: Array) -> float:
    """Whether two (n, 3) pictures show the same, in whatever light: 0 to 1."""
    a, b = (tones.mean(axis=1) - tones.mean() for tones in (there, here))
    power = float(np.sqrt((a @ a) * (b @ b)))
    likeness = float(a @ b) / power if power > 0.0 else 1.0
    return float(smoothstep(min(1.0, max(0.0, (likeness - UNLIKE) / (ALIKE - UNLIKE)))))


def _contrast(there: Array, here: Array) -> Array:
    """(3,) how many times the spread of the drawn face that of the source is, by channel."""
    gains, trust = np.ones(3, np.float32), np.zeros(3, np.float32)
    for channel, (a, b) in enumerate(zip(there.T, here.T, strict=True)):
        kept = (b > BLACK) & (b < WHITE)
        share = float(kept.mean())
        trust[channel] = smoothstep(min(1.0, max(0.0, (share - FEW) / (ENOUGH - FEW))))
        if trust[channel] > 0.0:
            spreads = [max(float(tones[kept].std()), LEAST_SPREAD) for tones in (a, b)]
            gains[channel] = np.clip(spreads[1] / spreads[0], 1 / GAIN, GAIN)
    common = float((trust * gains).sum() / trust.sum()) if trust.any() else 1.0
    return np.asarray(trust * gains + (1 - trust) * common, np.float32)


def _middle(face: Array) -> Array:
    side = len(face)
    rows, columns = (slice(round(low * side), round(high * side)) for low, high in _SPANS)
    return face[rows, columns].reshape(-1, 3)


_SPANS = ((TOP, BOTTOM), (LEFT, RIGHT))
