"""Batches for a sync expert: several moments of a clip side by side, each with its own speech.

Drawn like this every window serves as one matching pair and, with the speech of the clip's other
moments, as several mismatched ones: the sound of one voice in one room, which only the lips tell
apart. Chung et al., "Perfect Match" (ICASSP 2019), train on such groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipwright.data.packed import ClipRow


@dataclass(frozen=True)
class Moments:
    """B windows.

    Attributes:
        rows: the clip of each.
        starts: its first frame in the clip.
        pairs: (B, B) bool, whether faces i and speech j are a pair to learn from: the same moment,
            or moments of one clip that are far enough from each other.
    """

    rows: list[ClipRow]
    starts: list[int]
    pairs: NDArray[np.bool_]


def draw_moments(
    rng: np.random.Generator,
    rows: list[ClipRow],
    weights: NDArray[np.float64],
    count: int,
    window: int,
    far: int,
    group: int,
) -> Moments:
    """Draw ``count`` windows in groups of up to ``group`` of one clip.

    Args:
        rng: of this step.
        rows: clips of at least ``window + far`` frames.
        weights: their probabilities.
        count: B.
        window: frames of a window.
        far: least distance in frames between two moments of a mismatched pair.
        group: moments per clip; shorter clips give fewer.
    """
    chosen: list[ClipRow] = []
    starts: list[int] = []
    clips: list[int] = []  # numbered by their first window
    while len(chosen) < count:
        row = rows[int(rng.choice(len(rows), p=weights))]
        times = spread_starts(rng, row.frames - window, far, group)[: count - len(chosen)]
        clips += [len(chosen)] * len(times)
        chosen += [row] * len(times)
        starts += times
    number = np.array(clips)
    return Moments(chosen, starts, number[:, None] == number[None, :])


def spread_starts(rng: np.random.Generator, last: int, far: int, most: int) -> list[int]:
    """Up to ``most`` numbers of 0 .. last in random places, each ``far`` or more from the next."""
    count = min(most, last // far + 1)
    slack = last - (count - 1) * far
    free = np.sort(rng.integers(0, slack + 1, count))
    return [int(v) for v in free + far * np.arange(count)]
