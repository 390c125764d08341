"""Boxes go where the picture goes, and a face gets the window that was marked."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipwright.media.info import probe
from lipwright.provenance.watermark.alignment import PERIOD, Alignment, turned
from lipwright.provenance.watermark.marker import face_region
from tests.conftest import MakeVideo

SHAPE = (40, 60)
BOX = (10.0, 8.0, 24.0, 20.0)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (2.0, 2.0), (0.5, 0.5), (3.0, 2.0)])
def test_a_box_goes_where_the_picture_goes(
    turns: int, mirrored: bool, scale: tuple[float, float]
) -> None:
    half = np.zeros(SHAPE, np.float32)
    half[8:20, 10:24] = 100.0
    alignment = Alignment(*scale, shift_x=6.0, shift_y=-4.0, turns=turns, mirrored=mirrored)
    placed = alignment.place(half, cv2.INTER_NEAREST)
    x0, y0, x1, y1 = (round(v) for v in alignment.place_box(BOX, SHAPE))
    assert (x1 - x0) * (y1 - y0) == 12 * 14 * scale[0] * scale[1]
    assert (placed[y0:y1, x0:x1] == 100.0).all()
    assert placed.sum() == 100.0 * (x1 - x0) * (y1 - y0)


def test_in_place_nothing_is_done() -> None:
    half = np.random.default_rng(0).uniform(0, 255, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(Alignment().place(half), half)
    assert Alignment().place_box(BOX, SHAPE) == BOX


@settings(max_examples=30, deadline=None)
@given(st.floats(-500, 500), st.floats(-500, 500))
def test_shifts_by_whole_tiles_are_the_same_place(x: float, y: float) -> None:
    near = Alignment(shift_x=x, shift_y=y).place_box(BOX, SHAPE)
    far = Alignment(shift_x=x + PERIOD, shift_y=y - 2 * PERIOD).place_box(BOX, SHAPE)
    apart = (np.array(near) - far + PERIOD / 2) % PERIOD - PERIOD / 2
    np.testing.assert_allclose(apart, 0.0, atol=1e-6)


def test_four_turns_and_two_mirrors_undo_themselves() -> None:
    plane = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(turned(plane, 4, False), plane)
    np.testing.assert_array_equal(turned(turned(plane, 0, True), 0, True), plane)
    assert turned(plane, 1, False)[0].tolist() == [3, 7, 11]


def test_the_window_of_a_face_is_what_was_marked(make_video: MakeVideo, tmp_path: Path) -> None:
    """A face of the original, and the same face in a copy of half the size cut at (10, 20)."""
    face = (300.0, 300.0, 700.0, 800.0)
    marked = face_region(probe(make_video("clip.mkv", size=(1000, 1000), frames=1)), face)
    assert marked is not None
    # 2-pixel samples of the copy: half of half of a pixel of the original.
    found = tuple((v - cut) / 4 for v, cut in zip(face, (20.0, 40.0, 20.0, 40.0), strict=True))
    alignment = Alignment(2.0, 2.0, shift_x=10.0, shift_y=20.0)
    window = alignment.marked_window(found, (240, 245))  # type: ignore[arg-type]
    np.testing.assert_allclose(np.array(window) * 2, marked, atol=8.0)
