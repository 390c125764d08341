"""Scene cuts on drawn pictures."""

import numpy as np
import pytest

from lipwright.faces.cuts import CutDetector


def scene(seed, size=(90, 160)):
    """A picture of a few coloured blots."""
    rng = np.random.default_rng(seed)
    height, width = size
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    image = np.tile(rng.uniform(0, 255, 3), (height, width, 1))
    for _ in range(8):
        cx, cy, r = rng.uniform(0, 1, 3)
        image[((x - cx) ** 2 + (y - cy) ** 2) < (0.1 + 0.3 * r) ** 2] = rng.uniform(0, 255, 3)
    return image.astype(np.uint8)


def cuts(frames):
    detector = CutDetector()
    return [i for i, frame in enumerate(frames) if detector.is_cut(frame)]


def test_cuts_between_scenes():
    frames = [scene(s) for s in (1, 1, 1, 2, 2, 2, 2, 3, 3)]
    assert cuts(frames) == [3, 7]


def test_the_first_frame_is_no_cut():
    assert cuts([scene(1)]) == []


def test_noise_is_no_cut():
    rng = np.random.default_rng(0)
    noisy = [np.clip(scene(1) + rng.normal(0, 25, (90, 160, 3)), 0, 255) for _ in range(6)]
    assert cuts([n.astype(np.uint8) for n in noisy]) == []


def test_a_flash_is_no_cut():
    still = scene(4) // 2
    bright = np.minimum(still.astype(int) + 90, 255).astype(np.uint8)
    assert cuts([still, still, bright, still, still]) == []


def test_a_fast_pan_is_no_cut():
    wide = scene(5, (90, 1600))
    frames = [wide[:, x : x + 160] for x in range(0, 1400, 12)]
    assert cuts(frames) == []


def test_fades_are_no_cuts():
    frames = [(scene(1) * (1 - t) + scene(2) * t).astype(np.uint8) for t in np.linspace(0, 1, 25)]
    assert cuts(frames) == []


def test_two_cuts_in_a_row():
    assert cuts([scene(1), scene(1), scene(2), scene(3), scene(3)]) == [2, 3]


def test_a_change_of_the_format_is_a_cut():
    assert cuts([scene(1), scene(1), scene(1, (160, 90)), scene(1, (160, 90))]) == [2]


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3)])
def test_odd_sizes(size):
    picture = np.zeros((*size, 3), np.uint8)
    assert cuts([picture, picture]) == []


def test_black_and_grey_have_no_hue():
    rng = np.random.default_rng(2)
    dark = [rng.integers(0, 4, (90, 160, 3), dtype=np.uint8) for _ in range(5)]
    assert cuts(dark) == []
