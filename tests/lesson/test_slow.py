"""Slow versions: the same pictures, longer; the same pitch."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipwright.lesson.slow import slow_down, stretched
from lipwright.media.audio import load_speech

RATE = 48_000


def tone(seconds: float, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(
        np.float32
    )


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of B-frames at 30000/1001 with a tone in its middle."""
    path = tmp_path / "clip.mp4"
    sound = np.concatenate([np.zeros(RATE // 4), tone(0.5), np.zeros(RATE // 4)]).astype(np.float32)
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=Fraction(30_000, 1001), options={"bf": "3"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = file.add_stream("aac", rate=RATE, layout="mono")
        for number in range(30):
            picture = np.full((48, 64, 3), 8 * number, np.uint8)
            file.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(video.encode())
        for start in range(0, sound.size, 1024):
            frame = av.AudioFrame.from_ndarray(
                sound[None, start : start + 1024], format="flt", layout="mono"
            )
            frame.sample_rate, frame.pts = RATE, start
            file.mux(audio.encode(frame))
        file.mux(audio.encode())
    return path


def frames(path: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [
            *("ffprobe", "-v", "error", "-select_streams", "v", "-of", "json"),
            *("-show_entries", "frame=pts_time,duration_time", str(path)),
        ],
        capture_output=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)["frames"]
    return found


def pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray().tobytes() for frame in file.decode(video=0)]


@pytest.mark.parametrize("speed", [Fraction(1, 2), Fraction(3, 4), Fraction(3, 10)])
def test_pictures_are_the_same_and_last_longer(clip: Path, tmp_path: Path, speed: Fraction) -> None:
    slow = tmp_path / "slow.mp4"
    slow_down(clip, slow, speed)
    assert pictures(slow) == pictures(clip)
    for before, after in zip(frames(clip), frames(slow), strict=True):
        stretched_time = float(before["pts_time"]) / float(speed)
        assert float(after["pts_time"]) == pytest.approx(stretched_time, abs=2e-5)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("speed", [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(9, 10)])
def test_sound_stays_with_its_pictures(rate: int, speed: Fraction) -> None:
    """A burst at t comes at t / speed, to within 10 ms of the clip: a quarter of a frame.

    libavfilter's atempo alone is ahead by 16 to 27 ms of the clip, and twice that in two filters.
    """
    chance = np.random.default_rng(3)
    wave, length = np.zeros(4 * rate, np.float32), rate // 50
    begins = 0.3 * np.arange(1, 12) + chance.uniform(0, 0.05, 11)
    for begin in begins:
        first = round(begin * rate)
        wave[first : first + length] = 0.3 * chance.standard_normal(length) * np.hanning(length)
    power = stretched(wave, rate, speed).astype(float) ** 2
    early = []
    for begin in begins:
        due = (begin + 0.01) / float(speed) * rate
        reach = round(0.12 / float(speed) * rate)
        where = np.arange(max(0, round(due) - reach), min(power.size, round(due) + reach))
        centre = (where * power[where]).sum() / power[where].sum()
        early.append((centre - due) / rate * float(speed))
    assert abs(np.mean(early)) < 0.01


def test_the_sound_goes_along_at_its_own_pitch(clip: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.mp4"
    slow_down(clip, slow, Fraction(1, 2))
    wave = load_speech(slow)
    loud = np.flatnonzero(np.convolve(np.abs(wave), np.ones(160) / 160, "same") > 0.1)
    assert loud[0] / 16_000 == pytest.approx(0.5, abs=0.04)
    assert loud[-1] / 16_000 == pytest.approx(1.5, abs=0.04)
    spectrum = np.abs(np.fft.rfft(wave[12_000:20_000]))
    assert spectrum.argmax() * 2 == pytest.approx(440, abs=4)


@pytest.mark.parametrize("speed", [Fraction(1, 4), Fraction(2, 3), Fraction(1)])
def test_stretched_sound_has_the_length_asked_for(speed: Fraction) -> None:
    made = stretched(tone(0.7), RATE, speed)
    assert made.size == round(round(0.7 * RATE) / speed)
    assert np.abs(made[-made.size // 10 :]).max() > 0.3  # up to its end


def test_speeds_out_of_range_are_refused(clip: Path, tmp_path: Path) -> None:
    for speed in (Fraction(1, 5), Fraction(3, 2)):
        with pytest.raises(ValueError, match="speed"):
            slow_down(clip, tmp_path / "slow.mp4", speed)
