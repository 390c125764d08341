"""The spectrogram against an independent transcription, and the windows against arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lipwright.media import mel
from lipwright.media.mel import AudioSpec, mel_spectrogram, window, windows


def speech_like(samples: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(samples, generator=generator) * 0.05
    tone = 0.3 * torch.sin(torch.arange(samples) * 2 * torch.pi * 220 / 16_000)
    return noise + tone


def transcription(wave: np.ndarray) -> np.ndarray:
    """The published recipe in plain numpy, column by column, double precision."""
    emphasised = np.append(wave[:1], wave[1:] - 0.97 * wave[:-1])
    padded = np.concatenate([np.zeros(400), emphasised, np.zeros(560)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 800)

    def to_mel(f: float) -> float:
        return f / (200 / 3) if f < 1000 else 15 + np.log(f / 1000) / (np.log(6.4) / 27)

    def to_hz(m: float) -> float:
        return m * (200 / 3) if m < 15 else 1000 * np.exp((np.log(6.4) / 27) * (m - 15))

    edges = [to_hz(m) for m in np.linspace(to_mel(55), to_mel(7600), 82)]
    bank = np.zeros((80, 401))
    for band in range(80):
        for k in range(401):
            f = k * 20.0
            up = (f - edges[band]) / (edges[band + 1] - edges[band])
            down = (edges[band + 2] - f) / (edges[band + 2] - edges[band + 1])
            bank[band, k] = max(0.0, min(up, down)) * 2 / (edges[band + 2] - edges[band])
    columns = []
    for j in range(1 + wave.size // 160):
        spectrum = np.abs(np.fft.rfft(padded[160 * j : 160 * j + 800] * hann))
        decibels = 20 * np.log10(np.maximum(1e-5, bank @ spectrum)) - 20
        columns.append(np.clip(8 * (decibels + 100) / 100 - 4, -4, 4))
    return np.stack(columns, axis=1)


def test_constants_follow_from_the_rates() -> None:
    assert (mel.HOP, mel.N_FFT, mel.STEPS_PER_FRAME, mel.SAMPLES_PER_FRAME) == (160, 800, 4, 640)
    assert mel.SILENCE == -4.0


@pytest.mark.parametrize("samples", [1600, 16_000, 16_001, 23_457])
def test_agrees_with_the_published_recipe(samples: int) -> None:
    wave = speech_like(samples)
    expected = transcription(wave.numpy().astype(np.float64))
    assert np.abs(mel_spectrogram(wave) - expected).max() < 1e-3


@given(st.integers(0, 5000))
@settings(max_examples=30, deadline=None)
def test_shape_and_silence_for_every_length(samples: int) -> None:
    result = mel_spectrogram(torch.zeros(samples))
    assert result.shape == (80, 1 + samples // 160)
    assert result.dtype == np.float32
    assert (result == -4.0).all()  # exactly, edges included


def test_values_stay_in_range_for_any_input() -> None:
    loud = torch.full((4000,), 1e6)
    broken = torch.tensor([float("nan"), float("inf"), -float("inf")] * 500)
    for wave in (loud, broken, -loud):
        result = mel_spectrogram(wave)
        assert np.isfinite(result).all()
        assert result.min() >= -4.0
        assert result.max() <= 4.0


@pytest.mark.parametrize("hertz", [100, 440, 1000, 3000, 7000])
def test_a_sine_peaks_in_its_band(hertz: int) -> None:
    wave = 0.5 * torch.sin(torch.arange(16_000) * 2 * torch.pi * hertz / 16_000)
    edges = [mel.mel_to_hz(m) for m in np.linspace(mel.hz_to_mel(55), mel.hz_to_mel(7600), 82)]
    band = int(mel_spectrogram(wave)[:, 50].argmax())
    # Two neighbouring triangles overlap, and the bins lie 20 Hz apart.
    assert edges[band] - 20 <= hertz <= edges[band + 2] + 20


def test_one_kilohertz_is_band_25() -> None:
    """Slaney: 1 kHz is 15 mel; bands are 0.5517 mel apart from 0.825 mel on: (15-.825)/.5517."""
    wave = 0.5 * torch.sin(torch.arange(16_000) * 2 * torch.pi / 16)
    spacing = (mel.hz_to_mel(7600) - mel.hz_to_mel(55)) / 81
    expected = round((15 - mel.hz_to_mel(55)) / spacing) - 1
    assert expected == 25
    assert int(mel_spectrogram(wave)[:, 50].argmax()) == expected


def test_triangles_have_equal_area() -> None:
    """Slaney normalisation: each filter integrates to 1 over hertz (bins are 20 Hz apart).

    Narrow triangles are sampled coarsely, wide ones well.
    """
    area = mel.mel_filters().sum(axis=1) * 20.0
    assert np.allclose(area[40:], 1.0, atol=0.02)


@given(st.integers(0, 6), st.integers(1, 4000))
@settings(max_examples=25, deadline=None)
def test_one_frame_of_delay_is_four_columns(frames: int, samples: int) -> None:
    wave = speech_like(samples)
    late = mel_spectrogram(torch.cat([torch.zeros(640 * frames), wave]))
    assert np.allclose(late[:, 4 * frames :], mel_spectrogram(wave), atol=1e-4)


def test_long_recordings_are_transformed_in_blocks_without_a_seam(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wave = speech_like(40_000)
    whole = mel_spectrogram(wave)
    monkeypatch.setattr(mel, "_BLOCK", 7)
    assert np.allclose(mel_spectrogram(wave), whole, atol=1e-5)


def test_refuses_stereo() -> None:
    with pytest.raises(ValueError, match="mono"):
        mel_spectrogram(torch.zeros(2, 100))


def numbered(columns: int) -> torch.Tensor:
    return torch.arange(columns, dtype=torch.float32).expand(80, columns)


@given(st.integers(0, 60))
def test_window_of_a_model_frame(n: int) -> None:
    cut = window(numbered(300), Fraction(n, 25))[0]
    for step, column in enumerate(range(4 * n - 8, 4 * n + 12)):
        assert cut[step] == (column if column >= 0 else mel.SILENCE)


def test_outside_the_recording_there_is_silence() -> None:
    table = numbered(30)
    assert (window(table, Fraction(-5)) == mel.SILENCE).all()
    assert (window(table, Fraction(1000)) == mel.SILENCE).all()
    assert (window(table, Fraction(30, 100))[:, 8:] == mel.SILENCE).all()
    assert window(table, Fraction(29, 100))[0, 8] == 29


def test_times_are_rounded_in_rationals() -> None:
    assert mel.column_at(Fraction(1, 200)) == 1  # halves go up, on either side of zero
    assert mel.column_at(Fraction(-1, 200)) == 0
    assert mel.column_at(Fraction(1001, 30_000)) == 3
    # 0.285 as a float times 100 is 28.499999999999996
    assert mel.column_at(Fraction(285, 1000)) == 29


@given(
    st.lists(st.fractions(-2, 5, max_denominator=1001), min_size=1, max_size=8),
    st.integers(1, 100),
    st.integers(0, 40),
)
@settings(deadline=None)
def test_many_windows_are_each_window(times: list[Fraction], steps: int, before: int) -> None:
    table = mel_spectrogram(speech_like(30_000))
    spec = AudioSpec(steps, before)
    batch = windows(table, times, spec)
    assert batch.shape == (len(times), 80, steps)
    for row, time in zip(batch, times, strict=True):
        assert np.array_equal(row, window(table, time, spec))
    assert np.array_equal(windows(torch.from_numpy(table), times, spec).numpy(), batch)


def test_windows_of_an_empty_list_and_of_an_empty_recording() -> None:
    assert windows(numbered(10), []).shape == (0, 80, 20)
    assert (window(mel_spectrogram(torch.zeros(0)), Fraction(0)) == mel.SILENCE).all()
