"""Speech of telephones and dictation: what another program hears, or one true sentence."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.media.audio import SAMPLE_RATE, load_speech
from tests.conftest import write_speech

SECONDS = 1.5


def syllables() -> np.ndarray:
    """(n,) a buzz of 140 Hz and its harmonics, four times a second, as a telephone passes it."""
    time = np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    buzz = sum(np.sin(2 * np.pi * 140 * n * time) / n for n in range(3, 20))
    return np.asarray(0.2 * buzz * (1 - np.cos(2 * np.pi * 4 * time)) / 2, np.float32)


def ffmpeg(*arguments: object) -> bytes:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    command = ["ffmpeg", "-v", "error", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False)
    if b"Unknown encoder" in done.stderr:
        pytest.skip("this ffmpeg has no such encoder")
    assert done.returncode == 0, done.stderr
    return done.stdout


def heard(path: Path) -> np.ndarray:
    """What another program decodes, at 16 kHz."""
    raw = ffmpeg("-i", path, "-f", "f32le", "-ac", "1", "-ar", SAMPLE_RATE, "-")
    return np.frombuffer(raw, np.float32)


def check(path: Path) -> None:
    wave, other = load_speech(path), heard(path)
    assert abs(wave.size - other.size) < 400
    count = min(wave.size, other.size)
    assert np.corrcoef(wave[:count], other[:count])[0, 1] > 0.99
    assert wave[:count].std() == pytest.approx(other[:count].std(), rel=0.02)


@pytest.mark.parametrize(
    ("name", "rate", "options"),
    [
        ("voicemail.wav", 8000, ["-c:a", "libgsm_ms"]),
        ("asterisk.gsm", 8000, ["-c:a", "libgsm"]),
        ("asterisk.g722", 16_000, []),
        ("asterisk.sln", 8000, ["-f", "s16le"]),
        ("call.wav", 8000, ["-c:a", "pcm_alaw"]),
        ("call.au", 8000, ["-c:a", "pcm_mulaw"]),
        ("call.mkv", 8000, ["-c:a", "pcm_mulaw"]),
        ("video call.wav", 8000, ["-c:a", "g723_1", "-b:a", "6300"]),
        ("dictated.ogg", 16_000, ["-c:a", "libspeex"]),
    ],
)
def test_speech_of_telephones(tmp_path: Path, name: str, rate: int, options: list[str]) -> None:
    source = write_speech(tmp_path / "source.wav", audio=syllables()[None])
    path = tmp_path / name
    ffmpeg("-i", source, "-ar", rate, *options, path)
    check(path)
    said = load_speech(path)
    assert said.size / SAMPLE_RATE == pytest.approx(SECONDS, abs=0.05)


@pytest.mark.parametrize("suffix", [".amr", ".3gp"])
@pytest.mark.parametrize(
    ("head", "frame", "length"), [(b"#!AMR\n", b"\x3c", 31), (b"#!AMR-WB\n", b"\x44", 60)]
)
def test_adaptive_multi_rate(
    tmp_path: Path, suffix: str, head: bytes, frame: bytes, length: int
) -> None:
    """Of RFC 4867; any bits of a frame are speech of some kind."""
    noise = np.random.default_rng(7)
    path = tmp_path / "memo.amr"
    path.write_bytes(head + b"".join(frame + noise.bytes(length) for _ in range(75)))
    if suffix != ".amr":
        ffmpeg("-i", path, "-c", "copy", path := path.with_suffix(suffix))
    check(path)
    assert load_speech(path).size == pytest.approx(SECONDS * SAMPLE_RATE, abs=400)


@pytest.mark.parametrize("name", ["my call.ulaw", "call.alaw", "memo.PCM"])
def test_samples_without_a_header_are_told_what_to_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(np.random.default_rng(0).bytes(8000))
    with pytest.raises(LipwrightError, match=r"no header .* ffmpeg -f \w+ -ar \d+ -i ") as caught:
        load_speech(path)
    advice = str(caught.value).rpartition("by: ")[2].split(" -i ")
    assert advice[1].count(path.stem) == 2
    command = [*advice[0].split()[1:], "-i", path, tmp_path / "out.wav"]  # what the sentence says
    ffmpeg(*command)
    assert load_speech(tmp_path / "out.wav").size > 2000
