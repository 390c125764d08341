"""Lip motion by a frozen speech encoder while the speech goes on.

Offline (:mod:`lipwright.methods.encoded_speech`) the encoder sees windows of 20 s and the networks
on top of it five frames or more behind a frame. Here the encoder sees the last ``PAST`` and the
next ``FUTURE`` columns around a frame, and what lies behind them is taken to be like the last one,
as at the end of a recording. The floor below the loudest value, which the encoder takes from its
window, follows the loudest value of the last 20 s instead, as it would offline.

What that costs in accuracy: docs/live.md, by ``benchmarks/live_speech.py``.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lipwright.media.mel import HOP, SAMPLE_RATE, column_at
from lipwright.media.whisper_mel import LOG_SILENCE, N_FFT, whisper_log_power
from lipwright.methods.encoded_speech import Array, Run
from lipwright.methods.speech_stream import EDGE, KEEP_SECONDS, SpeechStream
from lipwright.recording_windows import COLUMNS_PER_FEATURE, FEATURES_PER_FRAME, WINDOW

PAST = 280
"""Spectrogram columns (10 ms) before a frame that the encoder sees."""
FUTURE = 19
"""Columns from the frame's own one on."""
DYNAMIC_RANGE = 8.0
"""Powers of ten below the loudest value at which the encoder's floor lies."""


class EncodedSpeechStream(SpeechStream):
    """See the module.

    Args:
        encoder: (1, 80, t) log power -> (1, C, t / 2) features.
        members: (1, 2 C, 1 + 2 layers) features by frame -> (1, 1, K).
        layers: frames of context that the networks see on either side.
        past: see ``PAST``.
        future: see ``FUTURE``.
    """

    def __init__(
        self, encoder: Run, members: Run, layers: int, past: int = PAST, future: int = FUTURE
    ) -> None:
        super().__init__()
        self._encoder, self._members, self._layers = encoder, members, layers
        self._past, self._future = past, future
        self._columns = np.full((80, past + future), LOG_SILENCE, np.float32)
        self._end = 0  # column behind the newest one
        self._loudest = np.full(WINDOW, LOG_SILENCE, np.float32)
        self.look_ahead = HOP * (future - 1) + N_FFT // 2

    def audio(self, time: Fraction) -> Array:
        """(K,) motion of the lips."""
        column = column_at(time)
        self._follow(column + self._future)
        window = np.maximum(self._columns, self._loudest.max() - np.float32(DYNAMIC_RANGE))
        (found,) = self._encoder(window[None])
        features = found[0]
        place = self._past // COLUMNS_PER_FEATURE
        wanted = np.arange(
            place - FEATURES_PER_FRAME * self._layers,
            place + FEATURES_PER_FRAME * (self._layers + 1),
        )
        around = features[:, wanted.clip(0, features.shape[1] - 1)]
        pairs = around.reshape(len(features), -1, FEATURES_PER_FRAME)
        by_frame = pairs.transpose(2, 0, 1).reshape(FEATURES_PER_FRAME * len(features), -1)
        (motion,) = self._members(by_frame[None])
        return np.ascontiguousarray(motion[0, 0])

    def _follow(self, end: int) -> None:
        """Take in the spectrogram up to column ``end - 1``."""
        with self._lock:  # nothing becomes too old in between
            oldest = (self.received - KEEP_SECONDS * SAMPLE_RATE) // HOP + EDGE + 1
            first = max(self._end, oldest)
            count = end - first
            if count <= 0:
                return
            wave = self.part(HOP * (first - EDGE), HOP * (end - 1) + N_FFT // 2)
        fresh = whisper_log_power(wave)[:, EDGE : EDGE + count]
        width = self._columns.shape[1]
        self._columns = np.concatenate([self._columns, fresh], axis=1)[:, -width:]
        loudest = np.concatenate([self._loudest, fresh.max(axis=0)])
        self._loudest = loudest[-WINDOW:]
        self._end = end
