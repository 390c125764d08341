"""Long sound in a file: the same numbers, and pages that can be given back."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.media import stored_sound
from lipwright.media.mel import mel_spectrogram
from lipwright.media.stored_sound import amplify, collect, mapping_of, release
from lipwright.media.voice_activity import band_level
from lipwright.media.whisper_mel import whisper_log_power

WAVE = np.random.default_rng(3).normal(0, 0.1, 50_000).astype(np.float32)


def stored(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(stored_sound, "IN_MEMORY", 10_000)
    return collect(iter(np.split(WAVE, [7_000, 7_000, 20_000])))


def test_short_sound_stays_in_memory() -> None:
    found = collect(iter([WAVE[:5], WAVE[5:9]]))
    assert found.base is None
    np.testing.assert_array_equal(found, WAVE[:9])
    assert collect(iter([])).shape == (0,)


def test_long_sound_lies_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    found = stored(monkeypatch)
    assert mapping_of(found[5:][3:]) is not None
    assert mapping_of(WAVE) is None
    np.testing.assert_array_equal(found, WAVE)
    release(found)
    release(WAVE)  # has no pages to give back
    np.testing.assert_array_equal(found[100:], WAVE[100:])
    amplify(found, 20.0)
    release(found)
    np.testing.assert_allclose(found, 10 * WAVE, rtol=1e-6)


def test_what_is_heard_of_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = stored(monkeypatch)
    np.testing.assert_array_equal(mel_spectrogram(found), mel_spectrogram(WAVE))
    np.testing.assert_array_equal(band_level(found, 16_000), band_level(WAVE, 16_000))
    whole = whisper_log_power(WAVE)
    np.testing.assert_allclose(whisper_log_power(found, (100, 250)), whole[:, 100:250], atol=1e-5)


def test_the_limit_is_asked_before_anything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_sound, "IN_MEMORY", 10_000)
    told: list[int] = []

    def check(size: int) -> None:
        told.append(size)
        if size > 20_000:
            raise ValueError("too long")

    with pytest.raises(ValueError, match="too long"):
        collect(iter(np.split(WAVE, 10)), check)
    assert told == [5_000, 10_000, 15_000, 20_000, 25_000]
