"""Smooth planes of the small window in the pixels of a picture, against warps without a grid."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipwright.enhance.place import INSIDE, SIDE, Array, Moved, Place
from lipwright.face_regions import MOUTH_WINDOW

HEIGHT, WIDTH = 301, 353


def place(scale: float) -> Place:
    """The window turned by 7 degrees, near the middle of a picture, ``scale`` times as large."""
    extent = MOUTH_WINDOW[2] - MOUTH_WINDOW[0]
    turn, size = np.deg2rad(7.0), scale * SIDE / extent
    linear = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = (np.array(MOUTH_WINDOW[:2]) + MOUTH_WINDOW[2:]) / 2
    offset = np.array([WIDTH, HEIGHT]) / 2 - linear @ middle
    return Place(np.column_stack([linear, offset]), (HEIGHT, WIDTH))


def grain(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Array:
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    return np.asarray(0.03 * cv2.GaussianBlur(noise, (0, 0), 1.5), np.float32)


def smooth(seed: int) -> Array:
    """(SIDE, SIDE) in [0, 1], as weights are, and 0 along the border."""
    noise = np.random.default_rng(seed).normal(size=(SIDE, SIDE)).astype(np.float32)
    weight = np.clip(0.5 + 4 * cv2.GaussianBlur(noise, (0, 0), 6.0), 0, 1)
    edge = cv2.GaussianBlur(INSIDE, (0, 0), 2.0, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(weight * np.maximum(0, 2 * edge - 1) * INSIDE, np.float32)


def moved(seed: int, cubic: bool) -> Moved:
    """Grain of another size, moved a little."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    wave = 2 * np.sin(x / 25) + np.cos(y / 19)
    band = grain(seed, 400, 420)
    return Moved(band, 2.3 * x + wave, 2.2 * y - wave, smooth(seed), cubic)


def slowly(where: Place, picture: Array, high: Array, less: Array, all_moved: list[Moved]) -> Array:
    """The same with every plane warped to the picture at once."""

    def large(plane: Array) -> Array:
        return np.asarray(cv2.warpAffine(plane, where.matrix, (WIDTH, HEIGHT)), np.float32)

    result = picture - high * large(less)
    for each in all_moved:
        how = cv2.INTER_CUBIC if each.cubic else cv2.INTER_LINEAR
        band = cv2.remap(
            each.band, large(each.x), large(each.y), how, borderMode=cv2.BORDER_REPLICATE
        )
        result += band * large(each.weight)
    return np.clip(result, 0, 1)


@pytest.mark.parametrize("scale", [0.9, 1.6, 2.2, 4.1])
def test_nearly_as_without_a_grid(scale: float) -> None:
    where = place(scale)
    picture = np.clip(0.5 + 4 * grain(0), 0, 1)
    low, _ = where.low(picture, 2.0)
    less, others = smooth(9), [moved(1, True), moved(2, False)]
    made = where.added(picture, low, less, others, None)
    slow = slowly(where, picture, low.whole(picture), less, others)
    changed = np.abs(slow - picture)
    assert np.abs(made - slow).max() < 0.5 / 255
    assert np.abs(made - slow).mean() < 0.02 * changed.mean()


def test_only_what_is_shown_is_made() -> None:
    where = place(2.2)
    picture = np.clip(0.5 + 4 * grain(0), 0, 1)
    low, _ = where.low(picture, 2.0)
    less, others = smooth(9), [moved(1, True), moved(2, False)]
    everywhere = where.added(picture, low, less, others, None)
    shown = np.zeros_like(picture)
    cv2.circle(shown, (190, 140), 70, 1.0, -1)
    made = where.added(picture, low, less, others, shown)
    assert np.abs(made - everywhere)[shown > 0].max() < 0.1 / 255
    assert np.array_equal(made[:60], picture[:60])
    assert np.array_equal(where.added(picture, low, less, others, 0 * shown), picture)


def test_the_energy_is_that_of_all_pixels() -> None:
    where, other = place(2.2), moved(1, False)
    weight = cv2.warpAffine(INSIDE, where.matrix, (WIDTH, HEIGHT))
    x, y, own = (
        cv2.warpAffine(plane, where.matrix, (WIDTH, HEIGHT))
        for plane in (other.x, other.y, other.weight)
    )
    band = cv2.remap(other.band, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * own
    every = float((weight * band**2).sum() / weight.sum())
    some = where.some(INSIDE)
    assert where.energy(other, some) / some.sum() == pytest.approx(every, rel=0.1)


def test_a_picture_is_its_high_band_and_the_rest() -> None:
    where = place(2.2)
    picture = np.clip(0.5 + 4 * grain(0), 0, 1)
    low, small = where.low(picture, 2.0)
    high = low.whole(picture)
    rest = cv2.GaussianBlur(picture, (0, 0), 2.0, borderType=cv2.BORDER_REPLICATE)
    assert np.std(picture - high - rest) < 0.1 * np.std(rest)
    assert np.array_equal(high[50:60, 70:90], low.high(picture, slice(50, 60), slice(70, 90)))
    part = low.high(picture[40:], slice(10, 20), slice(70, 90), (40, 0))
    assert np.array_equal(part, high[50:60, 70:90])
    turned = cv2.warpAffine(
        rest, where.matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    assert np.abs(small - turned)[20:-20, 20:-20].max() < 0.05
