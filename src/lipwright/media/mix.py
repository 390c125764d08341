"""The one rule by which channels are mixed, for reading speech and for writing it.

A voice keeps its level, be it in the centre channel or equally in left and right; surrounds come
in 3 dB below the fronts (the relation of ITU-R BS.775, table 2); the low-frequency and height
channels carry no speech. To one channel:

    mono = FC + 1/2 (FL + FR) + 0.354 (BL + BR + SL + SR) + 1/2 BC

To two channels the same, so that mono of stereo is mono:

    left = FC + FL + 0.707 (BL + SL) + 1/2 BC        right likewise

A layout whose channels have no known names is averaged. Weights do not depend on the sample format
(libswresample's do: it scales down for integers and not for floats). Sums may exceed full scale;
floats do not clip, and what is encoded goes through :class:`Limiter`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

_SURROUND = 0.5**0.5
_LEFT = {"FL": 1.0, "FLC": 1.0, "DL": 1.0, "WL": 1.0, "BL": _SURROUND, "SL": _SURROUND}
_RIGHT = {"FR": 1.0, "FRC": 1.0, "DR": 1.0, "WR": 1.0, "BR": _SURROUND, "SR": _SURROUND}
_BOTH = {"FC": 1.0, "BC": 0.5}

_SIDES_AS_BACKS = {"SL": "BL", "SR": "BR"}


def stereo_weights(channels: Sequence[str], count: int) -> Samples:
    """(2, count) weights of the channels in left and right.

    Args:
        channels: libav's names in order; names that are not known have no weight.
        count: number of channels, which may exceed that of the names.
    """
    if count == 1:
        return np.ones((2, 1), np.float32)
    weights = np.array(
        [[side.get(name, _BOTH.get(name, 0.0)) for name in channels] for side in (_LEFT, _RIGHT)],
        np.float32,
    ).reshape(2, -1)
    if weights.shape[1] != count or not weights.any():
        return np.full((2, count), 1.0 / count, np.float32)
    return weights


def mono_weights(channels: Sequence[str], count: int) -> Samples:
    """(count,) weights of the channels in the mono mix; arguments as ``stereo_weights``."""
    mono: Samples = stereo_weights(channels, count).mean(axis=0)
    return mono


def placed(channels: Sequence[str], target: Sequence[str]) -> Samples | None:
    """Weights that put every channel into its place in a larger layout, all at 1.

    Args:
        channels: names that are there.
        target: names that are wanted; side channels may go into back channels.

    Returns:
        (len(target), len(channels)), or None if a channel has no place.
    """
    if not channels or len(set(channels)) != len(channels):
        return None
    for renamed in (channels, [_SIDES_AS_BACKS.get(name, name) for name in channels]):
        if len(set(renamed)) == len(renamed) and set(renamed) <= set(target):
            weights = np.zeros((len(target), len(channels)), np.float32)
            for column, name in enumerate(renamed):
                weights[list(target).index(name), column] = 1.0
            return weights
    return None


class Limiter:
    """Keeps mixed samples below full scale, block by block, without clipping them.

    The gain of a block is what its peak allows; it is reached by a linear fade over the block
    before, so that no sample exceeds full scale, and it recovers by at most 6 dB a second.

    Attributes:
        lowest: the smallest gain until now; 1 where nothing had to be lowered.
    """

    def __init__(self, rate: int) -> None:
        """``rate``: samples per second."""
        self._rate = rate
        self._gain = 1.0
        self.lowest = 1.0
        self._held: Samples | None = None
        self._wanted = 1.0

    def push(self, block: Samples) -> Samples:
        """Give the next block (channels, n); the one before comes back, or nothing yet."""
        allowed = self._allowed(block)
        out = self._release(allowed)
        self._held, self._wanted = block, allowed
        return out

    def flush(self) -> Samples:
        """The last block."""
        out = self._release(1.0)
        self._held = None
        return out

    @staticmethod
    def _allowed(block: Samples) -> float:
        peak = float(np.abs(block).max(initial=0.0))
        return 1.0 if peak <= 1.0 else 1.0 / peak

    def _release(self, following: float) -> Samples:
        block = self._held
        if block is None:
            return np.zeros((0, 0), np.float32)
        recovered = self._gain * 2.0 ** (block.shape[1] / self._rate)
        end = min(following, self._wanted, max(recovered, 0.0))
        start = min(self._gain, self._wanted)
        self._gain = end
        self.lowest = min(self.lowest, end)
        if start == end == 1.0:
            return block
        ramp = np.linspace(start, end, block.shape[1], endpoint=True, dtype=np.float32)
        out: Samples = block * ramp
        return out
