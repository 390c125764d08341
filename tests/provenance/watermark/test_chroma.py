"""U straight from the planes, and changes of it put back."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.media.planes import plane_views, private_copy
from lipwright.media.reader import Frame, VideoReader
from lipwright.provenance.watermark.chroma import add_to_half_plane, half_plane, has_colour
from lipwright.provenance.watermark.scheme import half_of_rgb
from tests.conftest import MakeVideo

FORMATS = [
    ("clip.mkv", "yuv420p", 5),
    ("clip.mkv", "yuv420p", 1),
    ("clip.mkv", "yuv422p", 5),
    ("clip.mkv", "yuv444p", 1),
    ("clip.mkv", "yuv420p10le", 9),
    ("clip.mkv", "yuv444p10le", 1),
    ("clip.mkv", "yuv422p10le", 1),
    ("clip.mkv", "gbrp10le", 0),
]


def first_frame(make_video: MakeVideo, name: str, pix_fmt: str, matrix: int = 1) -> Frame:
    path = make_video(name, size=(64, 48), frames=1, pix_fmt=pix_fmt, matrix=matrix)
    with VideoReader(path) as reader:
        return next(iter(reader))


@pytest.mark.parametrize(("name", "pix_fmt", "matrix"), FORMATS)
def test_u_is_that_of_the_rgb_picture(
    make_video: MakeVideo, name: str, pix_fmt: str, matrix: int
) -> None:
    frame = first_frame(make_video, name, pix_fmt, matrix)
    assert has_colour(frame.native)
    half = half_plane(frame.native, frame.info)
    matrices = {5: "ITU601", 1: "ITU709", 9: None, 0: None}
    rgb = frame.native.reformat(format="rgb24", src_colorspace=matrices[matrix]).to_ndarray()
    if matrix == 9:
        return  # swscale knows no BT.2020 here; see the round trip below
    inside = (rgb > 2).all(axis=2) & (rgb < 253).all(axis=2)
    whole = inside.reshape(24, 2, 32, 2).all(axis=(1, 3))
    expected = half_of_rgb(rgb)
    # The converter interpolates chroma between samples; on average nothing is left of that.
    error = (half - expected)[whole]
    assert error.size > 100
    assert abs(error.mean()) < 0.5
    assert np.abs(error).mean() < 3.0


@pytest.mark.parametrize(("name", "pix_fmt", "matrix"), FORMATS)
def test_a_change_arrives_and_luma_stays(
    make_video: MakeVideo, name: str, pix_fmt: str, matrix: int
) -> None:
    frame = first_frame(make_video, name, pix_fmt, matrix)
    before = private_copy(frame.native)
    change = np.zeros((8, 16), np.float32)
    change[2:6, 4:12] = 3.0
    old = half_plane(frame.native, frame.info)
    add_to_half_plane(frame.native, frame.info, 4, 8, change)
    new = half_plane(frame.native, frame.info)
    expected = np.zeros_like(old)
    expected[8:16, 4:20] = change
    np.testing.assert_allclose(new - old, expected, atol=0.7)
    np.testing.assert_array_equal((new - old)[expected == 0], 0.0)
    untouched = 0 if not pix_fmt.startswith("gbr") else 2  # Y, or R
    np.testing.assert_array_equal(
        plane_views(frame.native)[untouched], plane_views(before)[untouched]
    )


def test_a_part_is_a_part_of_the_whole(make_video: MakeVideo) -> None:
    for name, pix_fmt in (("a.mkv", "yuv420p"), ("b.mkv", "yuv422p"), ("c.mkv", "yuv444p")):
        frame = first_frame(make_video, name, pix_fmt)
        whole = half_plane(frame.native, frame.info)
        part = half_plane(frame.native, frame.info, (4, 8, 20, 16))
        np.testing.assert_allclose(part, whole[8:16, 4:20], atol=1e-4)


def test_grey_pictures_have_no_colour(make_video: MakeVideo) -> None:
    frame = first_frame(make_video, "clip.mkv", "gray", 2)
    assert not has_colour(frame.native)
    np.testing.assert_array_equal(half_plane(frame.native, frame.info), 128.0)


def test_neutral_chroma_is_128(make_video: MakeVideo) -> None:
    def grey(index: int, planes: list[np.ndarray]) -> None:  # type: ignore[type-arg]
        planes[0][:], planes[1][:], planes[2][:] = 90, 128, 128

    path = make_video("clip.mkv", size=(32, 32), frames=1, paint=grey)
    with VideoReader(path) as reader:
        frame = next(iter(reader))
        np.testing.assert_allclose(half_plane(frame.native, reader.info), 128.0, atol=1e-3)


@pytest.mark.parametrize("size", [(33, 27), (2, 2), (1, 1), (9, 64)])
def test_odd_sizes(make_video: MakeVideo, size: tuple[int, int]) -> None:
    path = make_video("clip.mkv", size=size, frames=1, pix_fmt="yuv444p")
    with VideoReader(path) as reader:
        frame = next(iter(reader))
        assert half_plane(frame.native, reader.info).shape == (size[1] // 2, size[0] // 2)
