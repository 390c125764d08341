"""The speech features of a recording that goes on, with a bounded look-ahead.

:meth:`~lipwright.methods.base.Method.speech_features` takes a whole recording. Live, there is only
what was said so far; a frame is drawn as soon as ``look_ahead`` samples behind its own time have
come in. Windows of mel or MFCC columns are those of the whole recording exactly, for they look
no further. A method on features of whole recordings (``info.whole_speech``) is given the last
seconds as if they were one; its numbers differ from those of the whole recording by what the later
speech would have changed.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipwright.media.mel import HOP, SAMPLE_RATE, AudioSpec, column_at
from lipwright.media.rolling import RollingSound

Array = NDArray[np.float32]

EDGE = 8
"""Columns beside those that are wanted, so that the edge of a piece of sound is not in them."""
REACH = 400
"""Samples beyond the middle of a column that the longest transform (50 ms) sees."""
PAST_SECONDS = 3
"""So much speech before a frame goes into the features of a method with ``info.whole_speech``."""
FUTURE_COLUMNS = 20
"""So many columns (10 ms) behind a frame's own one it sees."""
KEEP_SECONDS = 8
"""Sound that is kept: a frame may be asked for so much later than it could have been."""


class SpeechStream(ABC):
    """Speech that goes on. One thread may feed it while another one asks what a frame hears.

    Attributes:
        look_ahead: samples at 16 kHz behind a frame's time that have to come in first.
    """

    look_ahead: int

    def __init__(self) -> None:
        self._sound = RollingSound(KEEP_SECONDS * SAMPLE_RATE)
        self._lock = threading.RLock()

    def feed(self, wave: Array) -> None:
        """Take the (n,) float32 samples at 16 kHz that follow; any number of them."""
        finite = np.nan_to_num(wave, nan=0.0, posinf=1.0, neginf=-1.0)
        with self._lock:
            self._sound.append(finite)

    def ready(self, time: Fraction) -> bool:
        """Whether enough has come in for a frame."""
        return self.received >= HOP * column_at(time) + self.look_ahead

    @property
    def received(self) -> int:
        """Samples so far."""
        with self._lock:
            return self._sound.received

    def part(self, first: int, last: int) -> Array:
        """Samples ``first`` to ``last - 1``, see ``RollingSound.part``."""
        with self._lock:
            return self._sound.part(first, last)

    @abstractmethod
    def audio(self, time: Fraction) -> Array:
        """The speech features of a frame, as ``Method.render`` takes them, less the leading 1.

        Args:
            time: of the frame, seconds from the first sample on. Times grow.
        """


class ColumnWindows(SpeechStream):
    """Windows of features each of whose columns depends on nothing but the sound around it.

    Args:
        features: (n,) samples -> (C, 1 + n // 160).
        spec: the window.
    """

    def __init__(self, features: Callable[[Array], Array], spec: AudioSpec) -> None:
        super().__init__()
        self._features, self._spec = features, spec
        self.look_ahead = max(0, spec.steps - spec.before - 1) * HOP + REACH

    def audio(self, time: Fraction) -> Array:
        """(C, steps)."""
        first = column_at(time) - self._spec.before
        last = first + self._spec.steps
        begin = max(0, first - EDGE)  # the recording's own beginning is an edge, too
        wave = self.part(HOP * begin, HOP * (max(last, begin + 1) - 1) + REACH)
        found = self._features(wave)
        lacking = max(0, begin - first)
        window = found[:, max(0, first - begin) : last - begin]
        return np.pad(window, ((0, 0), (lacking, 0)), constant_values=float(_silence(self._spec)))


class LastSeconds(SpeechStream):
    """The last seconds as if they were the whole recording.

    Args:
        features: (n,) samples -> (K, 1 + n // 160).
    """

    def __init__(self, features: Callable[[Array], Array]) -> None:
        super().__init__()
        self._features = features
        self.look_ahead = HOP * FUTURE_COLUMNS

    def audio(self, time: Fraction) -> Array:
        """(K,)."""
        column, past = column_at(time), 100 * PAST_SECONDS
        wave = self.part(HOP * (column - past), HOP * (column + FUTURE_COLUMNS))
        return np.ascontiguousarray(self._features(wave)[:, past])


def _silence(spec: AudioSpec) -> float:
    from lipwright.media.features import WhisperSpec
    from lipwright.media.mel import SILENCE
    from lipwright.media.whisper_mel import LOG_SILENCE

    return LOG_SILENCE if isinstance(spec, WhisperSpec) else SILENCE
