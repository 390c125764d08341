"""What is heard live is what is heard of the whole recording, as far as nothing looks further."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipwright.media.features import MfccSpec, WhisperSpec, speech_features
from lipwright.media.mel import AudioSpec, windows
from lipwright.media.rolling import RollingSound
from lipwright.media.whisper_mel import whisper_log_power
from lipwright.methods.encoded_speech import lip_motions
from lipwright.methods.encoded_stream import EncodedSpeechStream
from lipwright.methods.speech_stream import ColumnWindows, LastSeconds

RNG = np.random.default_rng(0)
WAVE = (0.2 * RNG.standard_normal(3 * 16_000)).astype(np.float32)


def test_rolling_sound_keeps_the_newest_under_its_own_numbers() -> None:
    sound, wave = RollingSound(100), np.arange(1000, dtype=np.float32)
    for first in range(0, 1000, 70):
        sound.append(wave[first : first + 70])
    assert sound.received == 1000
    assert sound.part(900, 1000).tolist() == wave[900:].tolist()
    assert sound.part(990, 1010).tolist() == [*wave[990:].tolist(), *[0.0] * 10]
    with pytest.raises(ValueError, match="no longer kept"):
        sound.part(500, 600)
    young = RollingSound(100)
    young.append(wave[:5])
    assert young.part(-2, 3).tolist() == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("spec", [AudioSpec(), MfccSpec(), AudioSpec(5, 2), WhisperSpec(7, 3)])
@pytest.mark.parametrize("piece", [160, 333, 1600])
def test_windows_are_those_of_the_whole_recording(spec: AudioSpec, piece: int) -> None:
    stream = ColumnWindows(lambda wave: speech_features(wave, spec), spec)
    whole = speech_features(WAVE, spec)
    k, worst = 0, 0.0
    for first in range(0, WAVE.size, piece):
        stream.feed(WAVE[first : first + piece])
        while stream.ready(Fraction(k, 25)):
            heard = stream.audio(Fraction(k, 25))
            expected = windows(whole, [Fraction(k, 25)], spec)[0]
            if isinstance(spec, WhisperSpec) and k == 0:
                expected[:, : spec.before] = -10.0  # silence of this kind of features
            worst = max(worst, float(np.abs(heard - expected).max()))
            k += 1
    assert worst < 1e-4
    # All frames but those whose window ends less than the look-ahead before the end.
    assert k == 1 + (WAVE.size - stream.look_ahead) // 640


def local_encoder(log_power: np.ndarray) -> tuple[np.ndarray]:
    """(1, 80, t) -> (1, 4, t / 2): each column from two of the spectrogram, and nothing else."""
    floor = np.maximum(log_power, log_power.max() - 8.0)
    mixed = np.tensordot(np.random.default_rng(1).normal(size=(4, 80)), floor[0], 1)
    return (mixed[None, :, ::2].astype(np.float32),)


def local_members(features: np.ndarray) -> tuple[np.ndarray]:
    """(1, 8, n + 2 layers) -> (1, n, 1) with two layers: a mean with unequal weights."""
    n = features.shape[2] - 4
    weights = np.arange(1, 41, dtype=np.float64).reshape(8, 5) / 40
    rows = [float((features[0, :, i : i + 5] * weights).sum()) for i in range(n)]
    return (np.array(rows, np.float32).reshape(1, n, 1),)


def test_encoded_stream_equals_the_recording_where_it_looks_as_far() -> None:
    # Two layers of frames behind a frame: 2 x 4 columns, and its own 4.
    stream = EncodedSpeechStream(local_encoder, local_members, 2, past=40, future=12)
    whole = lip_motions(local_encoder, local_members, whisper_log_power(WAVE), 2)
    found = []
    for first in range(0, WAVE.size, 320):
        stream.feed(WAVE[first : first + 320])
        while stream.ready(Fraction(len(found), 25)):
            found.append(stream.audio(Fraction(len(found), 25))[0])
    expected = whole[0, : 4 * len(found) : 4]
    assert len(found) > 60
    # Up to there the recording repeats its first column where the stream has silence.
    assert np.abs(np.array(found) - expected)[3:].max() < 1e-3 * np.abs(expected).max()


def test_a_nearer_end_costs_accuracy_only_near_the_frame() -> None:
    short = EncodedSpeechStream(local_encoder, local_members, 2, past=40, future=6)
    assert short.look_ahead == 160 * 5 + 200
    short.feed(WAVE)
    whole = lip_motions(local_encoder, local_members, whisper_log_power(WAVE), 2)
    found = np.array([short.audio(Fraction(k, 25))[0] for k in range(10, 60)])
    assert 0.0 < np.abs(found - whole[0, 40:240:4]).max() < np.ptp(whole[0])


def test_floor_follows_the_loudest_of_the_last_twenty_seconds() -> None:
    loud = np.concatenate([WAVE[:16_000], 1e-5 * WAVE])
    stream = EncodedSpeechStream(local_encoder, local_members, 2, past=40, future=12)
    stream.feed(loud)
    after = stream.audio(Fraction(3))  # the window itself holds nothing but the soft part
    floor = whisper_log_power(loud[:16_000]).max() - 8.0
    clipped = np.full((1, 80, 52), floor, np.float32)
    assert whisper_log_power(loud)[:, 260:312].max() < floor
    assert after[0] == pytest.approx(float(local_members_of(clipped)), rel=1e-4)


def local_members_of(log_power: np.ndarray) -> float:
    (features,) = local_encoder(log_power)
    pairs = features[0][:, 16:26].reshape(4, 5, 2).transpose(2, 0, 1).reshape(8, 5)
    return float(local_members(pairs[None])[0][0, 0, 0])


def test_methods_that_hear_whole_recordings_get_the_last_seconds() -> None:
    seen = []

    def features(wave: np.ndarray) -> np.ndarray:
        seen.append(wave.size)
        return np.arange(1 + wave.size // 160, dtype=np.float32)[None]

    stream = LastSeconds(features)
    stream.feed(WAVE)
    assert stream.audio(Fraction(2)).tolist() == [300.0]
    assert seen == [160 * 320]  # always the same length: one compiled graph
