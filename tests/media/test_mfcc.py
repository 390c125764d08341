"""MFCC against the package whose recipe they follow, and their windows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipwright.media.features import MfccSpec, audio_spec, speech_features
from lipwright.media.mel import SILENCE, AudioSpec, windows
from lipwright.media.mfcc import N_MFCC, mfcc, shifted_mfcc

SPEC = MfccSpec()


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = round(16_000 * seconds)
    t = np.arange(n) / 16_000
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    return (0.1 * buzz * (1 + np.sin(9 * t)) + rng.normal(0, 0.003, n)).astype(np.float32)


def test_against_python_speech_features() -> None:
    package = pytest.importorskip("python_speech_features")
    x = voice(1.3)
    expected = package.mfcc(x, 16_000)[:, 1:].T
    found = mfcc(x)
    assert np.abs(expected).max() > 20
    assert np.abs(found[:, : expected.shape[1]] - expected).max() < 1e-4


@pytest.mark.parametrize("n", [0, 1, 159, 160, 399, 400, 16_000])
def test_as_many_columns_as_the_mel_spectrogram_has(n: int) -> None:
    wave = np.zeros(n)
    assert mfcc(wave).shape == (N_MFCC, 1 + n // 160)
    assert speech_features(wave, SPEC).shape[1] == speech_features(wave, AudioSpec()).shape[1]


def test_silence_is_nothing() -> None:
    assert float(np.abs(mfcc(np.zeros(4000))).max()) < 1e-9
    assert np.allclose(shifted_mfcc(np.zeros(4000)), SILENCE)


def test_loudness_hardly_matters() -> None:
    x = voice(0.5)
    assert np.allclose(mfcc(x), mfcc(0.25 * x), atol=1e-3)


def test_long_recordings_are_cut_into_blocks_without_a_seam() -> None:
    x = voice(42.0)
    whole, part = mfcc(x), mfcc(x[160 * 4000 : 160 * 4200])
    assert np.allclose(whole[:, 4001:4190], part[:, 1:190], atol=1e-4)


def test_windows_of_frames() -> None:
    """Frame k sees columns 4 (k - 3) to 4 (k + 4); before the recording there is silence."""
    sound = shifted_mfcc(voice(1.0))
    cut = windows(sound, [Fraction(k, 25) for k in range(25)], SPEC)
    assert cut.shape == (25, 12, 28)
    assert np.array_equal(cut[5], sound[:, 8:36])
    assert np.all(cut[0][:, :12] == SILENCE)
    assert np.array_equal(cut[0][:, 12:], sound[:, :16])


def test_the_window_that_a_header_describes() -> None:
    assert audio_spec("mfcc", 28, 12) == SPEC
    assert audio_spec("mel", 20, 8) == AudioSpec()
    with pytest.raises(ValueError, match="one of mel, mfcc, whisper, not plp"):
        audio_spec("plp", 28, 12)


def test_several_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="mono"):
        mfcc(np.zeros((2, 100)))


def test_not_a_number_is_silence() -> None:
    x = voice(0.3)
    x[100] = float("nan")
    assert bool(np.isfinite(mfcc(x)).all())
