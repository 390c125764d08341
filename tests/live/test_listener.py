"""Level, pauses and resampling while the sound goes on."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import pytest

from lipwright.live.listener import Listener
from lipwright.media import voice_activity
from lipwright.media.mel import mel_spectrogram, windows
from lipwright.media.sound import Sound
from tests.dubbing.test_job import Talker


def syllables(seconds: float, rate: int = 16_000, level: float = 0.15) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * 130 * h * t + h) / h for h in range(1, 15))
    return (level * voice * np.clip(np.sin(2 * np.pi * 4 * t), 0.05, 1)).astype(np.float32)


def fed(wave: np.ndarray, piece: int, rate: int = 16_000, channels: int = 1) -> Listener:
    listener = Listener(Talker())
    names = ("FC",) if channels == 1 else ("FL", "FR")
    for first in range(0, wave.size, piece):
        part = np.repeat(wave[None, first : first + piece], channels, axis=0)
        listener.feed(Sound(np.ascontiguousarray(part), rate, names, None))
    return listener


def test_how_the_sound_is_cut_changes_nothing() -> None:
    wave = np.concatenate([syllables(2.0), np.zeros(8_000, np.float32), syllables(1.0)])
    times = [Fraction(k, 25) for k in range(0, 80)]
    one, other = fed(wave, 320), fed(wave, 977)
    for time in times:
        assert one.activity(time) == other.activity(time)
        assert np.array_equal(one.audio(time), other.audio(time))


def test_what_is_found_ahead_is_what_the_frame_hears() -> None:
    """Also where the frame after was skipped, and while more sound comes."""
    wave = syllables(3.0)
    plain, ahead = fed(wave, 320), fed(wave[:24_000], 320)
    rest = np.ascontiguousarray(wave[None, 24_000:])
    for k in (0, 1, 2, 3, 5, 6, 9, 30, 31, 40, 60):
        time = Fraction(k, 25)
        if k == 6:
            ahead.feed(Sound(rest, 16_000, ("FC",), None))
        assert np.array_equal(plain.audio(time), ahead.audio(time, time + Fraction(1, 25)))
    ahead.close()


def test_a_frame_is_listened_to_as_soon_as_its_sound_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On another thread, while the one before is still being drawn."""
    listener, done = fed(syllables(1.0), 320), threading.Event()
    calm, heard = listener._stream.audio, []

    def audio(time: Fraction) -> np.ndarray:
        heard.append((time, threading.current_thread() is threading.main_thread()))
        found = calm(time)
        if time == 1:
            done.set()
        return found

    monkeypatch.setattr(listener._stream, "audio", audio)
    listener.audio(Fraction(1, 2), Fraction(1))
    assert not listener.ready(Fraction(1))
    piece = Sound(np.zeros((1, 4_000), np.float32), 16_000, ("FC",), None)
    listener.feed(piece)
    assert done.wait(30.0)
    listener.audio(Fraction(1))
    assert heard == [(Fraction(1, 2), False), (Fraction(1), False)]  # and once only
    listener.close()
    listener.feed(piece)  # after the end, nothing is listened to


def test_what_goes_wrong_ahead_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = fed(syllables(2.0), 320)
    calm = listener._stream.audio
    monkeypatch.setattr(listener._stream, "audio", lambda time: calm(time) if time < 1 else 1 / 0)
    listener.audio(Fraction(24, 25), Fraction(1))
    with pytest.raises(ZeroDivisionError):
        listener.audio(Fraction(1))
    listener.close()


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (44_100, 1)])
def test_other_rates_are_heard_in_step(rate: int, channels: int) -> None:
    """A click at 1 s is heard at 1 s, and soon: what the resampler holds back is bounded."""
    wave = np.zeros(2 * rate, np.float32)
    wave[rate] = 1.0
    listener = fed(wave, rate // 50, rate, channels)
    assert float(listener.received) > 2.0 - 0.005
    # A window of the spectrogram is 50 ms wide: frames at 0.96 and 1.04 s see it alike.
    bright = [float(listener.audio(Fraction(k, 100))[:, 8].mean()) for k in range(90, 111)]
    centre = np.average(np.arange(90, 111), weights=np.array(bright) + 4.0)
    assert centre == pytest.approx(100.0, abs=0.3)


def test_pauses_are_those_of_the_whole_recording_once_they_are_known() -> None:
    pause = 1e-4 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    wave = np.concatenate([syllables(3.0), pause, syllables(3.0), pause])
    listener = fed(wave, 320)
    whole = voice_activity.detect(wave, 16_000)
    times = [Fraction(k, 25) for k in range(60, 190)]
    found = np.array([listener.activity(t) for t in times])
    expected = whole.activity(times)
    # Speech begins again at 4 s; a tenth of a second of it has to be heard to be believed.
    onset = np.array([3.8 < t < 4.2 for t in times])
    assert np.abs(found - expected)[~onset].max() < 0.05
    assert expected[~onset].min() < 0.05
    assert found[onset].max() == 1.0


def test_activity_never_jumps() -> None:
    wave = np.concatenate([np.zeros(16_000, np.float32), syllables(2.0)])
    listener = fed(wave, 320)
    found = np.array([listener.activity(Fraction(k, 25)) for k in range(70)])
    assert found[:15].max() == 0.0
    assert found[40:].min() > 0.9
    assert np.abs(np.diff(found)).max() <= 1.5 * 0.04 / voice_activity.RAMP_SECONDS + 1e-6


def test_a_click_in_a_pause_moves_a_mouth_for_two_frames_at_most() -> None:
    wave = np.concatenate([syllables(2.0), np.zeros(24_000, np.float32), syllables(0.5)])
    times = [Fraction(k, 25) for k in range(60, 82)]
    for place in range(40_000, 40_640, 80):  # any place between two frames
        clicked = wave.copy()
        clicked[place : place + 80] = 0.5
        listener = fed(clicked, 320)
        found = np.array([listener.activity(time) for time in times])
        assert np.count_nonzero(found) <= 3
        assert found.sum() <= 1.0
        listener.close()


def test_speech_after_a_pause_is_believed_before_its_sound() -> None:
    pause = np.zeros(24_000, np.float32)
    wave = np.concatenate([syllables(2.0), pause, syllables(1.0)])
    whole = voice_activity.detect(wave, 16_000, lead=0.0)
    assert whole.starts.size == 2
    listener = fed(wave, 320)
    found = {k / 25: listener.activity(Fraction(k, 25)) for k in range(100)}
    assert max(found[k / 25] for k in range(60, 82)) == 0.0
    # The look-ahead of this method is 135 ms.
    assert min(value for time, value in found.items() if time >= whole.starts[1]) >= 0.5
    listener.close()


def test_soft_speech_is_raised_for_the_mouth() -> None:
    soft = syllables(6.0, level=0.0008)
    expected = voice_activity.speech_gain(voice_activity.band_level(soft, 16_000))
    assert expected > 10.0
    listener = fed(soft, 320)
    raised = soft * np.float32(10.0 ** (expected / 20.0))
    spectrum = windows(mel_spectrogram(raised), [Fraction(5)], Talker().info.audio)[0]
    heard = listener.audio(Fraction(5))
    assert np.abs(heard - spectrum).mean() < 0.05  # a decibel is 0.08
