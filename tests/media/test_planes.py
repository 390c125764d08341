"""Every decoded format becomes plain planar without changing a code."""

from __future__ import annotations

import av
import numpy as np
import pytest

from lipwright.media.planes import (
    add_to_plane,
    layout_of,
    planar_name,
    plane_views,
    private_copy,
    to_planar,
)
from tests.conftest import raw_planes

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("name", "depth", "chroma", "planes"),
    [
        ("yuv420p", 8, (2, 2), (0, 1, 2)),
        ("yuv422p10le", 10, (2, 1), (0, 1, 2)),
        ("yuv444p16le", 16, (1, 1), (0, 1, 2)),
        ("yuv411p", 8, (4, 1), (0, 1, 2)),
        ("yuva420p", 8, (2, 2), (0, 1, 2)),
        ("gbrp", 8, (1, 1), (2, 0, 1)),
        ("gbrp12le", 12, (1, 1), (2, 0, 1)),
        ("gray", 8, (1, 1), (0,)),
        ("gray10le", 10, (1, 1), (0,)),
    ],
)
def test_plain_planar_layouts(
    name: str, depth: int, chroma: tuple[int, int], planes: tuple[int, ...]
) -> None:
    layout = layout_of(name)
    assert layout is not None
    assert (layout.depth, layout.planes) == (depth, planes)
    assert (layout.chroma_x, layout.chroma_y) == chroma
    assert planar_name(name) == name


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("nv12", "yuv420p"),
        ("nv21", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("p016le", "yuv420p16le"),
        ("p210le", "yuv422p10le"),
        ("p412le", "yuv444p12le"),
        ("yuvj420p", "yuv420p"),
        ("yuyv422", "yuv422p"),
        ("rgb24", "gbrp"),
        ("bgra", "gbrp"),
        ("pal8", "gbrp"),
        ("rgb48be", "gbrp16le"),
        ("x2rgb10le", "gbrp10le"),
        ("yuv420p10be", "yuv420p10le"),
        ("gray16be", "gray16le"),
        ("yuv444p10msble", "yuv444p10le"),
        ("monow", "gray"),
        ("rgb565le", "gbrp"),
        ("xyz12le", "gbrp16le"),
        ("gbrpf32le", "gbrp16le"),
        ("bayer_rggb8", "gbrp"),
    ],
)
def test_other_formats_have_a_planar_equivalent(name: str, target: str) -> None:
    assert layout_of(name) is None
    assert planar_name(name) == target
    assert layout_of(target) is not None


def test_every_format_of_libav_has_one() -> None:
    # An exhaustive sweep: no input format may end in an exception.
    for name in sorted(_all_formats()):
        assert layout_of(planar_name(name)) is not None, name


def _all_formats() -> set[str]:
    names: set[str] = set()
    for codec in ("rawvideo", "ffv1", "libx264", "libx265", "png", "tiff", "dpx", "prores_ks"):
        names |= {f.name for f in av.Codec(codec, "w").video_formats or []}
    names |= {"nv12", "p010le", "yuyv422", "uyvy422", "pal8", "ya8", "0rgb", "rgb4_byte", "y210le"}
    return names


@pytest.mark.parametrize("size", [(16, 8), (7, 5), (1, 1)])
def test_nv12_keeps_every_code(size: tuple[int, int]) -> None:
    frame = av.VideoFrame(*size, "nv12")
    luma = np.frombuffer(frame.planes[0], np.uint8).reshape(size[1], -1)[:, : size[0]]
    wide, high = (size[0] + 1) // 2, (size[1] + 1) // 2
    chroma = np.frombuffer(frame.planes[1], np.uint8).reshape(high, -1)[:, : 2 * wide]
    luma[:] = RNG.integers(0, 256, luma.shape)
    chroma[:] = RNG.integers(0, 256, chroma.shape)
    for tagged in (0, 1, 2):
        frame.color_range = tagged
        y, u, v = plane_views(to_planar(frame))
        assert np.array_equal(y, luma)
        assert np.array_equal(u, chroma[:, 0::2])
        assert np.array_equal(v, chroma[:, 1::2])


def test_p010_keeps_every_code() -> None:
    frame = av.VideoFrame(16, 8, "p010le")
    luma = np.frombuffer(frame.planes[0], np.uint16).reshape(8, -1)[:, :16]
    chroma = np.frombuffer(frame.planes[1], np.uint16).reshape(4, -1)[:, :16]
    luma[:] = RNG.integers(0, 1024, luma.shape) << 6
    chroma[:] = RNG.integers(0, 1024, chroma.shape) << 6
    y, u, v = plane_views(to_planar(frame))
    assert np.array_equal(y, luma >> 6)
    assert np.array_equal(u, chroma[:, 0::2] >> 6)
    assert np.array_equal(v, chroma[:, 1::2] >> 6)


def test_full_range_jpeg_yuv_keeps_every_code_and_says_so() -> None:
    frame = av.VideoFrame(10, 6, "yuvj420p")
    for plane in raw_planes(frame):
        plane[:] = RNG.integers(0, 256, plane.shape)
    frame.pts = 77
    result = to_planar(frame)
    assert result.format.name == "yuv420p"
    assert (result.color_range, result.pts) == (2, 77)
    for before, after in zip(raw_planes(frame), raw_planes(result), strict=True):
        assert np.array_equal(before, after)


def test_packed_rgb_keeps_every_code() -> None:
    pixels = RNG.integers(0, 256, (9, 13, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    green, blue, red = plane_views(to_planar(frame))
    assert np.array_equal(np.stack([red, green, blue], axis=-1), pixels)


def test_planar_frames_pass_through_untouched() -> None:
    frame = av.VideoFrame(8, 8, "yuv422p10le")
    assert to_planar(frame) is frame


def test_views_write_into_the_frame_and_copies_do_not() -> None:
    frame = av.VideoFrame(33, 17, "yuv420p10le")
    for view in plane_views(frame):
        view[:] = 500
    copy = private_copy(frame)
    plane_views(frame)[0][3, 4] = 1
    assert plane_views(frame)[0][3, 4] == 1
    assert (plane_views(copy)[0] == 500).all()
    assert [v.shape for v in plane_views(copy)] == [(17, 33), (9, 17), (9, 17)]


def test_copies_keep_time_and_tags() -> None:
    frame = av.VideoFrame(8, 8, "yuv420p")
    frame.pts, frame.colorspace, frame.color_range = 42, 1, 2
    frame.color_primaries, frame.color_trc = 9, 16
    copy = private_copy(frame)
    assert (copy.pts, copy.colorspace, copy.color_range) == (42, 1, 2)
    assert (copy.color_primaries, copy.color_trc) == (9, 16)


def test_views_of_a_packed_format_are_refused() -> None:
    with pytest.raises(ValueError, match="plain planar"):
        plane_views(av.VideoFrame(8, 8, "rgb24"))


@pytest.mark.parametrize(("dtype", "highest"), [(np.uint8, 255), (np.uint16, 1023)])
def test_codes_are_rounded_and_stay_in_range(dtype: type, highest: int) -> None:
    target = np.array([[0, 10, highest, highest - 1]], dtype)
    add_to_plane(target, np.array([[-3.0, 0.6, 5.0, 0.0]], np.float32), highest)
    assert target.tolist() == [[0, 11, highest, highest - 1]]
