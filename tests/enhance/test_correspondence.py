"""What counts as the same in two small pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipwright.enhance.correspondence import CONTRAST, LayeredPicture, correspondence
from lipwright.enhance.place import SIDE, Array

INNER = np.s_[40:120, 40:120]


def picture(row: float = 80.0, light: float = 1.0) -> Array:
    """A dark seam across skin."""
    y, x = np.mgrid[:SIDE, :SIDE]
    skin = 0.55 + 0.1 * np.sin(x / 40) + 0.02 * np.sin(x / 3) * np.sin(y / 4)
    seam = 0.3 * np.exp(-0.5 * ((y - row) / 1.5) ** 2)
    return np.asarray(light * (skin - seam), np.float32)


def test_the_same_agrees_everywhere() -> None:
    alike, gain = correspondence(LayeredPicture(picture()), picture())
    assert alike.shape == gain.shape == (SIDE, SIDE)
    assert alike.min() > 0.95
    assert np.abs(gain - 1).max() < 0.01


def test_light_is_told_and_does_not_matter() -> None:
    alike, gain = correspondence(LayeredPicture(picture()), picture(light=0.7))
    assert alike[INNER].min() > 0.9
    assert gain[INNER].mean() == pytest.approx(1 / 0.7, rel=0.02)
    _, most = correspondence(LayeredPicture(picture()), picture(light=0.2))
    assert most.max() <= np.exp(CONTRAST) + 1e-6


def test_a_seam_beside_its_place_is_another() -> None:
    alike, _ = correspondence(LayeredPicture(picture()), picture(row=86.0))
    assert alike[76:92, 60:100].max() < 0.3
    assert alike[20:50, 60:100].min() > 0.9


def test_another_colour_is_another_thing() -> None:
    real = picture()
    other = real.copy()
    cv2.circle(other, (80, 120), 25, 0.1, -1)
    alike, _ = correspondence(LayeredPicture(real), other)
    assert alike[115:125, 75:85].max() < 0.1
    assert alike[20:50, 60:100].min() > 0.9


def test_a_highlight_that_was_drawn_much_weaker_is_another_moment() -> None:
    """A wet lip: it lies where the drawn lip is bright, too, and is three times as strong."""
    y, x = np.mgrid[:SIDE, :SIDE]
    spot = np.exp(-0.5 * (((y - 120) / 2) ** 2 + ((x - 80) / 6) ** 2)).astype(np.float32)
    wet, softer, dull = (picture() + np.float32(v) * spot for v in (0.25, 0.2, 0.08))
    there = np.s_[119:122, 77:84]
    alike, _ = correspondence(LayeredPicture(dull), wet)
    assert alike[there].max() < 0.02
    assert alike[135:, 60:100].min() > 0.9
    alike, _ = correspondence(LayeredPicture(softer), wet)
    assert alike[there].min() > 0.9


def test_the_border_of_an_open_mouth_does_not_excuse_itself() -> None:
    """A dark and a bright side in the one, plain skin in the other, the light of both the same."""
    plain = np.full((SIDE, SIDE), 0.55, np.float32)
    rows = np.arange(SIDE) - 80.0
    edge = 0.1 * np.tanh(rows / 3) * np.exp(-((rows / 14) ** 2))
    alike, _ = correspondence(LayeredPicture(plain), (plain + edge[:, None]).astype(np.float32))
    assert alike[72:88, 40:120].max() < 0.1
    assert alike[110:, 40:120].min() > 0.9
