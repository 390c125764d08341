from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipwright.media import voice_activity

RATE = 16000


def talk(seconds: float, seed: int = 0) -> np.ndarray:
    """Voiced syllables at 4 per second with closures between: a stand-in for speech."""
    t = np.arange(int(seconds * RATE)) / RATE
    rng = np.random.default_rng(seed)
    voice = sum(np.sin(2 * np.pi * 130 * h * t + rng.uniform(0, 6)) / h for h in range(1, 20))
    envelope = np.clip(np.sin(2 * np.pi * 4 * t), 0.02, 1)
    return (0.1 * voice * envelope).astype(np.float32)


def noise(seconds: float, rms: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rms * rng.standard_normal(int(seconds * RATE))).astype(np.float32)


def zeros(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), dtype=np.float32)


def test_level_of_a_sine_and_of_hum() -> None:
    t = np.arange(RATE) / RATE
    level = voice_activity.band_level(np.sin(2 * np.pi * 1000 * t).astype(np.float32), RATE)
    assert level.size == 101
    assert level[10:90] == pytest.approx(-3.0, abs=0.2)
    hum = voice_activity.band_level(np.sin(2 * np.pi * 50 * t).astype(np.float32), RATE)
    assert hum[10:90].max() < -25.0


@pytest.mark.parametrize("background", [0.0, 0.0003, 0.003, 0.01])
def test_pause_is_found_in_any_room(background: float) -> None:
    wave = np.concatenate([talk(2), zeros(1.5), talk(2, 2)])
    wave = wave + noise(wave.size / RATE, background)
    found = voice_activity.detect(wave, RATE)
    assert found.starts.size == 2
    assert (
        1.875 <= found.ends[0] - voice_activity.HANG_SECONDS <= 2.1
    )  # the last syllable fades at 1.875 s
    assert found.starts[1] == pytest.approx(3.5 - voice_activity.LEAD_SECONDS, abs=0.1)
    active = found.activity([0.5, 1.0, 1.5, 2.75, 4.0, 5.0])
    assert active.tolist() == [1, 1, 1, 0, 1, 1]


def test_smooth_entry_and_exit() -> None:
    found = voice_activity.SilenceGate(np.array([1.0, 3.0]), np.array([2.0, 4.0]))
    times = [Fraction(k, 100) for k in range(500)]
    activity = found.activity(times)
    assert activity[100:201].min() == 1
    assert activity[(100 - 12)] == 0
    assert activity[(200 + 12)] == 0
    assert activity[200 + 6] == pytest.approx(0.5)
    assert activity[300 - 6] == pytest.approx(0.5)
    assert np.abs(np.diff(activity)).max() < 0.14  # no jump
    assert activity[250] == 0


def test_silence_is_silent_and_endless_sound_is_not_cut() -> None:
    assert voice_activity.detect(zeros(2), RATE).starts.size == 0
    assert voice_activity.detect(zeros(2), RATE).activity([1.0]).tolist() == [0.0]
    assert voice_activity.detect(noise(2, 1e-5), RATE).starts.size == 0
    endless = voice_activity.detect(talk(4), RATE)
    assert endless.starts.size == 1
    assert endless.activity(np.linspace(0.05, 3.95, 50).tolist()).min() == 1


def test_click_is_no_speech() -> None:
    wave = np.concatenate([talk(2), zeros(3)]) + noise(5, 0.0005)
    wave[int(3.5 * RATE) : int(3.5 * RATE) + 160] += 0.3
    assert voice_activity.detect(wave, RATE).activity([3.5])[0] == 0


def test_speech_that_has_just_begun_is_believed_while_sound_goes_on() -> None:
    level = np.full(300, -90.0)
    level[:150] = -20.0
    level[200:206] = -20.0  # 60 ms
    for end, whole, going_on in ((206, 1, 2), (204, 1, 1), (240, 1, 1)):
        known = level[:end]
        assert voice_activity.detect_in(known).starts.size == whole
        assert voice_activity.detect_in(known, goes_on=True).starts.size == going_on


def test_short_and_empty_recordings() -> None:
    assert voice_activity.detect(np.zeros(0, np.float32), RATE).starts.size == 0
    assert voice_activity.detect(np.ones(1, np.float32), RATE).activity([0.0]).shape == (1,)
    assert voice_activity.detect(talk(0.3), RATE).activity([0.1])[0] == 1


def test_intervals_do_not_touch() -> None:
    gaps = (0.2, 0.3, 0.4, 0.6)
    wave = np.concatenate([part for gap in gaps for part in (talk(0.25), zeros(gap))])
    found = voice_activity.detect(wave, RATE)
    assert (found.starts < found.ends).all()
    assert (found.ends[:-1] < found.starts[1:]).all()


def test_a_longer_lead_frees_the_breath_before_speech_and_short_pauses_only() -> None:
    wave = np.concatenate([zeros(1.5), talk(2), zeros(1.5), talk(2, 2), zeros(0.4), talk(2, 3)])
    usual = voice_activity.detect(wave, RATE)
    early = voice_activity.detect(wave, RATE, voice_activity.BREATH_SECONDS)
    sooner = voice_activity.BREATH_SECONDS - voice_activity.LEAD_SECONDS
    assert early.starts[:2] == pytest.approx(usual.starts[:2] - sooner)
    assert early.ends[-1] == usual.ends[-1]
    pause = (usual.ends[0] + usual.starts[1]) / 2
    assert early.activity([0.5, pause]).tolist() == [0, 0]
    assert early.activity([1.2])[0] == 1 > usual.activity([1.2])[0]
    assert usual.starts.size == 3  # a pause that the lead and the hang fill is none
    assert early.starts.size == 2


def test_only_what_hears_whole_recordings_hears_breath() -> None:
    assert voice_activity.lead_of(True) == voice_activity.BREATH_SECONDS
    assert voice_activity.lead_of(False) == voice_activity.LEAD_SECONDS
