"""Three ways to read a block, on values worked out by hand and on weakened marks."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.provenance.watermark.alignment import Alignment
from lipwright.provenance.watermark.grid import CHIPS, chips, signs
from lipwright.provenance.watermark.reading import (
    GREY,
    PLAIN,
    READINGS,
    WAYS,
    PlacedFrame,
    Reading,
    sharpened,
    votes,
)
from lipwright.provenance.watermark.scheme import half_of_rgb, mark_plane
from tests.provenance.scenes import MARK, portrait


def test_the_plain_reading_is_that_of_the_published_scheme() -> None:
    strength = np.array([[36.0 * 28 + 9, 36.0 * 28 + 27, 36.0 * 28 + 18]], np.float32)
    np.testing.assert_allclose(votes(strength, Reading()), [[-1, 1, 0]], atol=1e-3)
    # A gain works from grey: 1033 is 9 above it, twice that is 18.
    doubled = votes(np.array([[GREY + 4.5]], np.float32), Reading(2.0))
    plain = votes(np.array([[GREY + 9.0]], np.float32), Reading())
    np.testing.assert_allclose(doubled, plain, atol=1e-5)


@pytest.mark.parametrize(("before", "sign"), [(36.0 * 28 + 18, 1), (36.0 * 29, -1)])
def test_a_local_reading_hears_which_way_a_block_was_moved(before: float, sign: int) -> None:
    """Half-way between a 0 below and a 1 above, a move up is a 1; half a step on it is a 0."""
    strength = np.full((5, 5), before, np.float32)
    strength[2, 2] += 4.0
    assert sign * votes(strength, Reading(way="local"))[2, 2] > 0.1
    strength[2, 2] -= 8.0
    assert sign * votes(strength, Reading(way="local"))[2, 2] < -0.1
    flat = votes(np.full((5, 5), before, np.float32), Reading(way="local"))
    np.testing.assert_allclose(flat, 0.0, atol=1e-3)


def test_a_weakened_mark_on_an_even_area() -> None:
    """A third of every change arrives: s = 1020 lies near a 0, so the plain way reads 0 always."""
    half = np.full((256, 256), 127.5, np.float32)
    word = signs([MARK])[0]
    change = mark_plane(half, (word[chips(0, 0, 64, 64)] > 0).astype(np.uint8))
    sums = PlacedFrame(half + change.astype(np.float32) / 3, Alignment(), WAYS).whole()[:-1]
    assert sums.shape == (3, CHIPS)
    assert (sums[0] < 0).all()
    right = ((sums > 0) == (word > 0)).mean(axis=1)
    assert right[1] > 0.85
    assert right[2] > 0.9


def test_every_way_reads_an_intact_mark() -> None:
    half = half_of_rgb(portrait(512, 512))
    word = signs([MARK])[0]
    change = mark_plane(half, (word[chips(0, 0, 64, 64)] > 0).astype(np.uint8))
    sums = PlacedFrame(half + change.astype(np.float32), Alignment(), WAYS).whole()[:-1]
    right = ((sums > 0) == (word > 0)).mean(axis=1)
    assert right[0] == 1.0
    assert right[1:].min() > 0.85


def test_an_unmarked_picture_says_nothing_in_any_way() -> None:
    half = half_of_rgb(portrait(512, 512))
    sums = PlacedFrame(half, Alignment(), READINGS).whole()[:-1]
    right = ((sums > 0) == (signs([MARK])[0] > 0)).mean(axis=1)
    assert ((right > 0.3) & (right < 0.7)).all()


def test_the_way_of_an_alignment_is_kept() -> None:
    half = half_of_rgb(portrait(256, 256))
    for reading in READINGS:
        tried = PlacedFrame(half, Alignment(), READINGS).votes[READINGS.index(reading)]
        place = Alignment(gain=reading.gain, way=reading.way)
        again = PlacedFrame(half, place, PLAIN).votes[0]
        np.testing.assert_allclose(again, tried, atol=1e-5)


def test_sharpening_leaves_even_areas_alone() -> None:
    flat = np.full((20, 20), 131.0, np.float32)
    np.testing.assert_allclose(sharpened(flat, 2.0), flat, atol=1e-3)
    flat[10, 10] += 4.0
    assert sharpened(flat, 2.0)[10, 10] > 136.0
