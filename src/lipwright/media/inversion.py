"""Stereo in which one channel is the other one upside down.

A microphone wired the wrong way round, or a "wide" effect: each channel sounds right, and their
mean is silence. The mean m = (L + R) / 2 and the difference d = (L - R) / 2 are compared in windows
of half a second: where d is louder than m by 12 dB, the voice is in d. (A voice in one channel
alone has d = m; stereo music rarely passes 6 dB.) Where that holds for most of the recording, or
for a stretch of it, the difference is taken there, which has the level of one channel.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lipwright.media.sound import Sound

Samples = npt.NDArray[np.float32]

WINDOW = Fraction(1, 2)
"""Seconds."""
LOUDER = 10.0**1.2
"""Power of the difference over that of the mean (12 dB)."""
AUDIBLE = 1e-6
"""Mean square (-60 dB of full scale) below which a window says nothing."""
_FADE = 0.02
"""Seconds over which one gives way to the other."""
_AROUND = 2
"""Windows on either side that decide together with one."""


class Inversion:
    """First measures while stereo is mixed as usual, then mixes by what was found."""

    def __init__(self) -> None:
        self._mean: list[float] = []
        self._difference: list[float] = []
        self._time = Fraction(0)
        self._inverted: npt.NDArray[np.bool_] | None = None

    def mix(self, sound: Sound) -> Samples:
        """Mix two channels (2, n) to one (n,)."""
        start = self._time
        self._time += Fraction(sound.count, sound.rate)
        left, right = sound.samples
        mean: Samples = 0.5 * (left + right)
        if self._inverted is None:
            self._measure(mean, 0.5 * (left - right), start, sound.rate)
            return mean
        weight = self._weights(start, sound.count, sound.rate)
        if not weight.any():
            return mean
        mixed: Samples = (1.0 - weight) * mean + weight * 0.5 * (left - right)
        return mixed

    def _measure(self, mean: Samples, difference: Samples, start: Fraction, rate: int) -> None:
        """Add the energies of a piece to its windows."""
        first = 0
        while first < mean.size:
            window = int((start + Fraction(first, rate)) / WINDOW)
            last = min(mean.size, max(first + 1, round(((window + 1) * WINDOW - start) * rate)))
            while len(self._mean) <= window:
                self._mean.append(0.0)
                self._difference.append(0.0)
            self._mean[window] += float(np.square(mean[first:last]).sum()) / rate
            self._difference[window] += float(np.square(difference[first:last]).sum()) / rate
            first = last

    def decide(self) -> bool:
        """Whether anything is inverted; from now on :meth:`mix` starts again, and by that."""
        mean, difference = np.asarray(self._mean), np.asarray(self._difference)
        audible = mean + difference > AUDIBLE * float(WINDOW)
        inverted = audible & (difference > LOUDER * mean)
        self._time = Fraction(0)
        if inverted.any() and inverted.sum() >= 0.5 * audible.sum():
            self._inverted = np.ones_like(inverted)
            return True
        votes, voters = _around(inverted), _around(audible)
        found = (votes >= 3) & (votes > 0.5 * voters)
        self._inverted = found if found.any() else None
        return bool(found.any())

    def sentence(self, path: Path) -> str:
        """What was found."""
        assert self._inverted is not None
        seconds = float(self._inverted.sum() * WINDOW)
        where = (
            ""
            if self._inverted.all()
            else f" for {seconds:.1f} of {float(self._inverted.size * WINDOW):.1f} s"
        )
        return (
            f"One of the two channels of {path} is inverted{where}, so that their mix would cancel "
            "to silence; one side was used for the mouth instead."
        )

    def _weights(self, start: Fraction, count: int, rate: int) -> Samples:
        """(count,) share of the difference: 1 where inverted, with short fades."""
        assert self._inverted is not None
        size = self._inverted.size
        times = float(start) + np.arange(count) / rate
        steps = np.arange(size + 1) * float(WINDOW)
        padded = np.concatenate([self._inverted[:1], self._inverted, self._inverted[-1:]])
        before, after = padded[:-1].astype(np.float32), padded[1:].astype(np.float32)
        edge = np.clip(np.rint(times / float(WINDOW)).astype(int), 0, size)
        share = np.clip((times - steps[edge]) / _FADE + 0.5, 0.0, 1.0).astype(np.float32)
        weights: Samples = before[edge] + share * (after[edge] - before[edge])
        return weights


def _around(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """How many of the windows around each one (itself among them) have the flag."""
    padded = np.pad(flags.astype(np.float64), _AROUND)
    return np.asarray(np.convolve(padded, np.ones(2 * _AROUND + 1), "valid"))
