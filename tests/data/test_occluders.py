"""Things painted before faces: where they are told to be, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipwright.data.occluders import paint
from lipwright.data.painted_hands import hand

SIZE = 96


def face(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(60, 200, (12, 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (SIZE, SIZE)), np.uint8)


@pytest.mark.parametrize("seed", range(40))
def test_a_picture_changes_where_something_covers_it(seed: int) -> None:
    before = face(1)
    after, cover = paint(before, face(2), np.random.default_rng(seed))
    assert after.shape == before.shape
    assert after.dtype == np.uint8
    assert cover.shape == (SIZE, SIZE)
    assert cover.min() >= 0
    assert cover.max() <= 1
    # A shadow may fall beside a thing, but nothing gets lighter there.
    beside = cover == 0
    assert (after[beside] <= before[beside]).all()


def test_things_are_of_all_sizes_and_in_the_lower_half() -> None:
    covers = [paint(face(1), face(2), np.random.default_rng(seed))[1] > 0.5 for seed in range(80)]
    shares = np.array([cover.mean() for cover in covers])
    assert (shares > 0.002).mean() > 0.9
    assert shares.max() > 0.15
    where = np.mean(covers, axis=0)
    assert where[SIZE // 2 :].sum() > 2 * where[: SIZE // 2].sum()


def test_the_same_numbers_paint_the_same() -> None:
    a, b = (paint(face(1), face(2), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(a[0], b[0])
    assert np.array_equal(a[1], b[1])


def test_hands_have_the_colours_of_a_face() -> None:
    plain = np.full((SIZE, SIZE, 3), (180, 130, 110), np.uint8)
    for seed in range(20):
        cover, colours = hand(plain, plain, np.random.default_rng(seed))
        assert set(np.unique(cover)) <= {0.0, 1.0}
        if cover.any():
            shown = colours[cover > 0]
            ratio = shown / np.maximum(shown[:, 1:2], 1)
            assert np.median(ratio, axis=0) == pytest.approx([180 / 130, 1, 110 / 130], abs=0.12)
