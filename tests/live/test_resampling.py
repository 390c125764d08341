"""Sound from any rate to 16 kHz while it goes on."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.live.resampling import LowDelayResampler

RATES = [8_000, 22_050, 44_100, 48_000]


def fed(wave: np.ndarray, rate: int, piece: int) -> tuple[np.ndarray, float]:
    """What came out, and the most seconds that were held back after any piece."""
    resampler = LowDelayResampler(rate)
    parts, lag = [], 0.0
    for first in range(0, wave.size, piece):
        parts.append(resampler.feed(wave[first : first + piece]))
        given = min(first + piece, wave.size)
        lag = max(lag, given / rate - sum(part.size for part in parts) / 16_000)
    return np.concatenate([*parts, resampler.end()]), lag


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_place_and_is_held_back_by_2_ms_at_most(rate: int) -> None:
    seconds = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 1_000 * seconds).astype(np.float32)
    found, lag = fed(tone, rate, rate // 50)
    assert lag <= 0.002 + 1 / 16_000
    assert abs(found.size - 16_000) <= 1
    expected = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    middle = slice(200, 15_800)
    assert np.abs(found[middle] - expected[middle]).max() < 0.01


def test_what_16_khz_cannot_hold_is_taken_away_and_speech_is_not() -> None:
    seconds = np.arange(48_000) / 48_000
    for tone, least, most in ((7_000, 0.9, 1.01), (10_000, 0.0, 0.001)):
        wave = np.sin(2 * np.pi * tone * seconds).astype(np.float32)
        found, _ = fed(wave, 48_000, 960)
        assert least <= np.sqrt(2 * np.square(found[200:15_800]).mean()) <= most


def test_how_the_sound_is_cut_changes_nothing_and_silence_stays_silent() -> None:
    wave = 0.1 * np.random.default_rng(0).standard_normal(22_050).astype(np.float32)
    assert np.array_equal(fed(wave, 22_050, 441)[0], fed(wave, 22_050, 1_000)[0])
    silent, _ = fed(np.zeros(48_000, np.float32), 48_000, 960)
    assert not silent.any()
