"""From sound as it comes to what a frame hears: 16 kHz, a usual level, speech or not.

A dub measures the level of a whole recording and finds its pauses by all of it. Here the same
functions look at the last 20 seconds only. A frame's activity may rise or fall no faster than the
gate's own ramp does, because a threshold that moves with the window would make it jump.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipwright.live.resampling import LowDelayResampler
from lipwright.media import voice_activity
from lipwright.media.audio import mix_down
from lipwright.media.mel import HOP, SAMPLE_RATE, column_at
from lipwright.media.rolling import RollingSound
from lipwright.media.sound import Sound
from lipwright.methods.base import Array, Method

LEAD_SECONDS = 0.120
"""A mouth is free so long before its sound, where the look-ahead tells of it: of 192 ms the level
takes 13, and to believe it takes 50. The 400 ms of a dub would be more delay."""
EDGE = 2
"""Levels before those that are wanted, so that the edge of a piece of sound is not in them."""
REACH = round(SAMPLE_RATE * voice_activity.WINDOW_SECONDS) // 2
"""Samples behind the middle of a step that its level depends on."""
WINDOW_SECONDS = 20
"""So much of the past decides on level and pauses."""
GAIN_SECONDS = 1.0
"""The level is judged so often ..."""
GAIN_STEP_DB = 6.0
"""... and follows by no more than this at once."""
BLOCK = 40
"""Samples that are taken at a time, so that nothing depends on how the sound was cut. Only 2.5 ms:
what is left over waits for the next piece of sound."""
LEAST_SECONDS = 0.4
"""With less sound than this nothing is said about its level."""


class Listener:
    """Hears the sound of a session and tells what each frame hears.

    One thread feeds it, another one asks. The networks that hear run on a third, which takes up a
    frame as soon as its sound is there, whatever the one before is still being drawn.

    Args:
        method: whose features are wanted.
        silence_gate: bring the mouth to rest where nobody speaks.
    """

    def __init__(self, method: Method, silence_gate: bool = True) -> None:
        self._stream = method.speech_stream()
        self._gated = silence_gate
        self._own = RollingSound(2 * SAMPLE_RATE)
        self._levels = np.zeros(0, np.float64)
        self._first = 0  # number of the oldest level
        self._gain = 0.0
        self._judged = -np.inf
        self._waiting = np.zeros(0, np.float32)
        self._converter: LowDelayResampler | None = None
        self._activity: tuple[Fraction, float] | None = None
        self._lock = threading.Lock()
        self._helper = ThreadPoolExecutor(1, "live-listener")
        self._then: Fraction | None = None  # the frame that is listened to next
        self._announced: Fraction | None = None  # the frame that was to be asked for next
        self._ahead: tuple[Fraction, Future[Array]] | None = None
        self._closed = False

    @property
    def look_ahead(self) -> Fraction:
        """Seconds behind a frame's time that have to be heard before it can be drawn."""
        return Fraction(self._stream.look_ahead, SAMPLE_RATE)

    @property
    def received(self) -> Fraction:
        """Seconds of sound at 16 kHz so far."""
        return Fraction(self._own.received, SAMPLE_RATE)

    def feed(self, sound: Sound) -> None:
        """Take the sound that follows, at any rate and with any channels."""
        with self._lock:
            self._take(self._resampled(sound.rate, mix_down(sound)))
            self._begin_ahead()

    def end(self) -> None:
        """No more sound comes: silence follows, so that the last frames can be drawn."""
        with self._lock:
            if self._converter is not None:
                self._take(self._converter.end())
                self._converter = None
            self._take(np.zeros(self._stream.look_ahead + SAMPLE_RATE // 10, np.float32))
            self._begin_ahead()

    def ready(self, time: Fraction) -> bool:
        """Whether enough was heard for the frame at ``time`` (seconds from the first sample)."""
        return self._stream.ready(time)

    def audio(self, time: Fraction, then: Fraction | None = None) -> Array:
        """What the frame hears, see ``SpeechStream.audio``.

        Args:
            time: of the frame; times grow.
            then: of the frame that follows: what it hears is found as soon as its sound is there,
                unless frames are being skipped.
        """
        with self._lock:
            ahead, self._ahead, self._then = self._ahead, None, None
            if ahead is None or ahead[0] != time:
                if ahead is not None:
                    ahead[1].cancel()  # a frame that is left out
                ahead = time, self._helper.submit(self._stream.audio, time)
        heard = ahead[1].result()
        with self._lock:
            # After a skip the next frame is likely to be skipped, too.
            self._then = then if self._announced in (None, time) else None
            self._announced = then
            self._begin_ahead()
        return heard

    def close(self) -> None:
        """Nothing is asked any more; what is still fed is not listened to."""
        with self._lock:
            self._closed = True
        self._helper.shutdown(cancel_futures=True)

    def _begin_ahead(self) -> None:
        """Find what the next frame hears, once its sound is there; the lock is held."""
        then = self._then
        if then is not None and not self._closed and self._stream.ready(then):
            self._ahead, self._then = (then, self._helper.submit(self._stream.audio, then)), None

    def activity(self, time: Fraction) -> float:
        """How much speech there is at a frame, 0 to 1; times grow."""
        if not self._gated:
            return 1.0
        # Not all that was heard: what came while the machine was late must not change the frame.
        count = HOP * column_at(time) + self._stream.look_ahead - REACH
        with self._lock:
            first, levels = self._first, self._levels
        known = levels[: max(1, count // HOP + 1 - first)]
        found = voice_activity.detect_in(known, LEAD_SECONDS, goes_on=True)
        wanted = float(found.activity([float(time - Fraction(first * HOP, SAMPLE_RATE))])[0])
        if self._activity is not None:
            before, value = self._activity
            ramps = max(0.0, float(time - before)) / voice_activity.RAMP_SECONDS
            most = 1.5 * ramps  # a ramp's steepest
            wanted = min(max(wanted, value - most), value + most)
        self._activity = time, wanted
        return wanted

    def _resampled(self, rate: int, mono: NDArray[np.float32]) -> NDArray[np.float32]:
        if rate == SAMPLE_RATE and self._converter is None:
            return mono
        if self._converter is None or rate != self._converter.rate:
            before = self._converter
            self._converter = LowDelayResampler(rate)
            if before is not None:
                return np.concatenate([before.end(), self._converter.feed(mono)])
        return self._converter.feed(mono)

    def _take(self, wave: NDArray[np.float32]) -> None:
        self._waiting = np.concatenate([self._waiting, wave])
        whole = self._waiting.size // BLOCK * BLOCK
        for first in range(0, whole, BLOCK):
            self._take_block(self._waiting[first : first + BLOCK])
        self._waiting = self._waiting[whole:]

    def _take_block(self, wave: NDArray[np.float32]) -> None:
        self._own.append(wave)
        self._measure()
        self._judge()
        factor = np.float32(10.0 ** (self._gain / 20.0))
        self._stream.feed(wave * factor if self._gain else wave)

    def _measure(self) -> None:
        """Levels of all steps of 10 ms whose sound is complete."""
        done = self._first + self._levels.size
        end = max(0, (self._own.received - REACH) // HOP + 1)
        if end <= done:
            return
        wave = self._own.part(HOP * (done - EDGE), HOP * (end - 1) + REACH)
        fresh = voice_activity.band_level(wave, SAMPLE_RATE)[EDGE : EDGE + end - done]
        levels = np.concatenate([self._levels, fresh])
        most = round(WINDOW_SECONDS / voice_activity.HOP_SECONDS)
        self._first += max(0, levels.size - most)
        self._levels = levels[-most:]

    def _judge(self) -> None:
        """Follow the level of the speech, as ``speech_gain`` finds it."""
        seconds = self._own.received / SAMPLE_RATE
        if seconds < LEAST_SECONDS or seconds - self._judged < GAIN_SECONDS:
            return
        wanted = voice_activity.speech_gain(self._levels)
        step = wanted - self._gain
        first = not np.isfinite(self._judged)
        self._judged = seconds
        self._gain += step if first else float(np.clip(step, -GAIN_STEP_DB, GAIN_STEP_DB))
