"""Every metric against a hand-computed value, an independent library or a literal transcription."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics import lmd as lmd_file
from lipwright.evaluation.metrics import silence
from lipwright.evaluation.metrics.cpbd import cpbd, edge_widths
from lipwright.evaluation.metrics.flicker import FlickerMeter, flicker
from lipwright.evaluation.metrics.frechet import frechet_distance
from lipwright.evaluation.metrics.fvd import cut_clips
from lipwright.evaluation.metrics.identity import cosine
from lipwright.evaluation.metrics.lip_colour import colour_difference, lip_colour
from lipwright.evaluation.metrics.lmd import lmd
from lipwright.evaluation.metrics.opening import (
    best_lag,
    correlation,
    speech_envelope,
    spread_ratio,
)
from lipwright.evaluation.metrics.psnr import psnr
from lipwright.evaluation.metrics.seam import seam_step
from lipwright.evaluation.metrics.ssim import ssim

Image = NDArray[np.uint8]


def picture(seed: int = 0, size: int = 64) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.uint8)


def test_psnr() -> None:
    a = np.zeros((4, 4, 3), np.uint8)
    b = np.full((4, 4, 3), 255, np.uint8)
    assert psnr(a, b) == 0.0
    assert psnr(a, a) == float("inf")
    # 8-bit subtraction would wrap 1 - 3 to 254.
    assert psnr(a + 1, a + 3) == pytest.approx(10 * np.log10(255**2 / 4))
    x, y = picture(1), picture(2)
    assert psnr(x, y) == pytest.approx(peak_signal_noise_ratio(x, y))
    with pytest.raises(LipwrightError, match="cannot be compared"):
        psnr(a, picture())
    with pytest.raises(LipwrightError, match="no pixels"):
        psnr(a[:0], a[:0])


def test_ssim_against_its_definition() -> None:
    x = picture(1, 32)
    y = (x * 0.7 + picture(2, 32) * 0.3).astype(np.uint8)
    # Wang et al. 2004, equation 13, with an 11 x 11 Gaussian of sigma 1.5, written out.
    g = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(g, g) / np.outer(g, g).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for channel in range(3):
        a, b = x[..., channel].astype(float), y[..., channel].astype(float)
        for i in range(5, 27):
            for j in range(5, 27):
                p, q = a[i - 5 : i + 6, j - 5 : j + 6], b[i - 5 : i + 6, j - 5 : j + 6]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp = (window * p * p).sum() - mp**2
                vq = (window * q * q).sum() - mq**2
                cov = (window * p * q).sum() - mp * mq
                top = (2 * mp * mq + c1) * (2 * cov + c2)
                values.append(top / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    assert ssim(x, y) == pytest.approx(np.mean(values), abs=1e-6)
    assert ssim(x, x) == pytest.approx(1.0)
    with pytest.raises(LipwrightError, match="at least 11"):
        ssim(x[:8, :8], y[:8, :8])


def test_flicker() -> None:
    ramp = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    assert flicker(ramp) == 0.0
    shake = np.tile(np.array([0, 10], np.uint8), 3)[:, None, None, None] + ramp[:1]
    assert flicker(shake) == 20.0
    assert np.isnan(flicker(ramp[:2]))
    meter = FlickerMeter()
    for frame in shake:
        meter.add(frame)
    assert meter.value() == 20.0
    meter.add(None)  # a face that is lost starts afresh
    meter.add(ramp[4])
    meter.add(ramp[4])
    assert meter.value() == 20.0
    assert np.isnan(FlickerMeter().value())


def test_lip_colour() -> None:
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lips = np.concatenate([0.5 + 0.1 * circle, 0.5 + 0.3 * circle])
    image = np.full((64, 64, 3), 255, np.uint8)
    yy, xx = np.mgrid[:64, :64]
    image[np.hypot(yy - 31.5, xx - 31.5) < 5] = 0  # inside the mouth: left out
    assert lip_colour(image, lips) == pytest.approx([100, 0, 0], abs=0.5)
    assert np.isnan(lip_colour(image, lips * np.nan)).all()
    assert colour_difference(np.array([50.0, 3, 4]), np.array([50.0, 0, 0])) == 5.0


def test_correlation_and_lag() -> None:
    rng = np.random.default_rng(0)
    x = np.convolve(rng.normal(size=200), np.ones(5), "same")
    assert correlation(x, 2 * x + 1) == pytest.approx(1.0)
    assert correlation(x, -x) == pytest.approx(-1.0)
    y = rng.normal(size=200)
    assert correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])
    gap = x.copy()
    gap[50:] = np.nan
    assert correlation(gap, y) == pytest.approx(np.corrcoef(x[:50], y[:50])[0, 1])
    gap[9:] = np.nan
    assert np.isnan(correlation(gap, y))
    assert np.isnan(correlation(x, np.zeros(200)))
    for lag in (-15, -3, 0, 7):
        assert best_lag(np.roll(x, lag), x) == lag
    assert best_lag(np.zeros(200), x) == 0
    with pytest.raises(LipwrightError, match="match their times"):
        correlation(x, y[:-1])


def test_spread_and_envelope() -> None:
    x = np.sin(np.arange(100) / 5)
    assert spread_ratio(0.5 * x, x) == pytest.approx(0.5)
    assert np.isnan(spread_ratio(x, np.zeros(100)))
    wave = np.zeros(16000, np.float32)
    wave[8000:] = 0.25
    envelope = speech_envelope(wave, np.array([0.1, 0.9, 3.0]))
    assert envelope == pytest.approx([0.0, 0.5, 0.0], abs=1e-9)  # sqrt of the RMS


def test_silence() -> None:
    points = np.zeros((30, 478, 2))
    points[:, 61, 0], points[:, 291, 0] = -2.0, 2.0
    points[:, 13, 1] = -np.arange(30) % 2  # the gap alternates between 0 and 1
    gap = silence.lip_gap(points)
    assert gap[:4] == pytest.approx([0, 0.25, 0, 0.25])
    silent = np.ones(30, bool)
    assert silence.silence_activity(gap, silent) == pytest.approx(0.125)
    assert np.isnan(silence.silence_activity(gap, silent & (np.arange(30) < 9)))
    times = np.arange(50) / 25
    wave = np.zeros(32000, np.float32)
    wave[:16000] = np.sin(np.arange(16000))
    found = silence.silent_frames(wave, times)
    assert not found[:25].any()
    assert found[30:].all()
    assert silence.silent_frames(np.zeros(0, np.float32), times).all()


def test_lmd_is_centred_summed_and_averaged() -> None:
    a = np.random.default_rng(0).normal(size=(3, 20, 2))
    shifted = a + np.array([5.0, -2.0])
    assert lmd(a, shifted) == pytest.approx((0.0, 0.0), abs=1e-12)
    b = a.copy()
    b[:, 0] += [3.0, 4.0]
    # Point 0 moves by 5, the mean by a twentieth of it: 5 * 19/20 and 19 times 5/20.
    total = 5 * 19 / 20 + 19 * 5 / 20
    assert lmd(a, b) == pytest.approx((total, total / 20))
    b[1] = np.nan
    assert lmd(a, b) == pytest.approx((total, total / 20))
    assert np.isnan(lmd(a, a * np.nan)[0])
    with pytest.raises(LipwrightError, match="match their times"):
        lmd(a, a[:2])
    assert len(set(lmd_file.DLIB_MOUTH)) == 20
    lips = np.random.default_rng(1).uniform(size=(2, 40, 2))
    assert lmd_file.mouth_points(lips).shape == (2, 20, 2)


def ramp_picture(width: int, low: int = 0, high: int = 255) -> Image:
    """A vertical edge that takes ``width`` steps from ``low`` to ``high``."""
    row = np.full(128, low, float)
    row[60:] = high
    row[60 : 60 + width] = np.linspace(low, high, width + 1)[:-1] + (high - low) / width / 2
    return np.tile(row.round().astype(np.uint8), (128, 1))


def test_cpbd_measures_widths_and_counts_probabilities() -> None:
    step = ramp_picture(1)
    where, widths = edge_widths(step)
    assert len(where) >= 120
    assert set(widths) == {2}  # dark, one pixel between, bright
    assert cpbd(step) == 1.0  # 1 - exp(-(2/3)^3.6) = 0.21, below 0.63
    wide = np.tile(np.clip(np.arange(128) * 40 - 2000, 0, 255).astype(np.uint8), (128, 1))
    assert set(edge_widths(wide)[1]) == {7}
    assert cpbd(wide) == 0.0  # 1 - exp(-(7/3)^3.6) is 1
    assert np.isnan(cpbd(np.full((64, 64), 7, np.uint8)))
    with pytest.raises(LipwrightError, match="at least 64"):
        cpbd(step[:32])
    with pytest.raises(LipwrightError, match="8-bit grey"):
        cpbd(picture())


def test_seam_step_sees_a_hard_edge_only() -> None:
    y, x = np.mgrid[:64, :64]
    r = np.hypot(y - 32, x - 32)
    mask = np.clip((24 - r) / 12, 0, 1).astype(np.float32)
    real = np.full((64, 64, 3), 100, np.uint8)
    assert seam_step(real, real, mask) == 0.0
    hard = np.where((mask >= 0.3)[..., None], real + 20, real).astype(np.uint8)
    assert seam_step(real, hard, mask) == pytest.approx(20.0)
    soft = (real + 20 * mask[..., None]).round().astype(np.uint8)
    assert seam_step(real, soft, mask) < 15
    assert np.isnan(seam_step(real, hard, np.zeros((64, 64), np.float32)))


def reference_frechet(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Equation 6 of Heusel et al. with scipy's matrix root."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.asarray(scipy.linalg.sqrtm(s @ t)).real
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s + t - 2 * root))


@pytest.mark.parametrize(("n", "m"), [(200, 150), (200, 5), (6, 4)])
def test_frechet_distance_against_scipy(n: int, m: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 8)) @ rng.normal(size=(8, 8))
    y = rng.normal(size=(m, 8)) + 0.5
    ours = frechet_distance(x, y)
    # Fewer samples than dimensions leave the root singular: scipy's is only good to its own errors.
    assert ours == pytest.approx(reference_frechet(x, y), rel=1e-6 if min(n, m) > 8 else 2e-2)
    assert ours == pytest.approx(frechet_distance(y, x))
    assert frechet_distance(x, x) < 1e-9


def test_frechet_distance_of_shifted_normals_and_bad_input() -> None:
    rng = np.random.default_rng(1)
    d = np.array([3.0, 4.0, 0.0])
    x, y = rng.normal(size=(20000, 3)), rng.normal(size=(20000, 3)) + d
    assert frechet_distance(x, y) == pytest.approx(25.0, rel=0.02)
    for bad, sentence in (
        (x[:1], "at least 2"),
        (x[:, :2], "different networks"),
        (np.full((4, 3), np.nan), "not finite"),
        (x[0], "must be a table"),
    ):
        with pytest.raises(LipwrightError, match=sentence):
            frechet_distance(bad, y)


@given(st.integers(0, 70))
def test_clips_drop_the_tail_and_never_pad(n: int) -> None:
    frames = np.arange(n)[:, None]
    clips = cut_clips(frames)
    assert len(clips) == n // 16
    assert clips.reshape(-1).tolist() == list(range(16 * (n // 16)))


def test_identity_cosine() -> None:
    assert cosine(np.array([3.0, 4.0]), np.array([6.0, 8.0])) == pytest.approx(1.0)
    assert cosine(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 0.0
    assert np.isnan(cosine(np.zeros(2), np.ones(2)))
