"""Black bars end where they were drawn, and what is none is none."""

from __future__ import annotations

from collections.abc import Callable

import av
import numpy as np
import pytest

from lipwright.media.bars import overlap, without_bars
from tests.media.test_region import video_info

WIDTH, HEIGHT = 160, 120
Draw = Callable[[np.ndarray], None]


def frame_of(picture: np.ndarray, pix_fmt: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format=pix_fmt, dst_colorspace=1, dst_color_range=1
    )


def scene(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """A bright scene with noise between bars whose black is noisy too, as codecs leave it."""
    rng = np.random.default_rng(left + 10 * top)
    picture = rng.integers(0, 4, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    inside = picture[top : HEIGHT - bottom, left : WIDTH - right]
    inside[:] = rng.integers(60, 220, inside.shape)
    return picture


@pytest.mark.parametrize(
    "bars", [(0, 20, 0, 20), (0, 0, 0, 14), (32, 0, 30, 0), (12, 16, 10, 8), (0, 0, 0, 0)]
)
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "gray"])
def test_bars_end_where_they_were_drawn(bars: tuple[int, int, int, int], pix_fmt: str) -> None:
    frame = frame_of(scene(*bars), pix_fmt)
    info = video_info(WIDTH, HEIGHT, pix_fmt)
    found = without_bars(frame, info)
    assert found == (bars[0], bars[1], WIDTH - bars[2], HEIGHT - bars[3])


def test_an_edge_inside_a_chroma_sample_leaves_the_sample_alone() -> None:
    found = without_bars(frame_of(scene(0, 21, 0, 21), "yuv420p"), video_info(WIDTH, HEIGHT))
    assert found == (0, 22, WIDTH, HEIGHT - 22)


def head(picture: np.ndarray) -> None:
    """A bright disc before black: no line of it is long."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture[(x - 80) ** 2 + (y - 60) ** 2 < 40**2] = 180


def night(picture: np.ndarray) -> None:
    picture[:] = 2


def one_line(picture: np.ndarray) -> None:
    """A single black line at the edge, as cameras leave it, is too little to say."""
    picture[:-1] = 128


@pytest.mark.parametrize("draw", [head, night, one_line])
def test_what_is_no_bar(draw: Draw) -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    draw(picture)
    found = without_bars(frame_of(picture, "yuv420p"), video_info(WIDTH, HEIGHT))
    assert found == (0, 0, WIDTH, HEIGHT)


def test_overlap() -> None:
    assert overlap((0, 0, 10, 10), (4, 2, 20, 6)) == (4, 2, 10, 6)
    left, _, right, _ = overlap((0, 0, 4, 4), (6, 0, 9, 4))
    assert right <= left
