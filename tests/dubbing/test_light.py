"""The drawn face takes the light of its frame, and is left alone where that is the same."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.dubbing.composite import prepare
from lipwright.dubbing.light import in_light_of


def face(seed: int = 0, side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 0.7, (side, side, 3)).astype(np.float32)


def test_the_same_light_changes_nothing() -> None:
    a = face()
    assert in_light_of(a, a, a) is a
    other = np.clip(a + 0.03, 0, 1)  # 8 levels: noise of expression and pose
    assert in_light_of(a, a, other.astype(np.float32)) is a


def test_a_change_of_exposure_is_followed_by_hand() -> None:
    a = face()
    here = (0.6 * a + 0.05).astype(np.float32)  # 0.5 becomes 0.35: far beyond the threshold
    moved = in_light_of(a, a, here)
    np.testing.assert_allclose(moved, here, atol=2e-3)
    # One channel for itself, as another lamp does it.
    here = a.copy()
    here[..., 2] = 0.5 * a[..., 2]
    np.testing.assert_allclose(in_light_of(a, a, here), here, atol=2e-3)


def test_a_wall_where_the_face_was_is_no_other_light() -> None:
    """A turned head: tones and contrast differ by far, but they are those of something else."""
    a, wall = face(), face(1) * np.array([0.4, 0.5, 0.6], np.float32)
    assert in_light_of(a, a, wall) is a
    half = a.copy()  # half of what is compared is still the face, darker
    half[:, :32] = wall[:, :32]
    half[:, 32:] *= 0.5
    assert np.abs(in_light_of(a, a, half) - a).max() < 0.05
    np.testing.assert_allclose(in_light_of(a, a, 0.5 * a), 0.5 * a, atol=2e-3)


def test_a_channel_that_is_cut_off_takes_the_contrast_of_the_others() -> None:
    a = face() * np.array([1.3, 0.9, 0.8], np.float32)  # red skin
    a[40:50, 20:44] = 0.1  # the inside of a mouth
    here = np.clip(a + 0.4, 0, 1).astype(np.float32)  # a flash: most of the red is white
    moved = in_light_of(a, a, here)
    np.testing.assert_allclose(moved[40:50, 20:44, 1:], 0.5, atol=0.03)
    # What is lost of the red says too little of its offset, but no dark mouth turns red.
    inside = moved[40:50, 20:44].mean(axis=(0, 1))
    assert abs(inside[0] - inside[1]) < 0.15
    assert np.abs(moved[24:34, 22:42] - here[24:34, 22:42]).mean() < 0.06


def test_darkness_cuts_off_too() -> None:
    a = face()
    here = np.clip(a - np.array([0.1, 0.1, 0.5], np.float32), 0, 1).astype(np.float32)
    moved = in_light_of(a, a, here)
    np.testing.assert_allclose(moved[..., :2], here[..., :2], atol=0.01)
    assert np.abs(moved[24:34, 22:42, 2] - here[24:34, 22:42, 2]).mean() < 0.05
    assert moved[..., 2].std() == pytest.approx(here[..., 2].std(), rel=0.3)


def test_it_begins_without_a_step() -> None:
    a = face()
    shifts = np.linspace(0.0, 0.12, 61)
    got = [float(in_light_of(a, a, (a + s).astype(np.float32)).mean() - a.mean()) for s in shifts]
    assert got[0] == 0.0
    assert got[-1] == pytest.approx(0.12, abs=1e-3)
    assert np.diff(got).min() >= 0.0
    assert np.diff(got).max() < 0.01


def test_what_lies_beside_nose_and_cheeks_does_not_count() -> None:
    a = face()
    here = a.copy()
    here[38:] = 0.0  # mouth and chin
    here[:18] = 1.0  # eyes and hair
    here[:, :18] = here[:, 48:] = 0.0  # the wall behind a turned head
    assert in_light_of(a, a, here) is a


def test_a_flat_face_is_moved_without_noise() -> None:
    flat = np.full((64, 64, 3), 0.5, np.float32)
    moved = in_light_of(flat, flat, face() * 0.5)
    assert moved.min() >= 0.0
    assert np.ptp(moved, axis=(0, 1)).max() < 1e-6


def test_a_restored_face_stands_in_the_light_of_a_darker_frame() -> None:
    """A face as it was before the light went down, in a frame behind it."""
    y, x = np.mgrid[:64, :64] / 64
    bright = np.stack([0.4 + 0.3 * x, 0.35 + 0.3 * y, 0.3 + 0.2 * x], axis=2).astype(np.float32)
    dark = (0.4 * bright).astype(np.float32)
    mask = np.zeros((64, 64), np.float32)
    mask[34:58, 14:50] = 1.0
    edit = prepare(bright, None, dark, mask, restored=bright)
    assert np.abs(edit.drawn - dark)[34:58, 14:50].max() < 0.03
    assert edit.replace[mask > 0].mean() < 0.5
