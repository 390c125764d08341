"""Sharpness of the mouth at the video's resolution, against numbers worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipwright.evaluation.metrics.mouth_detail import (
    DetailMeter,
    detail_ratios,
    high_band,
    octave_energies,
)


@pytest.mark.parametrize(("period", "octave"), [(3, 0), (6, 1), (12, 2)])
def test_a_wave_is_in_its_octave_with_its_energy(period: int, octave: int) -> None:
    """1/3, 1/6 and 1/12 cycles per pixel, amplitude 10."""
    wave = np.tile(10 * np.sin(2 * np.pi * np.arange(96) / period), (96, 1))
    found = octave_energies(wave)
    # The mean square of a Hann window is 3/8 along each axis, that of the wave 10^2 / 2.
    assert found[octave] == pytest.approx(96 * 96 * 50 * (3 / 8) ** 2, rel=0.03)
    assert found.sum() == pytest.approx(found[octave], rel=0.02)


def test_coarse_structures_and_brightness_do_not_count() -> None:
    ramp = np.tile(np.linspace(0, 255, 96), (96, 1))
    assert octave_energies(ramp).max() < 1e-4 * np.square(ramp - ramp.mean()).sum()
    assert octave_energies(np.full((64, 80), 77.0)).max() < 1e-12


def test_the_high_band_is_what_a_blur_takes() -> None:
    assert np.abs(high_band(np.full((20, 20), 9, np.uint8))).max() < 1e-4
    point = np.zeros((21, 21), np.float32)
    point[10, 10] = 100.0
    # 1 / (2 pi sigma^2) of a point stays in the middle of a Gaussian of sigma 2.
    assert high_band(point)[10, 10] == pytest.approx(100 * (1 - 1 / (8 * np.pi)), abs=0.2)


def frames(blur: float, boil: bool) -> list[np.ndarray]:
    """Grain that stands still or is new in every frame."""
    made = []
    for t in range(5):
        rng = np.random.default_rng(t if boil else 0)
        grain = rng.normal(128, 20, (80, 90)).astype(np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), blur) if blur else grain
        made.append(np.repeat(grain.clip(0, 255).astype(np.uint8)[:, :, None], 3, 2))
    return made


def metered(pictures: list[np.ndarray]) -> DetailMeter:
    meter = DetailMeter()
    for i, picture in enumerate(pictures):
        meter.add(picture, i == 0)
    return meter


def test_ratios() -> None:
    real = metered(frames(0.0, boil=True))
    soft = detail_ratios(real, metered(frames(1.0, boil=True)))
    assert soft["mouth_octave_1"] < 0.1 < soft["mouth_octave_2"] < soft["mouth_octave_3"] < 1.0
    assert soft["mouth_high_flicker"] < 0.5
    assert set(detail_ratios(real, real).values()) == {1.0}
    still = metered(frames(0.0, boil=False))
    assert still.flicker == 0.0
    assert np.isnan(detail_ratios(still, real)["mouth_high_flicker"])
