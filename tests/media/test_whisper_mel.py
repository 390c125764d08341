"""The power spectrogram that Whisper's encoder sees."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lipwright.media.mel import hz_to_mel, mel_to_hz
from lipwright.media.whisper_mel import LOG_SILENCE, whisper_log_power


def by_hand(wave: np.ndarray, column: int) -> np.ndarray:
    """One column, written with numpy alone."""
    padded = np.pad(wave.astype(np.float64), 400)
    part = padded[400 + 160 * column - 200 : 400 + 160 * column + 200]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(part * hann)) ** 2
    high = hz_to_mel(8000.0)
    edges = [mel_to_hz(high * i / 81) for i in range(82)]
    bins = np.arange(201) * 40.0
    out = []
    for a, b, c in zip(edges, edges[1:], edges[2:], strict=False):
        triangle = np.minimum((bins - a) / (b - a), (c - bins) / (c - b)).clip(min=0)
        out.append(2.0 / (c - a) * triangle @ power)
    return np.log10(np.maximum(out, 1e-10))


def test_columns_are_those_written_by_hand() -> None:
    time = np.arange(16_000) / 16_000
    wave = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.05 * np.cos(2 * np.pi * 3000 * time)
    found = whisper_log_power(wave)
    assert found.shape == (80, 101)
    for column in (0, 1, 50, 100):
        assert np.allclose(found[:, column], by_hand(wave, column), atol=2e-3)


def test_twice_the_amplitude_is_four_times_the_power() -> None:
    wave = 0.1 * np.random.default_rng(0).standard_normal(4000)
    difference = whisper_log_power(2 * wave) - whisper_log_power(wave)
    assert np.allclose(difference, math.log10(4), atol=1e-4)


def test_silence_and_nothing() -> None:
    assert np.array_equal(whisper_log_power(np.zeros(320)), np.full((80, 3), LOG_SILENCE))
    assert whisper_log_power(np.zeros(0)).shape == (80, 1)
    with pytest.raises(ValueError, match="mono"):
        whisper_log_power(np.zeros((2, 100)))
