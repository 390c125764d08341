"""Voice activity: where somebody speaks, so that the mouth can rest elsewhere.

The one detector of speech against silence. Two neighbours ask something else: ``data/voice.py``
whether a sound is speech at all or music, for a corpus; ``evaluation/metrics/silence.py`` has the
fixed definition of silence of a published number.

Lip-sync networks answer room noise with a quivering mouth. The gate finds the speech by its energy
and tells, for any instant, how much of it is to be heard (1 in speech, 0 in silence, a smooth step
of 120 ms between). The render then fades the mel window of a silent frame to digital silence, the
one input for which every method has learnt a closed mouth.

The threshold follows the recording: it lies between the level of its pauses and its loud parts.
Pauses are judged on a 200 ms average, which the short closures inside words never pull down; a
recording that has no pause at all is therefore taken as speech throughout, not cut to pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipwright.geometry import smoothstep
from lipwright.media.mel import zero_padded
from lipwright.media.stored_sound import release
from lipwright.runs import runs_of

HOP_SECONDS = 0.010
WINDOW_SECONDS = 0.025
BAND_HZ = (150.0, 4000.0)
"""Where speech has its energy; keeps mains hum and hiss out of the measure."""

DIGITAL_SILENCE_DB = -80.0
"""Levels below this (dB of full scale) are silence whatever the rest of the recording is."""

ROOM_DB = -50.0
STEADY_DB = 6.0
"""A recording whose loud parts lie below the first, and exceed its soft parts (5 % of the 10 ms
steps) by less than the second, is the noise of a room: speech has closures and vowels."""

QUIET_DB, LOUD_DB = -36.0, -6.0
"""Loud parts of speech (95 % of the 10 ms steps) lie between these; a recording beyond is brought
to the nearer one for the mouth ..."""
MOST_GAIN_DB = 44.0
"""... by no more than this."""

MIN_CONTRAST_DB = 12.0
"""If loud parts exceed pauses by less than this, there are no pauses: all of it is speech."""

CLEANED_SHARE = 0.1
CLEANED_CONTRAST_DB = 20.0
"""Where this share is digital silence and the rest has less contrast than this, somebody has
zeroed the pauses already: the quietest parts left are speech."""

FLOOR_MARGIN_DB = 4.0
FLOOR_SHARE = 0.3
"""The threshold is this share of the way from the pauses to the loud parts, in dB ..."""
PEAK_REACH_DB = 38.0
"""... but no lower than this much under the loud parts (weak consonants are about 30 dB under)."""

HYSTERESIS_DB = 3.0
MIN_SPEECH_SECONDS = 0.100
"""A click, smeared over the 25 ms window and the 50 ms average, lasts less than this."""
NEW_SPEECH_SECONDS = 0.050
"""Where sound goes on, what has lasted so long is believed already: speech opens a mouth 50 ms
sooner, and a click may move it for two frames."""
MIN_SILENCE_SECONDS = 0.250
LEAD_SECONDS = 0.080
"""Lips part before the sound begins ..."""
BREATH_SECONDS = 0.400
"""... and people breathe in before that: a speech network that hears the breath says how the mouth
opens, so where a whole recording is known, mouths are free so long before the sound."""
HANG_SECONDS = 0.160
RAMP_SECONDS = 0.120


@dataclass(frozen=True)
class SilenceGate:
    """Intervals of speech.

    Attributes:
        starts: (n,) seconds, increasing.
        ends: (n,) seconds, ``starts[i] < ends[i] < starts[i + 1]``.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]

    def activity(
        self, times: Sequence[Fraction] | Sequence[float] | NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """How much speech there is at each instant.

        Args:
            times: seconds from the start of the speech.

        Returns:
            (len(times),) in [0, 1]: 1 inside an interval, falling smoothly to 0 within 120 ms.
        """
        t = np.asarray(times, dtype=np.float64)
        if not self.starts.size:
            return np.zeros(t.shape, dtype=np.float32)
        # distance to the last interval that began before t, and to the first that begins after
        before = np.searchsorted(self.starts, t, side="right") - 1
        past = np.where(before >= 0, t - self.ends[np.maximum(before, 0)], np.inf)
        after = np.minimum(before + 1, self.starts.size - 1)
        ahead = np.where(before + 1 < self.starts.size, self.starts[after] - t, np.inf)
        distance = np.maximum(0.0, np.minimum(past, ahead))
        step = np.clip(1.0 - distance / RAMP_SECONDS, 0.0, 1.0)
        return np.asarray(smoothstep(step), dtype=np.float32)


def speech_gain(level: NDArray[np.float64]) -> float:
    """Decibels by which a recording is to be raised before a method listens to it.

    Networks know speech at the levels of their training; 45 dB softer, they move the mouth a third
    as far. Recordings of usual level, and such without speech, are left alone (0).

    Args:
        level: as :func:`band_level` gives it.
    """
    audible = level > DIGITAL_SILENCE_DB
    if not audible.any() or _is_room(level[audible]):
        return 0.0
    peak = float(np.percentile(level[audible], 95))
    if peak > LOUD_DB:
        return LOUD_DB - peak
    return min(max(0.0, QUIET_DB - peak), MOST_GAIN_DB)


def _is_room(audible: NDArray[np.float64]) -> bool:
    """Whether levels are those of steady noise, too soft to be anything that was meant."""
    soft, loud = np.percentile(audible, (5, 95))
    return bool(loud < ROOM_DB and loud - soft < STEADY_DB)


def lead_of(whole_speech: bool) -> float:
    """Seconds before its sound from which a mouth is free, by whether its method hears the whole
    recording or windows of it, which say nothing of breath.
    """
    return BREATH_SECONDS if whole_speech else LEAD_SECONDS


def detect(wave: NDArray[np.float32], sample_rate: int, lead: float = LEAD_SECONDS) -> SilenceGate:
    """Find the speech in a recording.

    Args:
        wave: (n,) mono samples, full scale is 1.
        sample_rate: samples per second.
        lead: seconds by which an interval begins before its sound.
    """
    return detect_in(band_level(wave, sample_rate), lead)


def detect_in(
    level: NDArray[np.float64], lead: float = LEAD_SECONDS, goes_on: bool = False
) -> SilenceGate:
    """Find the speech by its level, see :func:`band_level`; time 0 is that of the first level.

    Args:
        level: dB of full scale, every 10 ms.
        lead: seconds by which an interval begins before its sound.
        goes_on: more is still to come: speech that reaches the end has only begun, and counts from
            ``NEW_SPEECH_SECONDS`` on.
    """
    steps = runs_of(_decide(level))
    least = np.full(len(steps), round(MIN_SPEECH_SECONDS / HOP_SECONDS))
    if goes_on:
        least[steps[:, 1] == level.size] = round(NEW_SPEECH_SECONDS / HOP_SECONDS)
    runs = steps[steps[:, 1] - steps[:, 0] >= least] * HOP_SECONDS
    merged: list[list[float]] = []
    for start, end in runs:
        # With its lead and hang an interval may touch the next one: no pause is left then.
        closest = max(MIN_SILENCE_SECONDS, lead + HANG_SECONDS)
        if merged and float(start) - (merged[-1][1] - HANG_SECONDS) <= closest:
            merged[-1][1] = float(end) + HANG_SECONDS
        else:
            merged.append([float(start) - lead, float(end) + HANG_SECONDS])
    table = np.asarray(merged, dtype=np.float64).reshape(-1, 2)
    return SilenceGate(table[:, 0].copy(), table[:, 1].copy())


def band_level(wave: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Level in the speech band every 10 ms, in dB of full scale (a full-scale sine has -3 dB).

    Returns:
        (1 + n // hop,) levels, floored at -120 dB; level j is centred on sample ``j * hop``.
    """
    hop = round(sample_rate * HOP_SECONDS)
    size = round(sample_rate * WINDOW_SECONDS)
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    frequency = np.fft.rfftfreq(size, 1.0 / sample_rate)
    inside = (frequency >= BAND_HZ[0]) & (frequency <= BAND_HZ[1])
    count = 1 + wave.size // hop
    scale = 2.0 / (float((window**2).sum()) * size)  # Parseval: mean square of the windowed samples
    power = np.empty(count, dtype=np.float64)
    block = 4096  # bounded memory for hours of speech
    for first in range(0, count, block):
        many = min(block, count - first)
        begin = first * hop - size // 2
        part = zero_padded(wave, begin, begin + (many - 1) * hop + size).astype(np.float32)
        view = np.lib.stride_tricks.sliding_window_view(part, size)[::hop]
        spectrum = np.fft.rfft(view * window, axis=1)
        release(wave)
        power[first : first + many] = (np.abs(spectrum[:, inside]) ** 2).sum(axis=1) * scale
    return np.asarray(10.0 * np.log10(np.maximum(power, 1e-12)))


def _decide(level: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Speech or not, per 10 ms step."""
    audible = level > DIGITAL_SILENCE_DB
    if not audible.any():
        return audible
    if _is_room(level[audible]):
        return np.zeros_like(audible)
    peak = float(np.percentile(level[audible], 95))
    # Pauses: the quietest 200 ms averages, among those that hold no digital silence at all (cut-in
    # zeros say nothing about the room).
    steps = round(0.2 / HOP_SECONDS)
    whole = _moving_mean(audible.astype(np.float64), steps) > 0.999
    average = 10.0 * np.log10(_moving_mean(10.0 ** (level / 10.0), steps))
    floor = float(np.percentile(average[whole], 5)) if whole.any() else DIGITAL_SILENCE_DB
    cleaned = audible.mean() < 1.0 - CLEANED_SHARE and peak - floor < CLEANED_CONTRAST_DB
    if cleaned or peak - floor < MIN_CONTRAST_DB:
        return audible & (level > peak - PEAK_REACH_DB)
    threshold = floor + max(FLOOR_MARGIN_DB, FLOOR_SHARE * (peak - floor))
    threshold = max(threshold, peak - PEAK_REACH_DB, DIGITAL_SILENCE_DB)
    smooth = 10.0 * np.log10(_moving_mean(10.0 ** (level / 10.0), 5))
    above = _hysteresis(smooth, threshold, threshold - HYSTERESIS_DB)
    return np.asarray(above & audible, dtype=np.bool_)


def _hysteresis(level: NDArray[np.float64], on: float, off: float) -> NDArray[np.bool_]:
    """Stretches above ``off`` that reach ``on`` somewhere."""
    out = np.zeros(level.shape, dtype=bool)
    for start, end in runs_of(level > off):
        out[start:end] = level[start:end].max() > on
    return out


def _moving_mean(values: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Centred mean over ``steps`` values, over fewer at the ends."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    index = np.arange(values.size)
    low = np.maximum(index - steps // 2, 0)
    high = np.minimum(index - steps // 2 + steps, values.size)
    # the difference of two large sums can fall below the smallest true value by rounding
    mean = (total[high] - total[low]) / (high - low)
    return np.asarray(np.maximum(mean, float(values.min())))
