"""Speech varied as a waveform, and the features of a frozen encoder kept in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipwright.data.encoded_speech import encode_corpus
from lipwright.data.finish import write_speech
from lipwright.data.packed import PackedCorpus
from lipwright.data.vary_speech import SpeechVariation, at_pace, in_a_room
from lipwright.errors import LipwrightError
from tests.training.tiny import make_corpus

PLAIN = SpeechVariation(pace=0.0, noise=0.0, room=0.0, gain=0.0, tilt=0.0)


def clicks(count: int = 16_000) -> np.ndarray:
    """A click every tenth of a second."""
    wave = np.zeros(count, np.float32)
    wave[800::1600] = 0.5
    return wave


def energies(wave: np.ndarray) -> np.ndarray:
    """(n,) -> (frames, 1), the stand-in of an encoder."""
    count = len(wave) // 640
    return np.sqrt(np.square(wave[: 640 * count]).reshape(count, 640).mean(1, keepdims=True))


def test_faster_speech_is_shorter_and_keeps_its_order() -> None:
    wave = clicks()
    fast = at_pace(wave, 1.25)
    assert len(fast) == pytest.approx(12_800, abs=2)
    assert int(np.argmax(fast[:1280])) == pytest.approx(640, abs=2)
    assert at_pace(wave, 1.0) is wave


def test_nothing_is_changed_where_nothing_is_asked_for() -> None:
    wave = clicks()
    assert np.allclose(in_a_room(wave, np.random.default_rng(0), PLAIN), wave, atol=1e-6)


def test_noise_has_the_ratio_that_was_drawn_and_a_room_keeps_the_step() -> None:
    rng = np.random.default_rng(0)
    wave = (0.1 * rng.standard_normal(16_000)).astype(np.float32)
    noisy = SpeechVariation(pace=0, noise=1.0, ratios=(10.0, 10.0), room=0, gain=0, tilt=0)
    added = in_a_room(wave, np.random.default_rng(1), noisy) - wave
    ratio = 10 * np.log10(np.square(wave).mean() / np.square(added).mean())
    assert ratio == pytest.approx(10.0, abs=0.01)
    room = SpeechVariation(pace=0, noise=0, room=1.0, gain=0, tilt=0)
    found = in_a_room(clicks(), np.random.default_rng(2), room)
    assert np.all(np.abs(found[800::1600]) > 0.3)  # the direct sound is where it was
    assert np.abs(found[801:2399]).max() > 1e-4
    assert np.abs(in_a_room(10 * wave, np.random.default_rng(0), noisy)).max() <= 1.0


def corpus(root: Path) -> PackedCorpus:
    packed = PackedCorpus(make_corpus(root))
    (root / "clips").mkdir()
    rng = np.random.default_rng(0)
    for row in packed.rows:
        wave = rng.standard_normal(640 * row.frames).astype(np.float32) * 0.1
        write_speech(root / "clips" / f"{row.clip}.flac", wave)
    return packed


def test_features_are_computed_once_and_belong_to_their_clips(tmp_path: Path) -> None:
    packed = corpus(tmp_path / "corpus")
    calls = []

    def encode(wave: np.ndarray) -> np.ndarray:
        calls.append(len(wave))
        return energies(wave)

    made = encode_corpus(packed, encode, "energies", tmp_path / "f", 1, SpeechVariation())
    first = len(calls)
    row = packed.rows[2]
    features, pace = made.of(row)
    assert features.shape == (row.frames, 1)
    assert features.mean() == pytest.approx(0.1, rel=0.05)
    assert pace == 1.0
    varied, pace = made.of(row, 1)
    assert 0.9 <= pace <= 1.1
    assert len(varied) == pytest.approx(row.frames / pace, abs=1.01)
    again = encode_corpus(packed, encode, "energies", tmp_path / "f", 1, SpeechVariation())
    assert len(calls) == first + 1  # silence alone
    assert np.array_equal(again.of(row, 1)[0], varied)
    encode_corpus(packed, encode, "another", tmp_path / "f", 0, SpeechVariation())
    assert len(calls) > first + 2
    with pytest.raises(KeyError):
        made.of(packed.split("val")[0], 1)  # validation clips are never varied


def test_without_the_clips_one_sentence_says_so(tmp_path: Path) -> None:
    packed = PackedCorpus(make_corpus(tmp_path))
    with pytest.raises(LipwrightError, match=r"c0\.flac is missing"):
        encode_corpus(packed, energies, "energies", tmp_path / "f", 0, PLAIN)
