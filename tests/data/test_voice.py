"""The voice detector on made sounds whose speech is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lipwright.data.voice import speech_intervals

RATE = 16_000


def voice(seconds: float, pitch: float = 140.0, syllables: float = 4.0) -> NDArray[np.float32]:
    """A buzz with harmonics that comes and goes by syllables."""
    t = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 12))
    return np.asarray(0.1 * buzz * np.sin(np.pi * syllables * t) ** 2, np.float32)


def covered(intervals: list[tuple[float, float]], start: float, end: float) -> float:
    return sum(max(0.0, min(b, end) - max(a, start)) for a, b in intervals) / (end - start)


def test_speech_between_pauses() -> None:
    hush = 0.001 * np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    found = speech_intervals(np.concatenate([hush, voice(3.0), hush]))
    assert covered(found, 2.1, 4.9) > 0.95
    assert covered(found, 0.0, 1.7) == 0.0
    assert covered(found, 5.3, 7.0) == 0.0
    assert all(a < b for a, b in found)
    assert all(b <= c for (_, b), (c, _) in pairwise(found))


def test_neither_noise_nor_a_held_tone_nor_silence_is_speech() -> None:
    t = np.arange(3 * RATE) / RATE
    noise = np.random.default_rng(1).standard_normal(t.size)
    assert speech_intervals((0.2 * noise).astype(np.float32)) == []
    assert speech_intervals((0.3 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)) == []
    assert speech_intervals(np.zeros(t.size, np.float32)) == []
    assert speech_intervals(np.zeros(0, np.float32)) == []


def test_noise_that_comes_and_goes_is_no_speech() -> None:
    t = np.arange(3 * RATE) / RATE
    noise = np.random.default_rng(2).standard_normal(t.size) * np.sin(np.pi * 3 * t) ** 2
    assert speech_intervals((0.2 * noise).astype(np.float32)) == []


def test_level_does_not_matter() -> None:
    loud = speech_intervals(voice(2.0))
    quiet = speech_intervals(voice(2.0) * 0.05)
    assert covered(quiet, 0.1, 1.9) > 0.9
    assert abs(covered(loud, 0, 2) - covered(quiet, 0, 2)) < 0.05
