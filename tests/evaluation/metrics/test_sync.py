"""LSE and the own expert's scores: planted shifts, bookkeeping, MFCC against its library."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from python_speech_features import mfcc as reference_mfcc
from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.expert_sync import cosine_table, expert_score, pair_accuracy
from lipwright.evaluation.metrics.lse import (
    positions,
    shifted_distances,
    sync_features,
    sync_score,
)
from lipwright.media.mfcc13 import mfcc13, to_int16


@pytest.mark.parametrize("n", [0, 1, 399, 400, 401, 16000, 16123])
def test_mfcc_is_that_of_the_library(n: int) -> None:
    rng = np.random.default_rng(n)
    samples = (rng.normal(size=n) * 3000).astype(np.int16)
    ours = mfcc13(samples)
    if n == 0:
        assert ours.shape == (1, 13)
        return
    assert ours.shape == (1 + max(0, -(-(n - 400) // 160)), 13)
    assert np.allclose(ours, reference_mfcc(samples, 16000), atol=1e-6)


def test_mfcc_of_silence_is_finite_and_samples_clip() -> None:
    assert np.isfinite(mfcc13(np.zeros(3200, np.int16))).all()
    assert to_int16(np.array([0.0, 1.0, -1.0, 9.0], np.float32)).tolist() == [
        0,
        32767,
        -32768,
        32767,
    ]


@pytest.mark.parametrize("lag", [-15, -4, 0, 3, 15])
def test_planted_shift_is_found_exactly(lag: int) -> None:
    rng = np.random.default_rng(0)
    long = rng.normal(size=(160, 64))
    speech = long[20:140]
    visual = long[20 + lag : 140 + lag]  # visual i is speech i + lag: the speech lags by lag
    score = sync_score(visual, speech)
    assert score.offset == -lag
    assert ("border" in " ".join(score.flags)) == (abs(lag) == 15)
    assert score.distance < score.means.max() / 2


def test_lse_is_its_definition() -> None:
    """The published script's arithmetic, written out with torch.pairwise_distance."""
    rng = np.random.default_rng(1)
    v, a = rng.normal(size=(130, 16)), rng.normal(size=(130, 16))
    padded = torch.nn.functional.pad(torch.tensor(a), (0, 0, 15, 15))
    rows = [
        torch.nn.functional.pairwise_distance(
            torch.tensor(v[[i]]).repeat(31, 1), padded[i : i + 31]
        )
        for i in range(130)
    ]
    means = torch.stack(rows, 1).mean(1)
    least, where = means.min(0)
    score = sync_score(v, a)
    assert score.distance == pytest.approx(float(least))
    assert score.confidence == pytest.approx(float(means.median() - least))
    assert score.offset == 15 - int(where)
    assert score.positions == 130


def test_unrelated_features_of_short_clips_look_confident() -> None:
    """Zeros of the padding enter the mean: the value that methods state for 120 positions."""
    rng = np.random.default_rng(2)
    long = sync_score(rng.normal(size=(120, 1024)), rng.normal(size=(120, 1024)))
    short = sync_score(rng.normal(size=(30, 1024)), rng.normal(size=(30, 1024)))
    assert long.confidence == pytest.approx(0.93, abs=0.15)
    assert short.confidence == pytest.approx(3.2, abs=0.4)
    assert any("short" in f for f in short.flags)
    assert any("border" in f for f in short.flags)


def test_lse_in_digital_silence_does_not_see_how_a_mouth_moves() -> None:
    """Every window of silence has the same features: only padding tells shifts apart."""
    rng = np.random.default_rng(3)
    visual = rng.normal(size=(100, 16))
    shuffled = visual.copy()
    shuffled[15:85] = rng.permutation(visual[15:85])
    silence = np.tile(rng.normal(size=16), (100, 1))
    assert np.allclose(sync_score(visual, silence).means, sync_score(shuffled, silence).means)
    inner = shifted_distances(visual, silence)[15:85]
    assert np.allclose(inner, inner[:, :1])
    speech = rng.normal(size=(100, 16))
    assert not np.allclose(sync_score(visual, speech).means, sync_score(shuffled, speech).means)


def test_positions() -> None:
    assert positions(125, 80000) == 120
    assert positions(125, 64000) == 95
    assert positions(6, 10**6) == 1
    for frames, samples in ((5, 10**6), (100, 640 * 5), (0, 0)):
        with pytest.raises(LipwrightError, match="at least 6 frames"):
            positions(frames, samples)


