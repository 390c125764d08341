"""The speech of a clip has the resting mouth's silence on both sides."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.lesson.recording import REST, with_rests
from tests.dubbing.clips import write_speech


def test_silence_before_and_after(tmp_path: Path) -> None:
    speech = write_speech(tmp_path / "s.wav", 0.4)
    with wave.open(str(speech)) as file:
        rate, count = file.getframerate(), file.getnframes()
        given = np.frombuffer(file.readframes(count), "<i2")
    assert with_rests(speech, tmp_path / "o.wav") == Fraction(count, rate)
    with wave.open(str(tmp_path / "o.wav")) as file:
        assert file.getframerate() == rate
        made = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    rest = round(REST * rate)
    assert made.size == count + 2 * rest
    assert not made[:rest].any()
    assert not made[-rest:].any()
    assert np.abs(made[rest:-rest].astype(int) - given).max() <= 1


def test_a_file_without_sound_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "s.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
    with pytest.raises(LipwrightError):
        with_rests(tmp_path / "s.wav", tmp_path / "o.wav")