def test_bad_features_are_refused() -> None:
    x = np.zeros((4, 3))
    with pytest.raises(LipwrightError, match="one clip"):
        shifted_distances(x, x[:2])
    with pytest.raises(LipwrightError, match="not finite"):
        shifted_distances(x * np.nan, x)
    with pytest.raises(LipwrightError, match="at least 1"):
        sync_score(x[:0], x[:0])


class Spy:
    """Embeds a window by the number painted on its frames, and speech by its first column."""

    def __init__(self) -> None:
        self.windows: list[list[int]] = []
        self.columns: list[Tensor] = []

    def embed_faces(self, frames: Tensor) -> Tensor:
        assert frames.shape[1:] == (3, 5, 8, 8)
        self.windows += [[int(v) for v in w[0, :, 0, 0]] for w in frames]
        return frames[:, 0, :, 0, 0]

    def embed_speech(self, mfcc: Tensor) -> Tensor:
        assert mfcc.shape[1:] == (1, 13, 20)
        self.columns += list(mfcc[:, 0])
        return mfcc[:, 0, :5, 0]


@settings(max_examples=15, deadline=None)
@given(st.integers(6, 60), st.integers(1, 25))
def test_windows_and_columns_of_every_position(frames: int, batch: int) -> None:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 640 * frames).astype(np.float32)
    pictures = [np.full((8, 8, 3), [200, 100, i], np.uint8) for i in range(frames)]
    spy = Spy()
    visual, speech = sync_features(spy, pictures, frames, wave, batch)
    n = frames - 5
    assert visual.shape == speech.shape == (n, 5)
    assert spy.windows == [list(range(i, i + 5)) for i in range(n)]  # blue first: BGR
    cepstra = mfcc13(to_int16(wave)).T
    for i, columns in enumerate(spy.columns):
        assert np.allclose(columns, cepstra[:, 4 * i : 4 * i + 20], atol=1e-4)


def test_a_clip_that_breaks_off_is_an_error() -> None:
    wave = np.zeros(640 * 30, np.float32)
    pictures = [np.zeros((8, 8, 3), np.uint8)] * 12
    with pytest.raises(LipwrightError, match="broke off after 8 of 25"):
        sync_features(Spy(), pictures, 30, wave)


def test_expert_score_and_accuracy() -> None:
    rng = np.random.default_rng(3)
    base = np.abs(rng.normal(size=(80, 32))) * (rng.random((80, 32)) < 0.15)
    for lag in (-6, 0, 4):
        speech, visual = base[20:60], base[20 + lag : 60 + lag]
        score = expert_score(visual, speech)
        assert score.offset == -lag
        assert score.means[15 + lag] == pytest.approx(1.0, abs=0.05)
    assert score.cosine == pytest.approx(score.means[15])
    assert pair_accuracy(base, base) > 0.9
    assert pair_accuracy(base, base) == pair_accuracy(base, base)  # seeded
    noise = rng.normal(size=(200, 32))
    # Cosines about 0: every negative is right, every positive wrong.
    assert pair_accuracy(noise, rng.normal(size=(200, 32))) == pytest.approx(0.5, abs=0.05)
    assert np.isnan(pair_accuracy(base[:4], base[:4]))

    assert np.isnan(expert_score(base[:3], base[:3]).means[0])
    table = cosine_table(np.array([[2.0, 0], [0, 3]]), np.array([[1.0, 1], [0, 1]]))
    assert table == pytest.approx(np.array([[0.5**0.5, 0], [0.5**0.5, 1]]))


def test_windows_judged_together_by_hand() -> None:
    visual = np.eye(12)
    speech = 0.8 * np.eye(12) + 0.6 * np.roll(np.eye(12), 6, axis=1)  # cosine 0.8 in step
    speech[3] = np.eye(12)[9]  # one window says nothing
    # Own cosines 0.8 and one 0: alone wrong, and right as one of three; those of other times
    # differ from 0 only six frames away, where they say 0.6 (1 for the changed window).
    alone = pair_accuracy(visual, speech, least=5, threshold=0.5)
    together = pair_accuracy(visual, speech, least=5, threshold=0.5, over=3)
    assert alone < 1.0
    table = cosine_table(visual, speech)
    means = np.mean([table[k : k + 10, k : k + 10] for k in range(3)], axis=0)
    assert means[1, 1] == pytest.approx(0.8 * 2 / 3)
    rng, right = np.random.default_rng(0), []
    for i in range(10):
        far = [j for j in range(10) if abs(i - j) >= 5]
        if far:
            right += [means[i, i] > 0.5, means[i, int(rng.choice(far))] <= 0.5]
    assert together == np.mean(right)
    assert np.isnan(pair_accuracy(visual, speech, over=9))
