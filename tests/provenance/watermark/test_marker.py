"""The last pixel step: where it writes, and where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lipwright.errors import LipwrightError
from lipwright.media.info import VideoInfo, probe
from lipwright.media.planes import plane_views, private_copy
from lipwright.media.reader import Frame, VideoReader
from lipwright.provenance.watermark.alignment import Alignment
from lipwright.provenance.watermark.chroma import half_plane
from lipwright.provenance.watermark.grid import ID_BITS, format_id, id_bits
from lipwright.provenance.watermark.marker import Marker, Region, face_region
from lipwright.provenance.watermark.reading import PlacedFrame
from tests.conftest import MakeVideo
from tests.provenance.scenes import (
    FACE,
    MARK,
    mark_video,
    moving_portrait,
    portrait,
    published_crop,
    published_library,
    reference_votes,
    rgb_of,
)


def one_frame(make_video: MakeVideo, **options: Any) -> Frame:
    settings = {"size": (512, 384), "frames": 1, "paint": moving_portrait, **options}
    with VideoReader(make_video("clip.mkv", **settings)) as reader:
        return next(iter(reader))


def read_id(frame: Frame, box: tuple[int, int, int, int] | None = None) -> npt.NDArray[np.float64]:
    half = half_plane(frame.native, frame.info)
    placed = PlacedFrame(half, Alignment())
    if box is None:
        return placed.whole()[0, :ID_BITS]
    return placed._sums(tuple(v / 2 for v in box))[0, :ID_BITS]  # type: ignore[arg-type]


def test_the_face_is_marked_and_the_rest_is_bit_equal(make_video: MakeVideo) -> None:
    frame = one_frame(make_video)
    before = private_copy(frame.native)
    marker = Marker(MARK)
    marker.mark(frame.native, frame.info, [FACE])
    ((x0, y0, x1, y1),) = marker.regions(frame.info, [FACE])
    assert (x0 % 8, y0 % 8, x1 % 8, y1 % 8) == (0, 0, 0, 0)
    assert x1 - x0 >= 256
    assert y1 - y0 >= 256
    changed = plane_views(frame.native)[1] != plane_views(before)[1]
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max() + 1) == (y0 // 2, y1 // 2)
    assert (columns.min(), columns.max() + 1) == (x0 // 2, x1 // 2)
    for plane in (0, 2):
        np.testing.assert_array_equal(plane_views(frame.native)[plane], plane_views(before)[plane])
    assert ((read_id(frame, (x0, y0, x1, y1)) > 0) == id_bits(MARK)).all()
    assert (marker.marked, marker.unmarked) == (1, 0)


def test_the_whole_frame_is_marked(make_video: MakeVideo) -> None:
    regions: tuple[Region, ...] = ("frame", "both")
    for region in regions:
        frame = one_frame(make_video)
        Marker(MARK, region).mark(frame.native, frame.info, [])
        assert ((read_id(frame) > 0) == id_bits(MARK)).all()


def test_marking_twice_changes_nothing_more(make_video: MakeVideo) -> None:
    frame = one_frame(make_video)
    marker = Marker(MARK)
    marker.mark(frame.native, frame.info, [FACE])
    once = plane_views(private_copy(frame.native))[1].astype(int)
    marker.mark(frame.native, frame.info, [FACE, (FACE[0] + 3, FACE[1], FACE[2], FACE[3])])
    assert np.abs(plane_views(frame.native)[1].astype(int) - once)[:, :128].max() <= 1


def test_a_second_face_is_marked_too(make_video: MakeVideo) -> None:
    frame = one_frame(make_video, size=(1024, 320))
    boxes = [(60.0, 60.0, 220.0, 240.0), (760.0, 40.0, 930.0, 240.0)]
    marker = Marker(MARK)
    marker.mark(frame.native, frame.info, boxes)
    regions = marker.regions(frame.info, boxes)
    assert len(regions) == 2
    for region in regions:
        assert ((read_id(frame, region) > 0) == id_bits(MARK)).all()
    between = read_id(frame, (352, 0, 640, 320))
    assert not ((between > 0) == id_bits(MARK)).all()


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p", "yuv444p", "gbrp10le"])
def test_other_pixel_formats(make_video: MakeVideo, pix_fmt: str) -> None:
    def paint(index: int, planes: list[npt.NDArray[Any]]) -> None:
        picture = portrait(planes[0].shape[1], planes[0].shape[0])
        if pix_fmt == "gbrp10le":
            for plane, channel in zip(planes, (1, 2, 0), strict=True):
                plane[:] = picture[..., channel].astype(np.uint16) * 4
        elif pix_fmt == "yuv420p10le":
            moving_portrait(index, planes)
        else:
            planes[0][:] = picture[..., 1]
            for plane, channel in zip(planes[1:], (2, 0), strict=True):
                wide = picture[:, ::2] if pix_fmt == "yuv422p" else picture
                plane[:] = 100 + wide[..., channel] // 8

    frame = one_frame(make_video, pix_fmt=pix_fmt, paint=paint)
    marker = Marker(MARK)
    marker.mark(frame.native, frame.info, [FACE])
    sums = read_id(frame, marker.regions(frame.info, [FACE])[0])
    assert ((sums > 0) == id_bits(MARK)).all()


def test_grey_frames_and_frames_without_a_face_pass(make_video: MakeVideo) -> None:
    marker = Marker(MARK)
    grey = one_frame(make_video, pix_fmt="gray", paint=lambda i, p: None)
    marker.mark(grey.native, grey.info, [FACE])
    frame = one_frame(make_video)
    before = private_copy(frame.native)
    marker.mark(frame.native, frame.info, [])
    marker.mark(frame.native, frame.info, [(900.0, 900.0, 990.0, 990.0), (50.0, 50.0, 50.0, 90.0)])
    for old, new in zip(plane_views(before), plane_views(frame.native), strict=True):
        np.testing.assert_array_equal(old, new)
    assert (marker.marked, marker.unmarked) == (0, 3)


def test_a_turned_video_is_marked_in_stored_pixels(make_video: MakeVideo) -> None:
    path = make_video("clip.mp4", size=(512, 384), frames=1, rotation=90, paint=moving_portrait)
    with VideoReader(path) as reader:
        frame = next(iter(reader))
        assert reader.info.rotation == 90
        marker = Marker(MARK)
        face = (40.0, 60.0, 200.0, 260.0)  # of the upright 384x512 picture
        marker.mark(frame.native, reader.info, [face])
        ((x0, y0, x1, y1),) = marker.regions(reader.info, [face])
        # Upright x runs against stored y, upright y along stored x.
        assert x0 <= 60 < 260 <= x1
        assert y0 <= 384 - 200 < 384 - 40 <= y1
        assert ((read_id(frame, (x0, y0, x1, y1)) > 0) == id_bits(MARK)).all()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((300.0, 300.0, 700.0, 800.0), (240, 224, 760, 880)),  # 1.3 times 400x500
        ((500.0, 500.0, 520.0, 520.0), (376, 376, 640, 640)),  # at least 256
        ((0.0, 0.0, 100.0, 100.0), (0, 0, 256, 256)),  # pushed back inside
        ((950.0, 900.0, 1000.0, 1000.0), (744, 744, 1000, 1000)),
        ((-500.0, -500.0, 1500.0, 1500.0), (0, 0, 1000, 1000)),
    ],
)
def test_the_region_of_a_face(
    make_video: MakeVideo,
    box: tuple[float, float, float, float],
    expected: tuple[int, int, int, int],
) -> None:
    info = probe(make_video("clip.mkv", size=(1000, 1000), frames=1))
    assert face_region(info, box) == expected


def test_small_pictures(make_video: MakeVideo) -> None:
    tiny = probe(make_video("tiny.mkv", size=(6, 40), frames=1))
    assert face_region(tiny, (0.0, 0.0, 5.0, 30.0)) is None
    assert Marker(MARK, "frame").regions(tiny, []) == []
    small = probe(make_video("small.mkv", size=(100, 60), frames=1))
    assert face_region(small, (20.0, 10.0, 60.0, 50.0)) == (0, 0, 96, 56)


def test_bad_arguments() -> None:
    with pytest.raises(LipwrightError, match="region"):
        Marker(MARK, "nose")  # type: ignore[arg-type]
    with pytest.raises(LipwrightError, match="32 bits"):
        Marker(2**32)


def marked_crop(make_video: MakeVideo, face: tuple[float, ...]) -> tuple[Any, int]:
    frame = one_frame(make_video, size=(720, 480))
    marker = Marker(MARK)
    marker.mark(frame.native, frame.info, [face])
    crop = published_crop(marker.regions(frame.info, [face])[0])
    assert crop is not None
    x0, y0, x1, y1 = crop.box
    assert (x1 - x0) % 256 == 0
    return rgb_of(frame)[y0:y1, x0:x1], crop.turn


@pytest.mark.parametrize("face", [FACE, (330.0, 100.0, 640.0, 420.0), (250.0, 90.0, 420.0, 300.0)])
def test_the_marked_crop_reads_by_the_published_description(
    make_video: MakeVideo, face: tuple[float, ...]
) -> None:
    picture, turn = marked_crop(make_video, face)
    bits = reference_votes(picture) > 127 / 255
    np.testing.assert_array_equal(np.roll(bits, turn), id_bits(MARK) == 1)


@pytest.mark.parametrize("face", [FACE, (250.0, 90.0, 420.0, 300.0)])
def test_the_marked_crop_reads_with_the_published_library(
    make_video: MakeVideo, face: tuple[float, ...]
) -> None:
    library = published_library()
    picture, turn = marked_crop(make_video, face)
    bgr = np.ascontiguousarray(picture[..., ::-1])
    bits = library.WatermarkDecoder("bits", 32).decode(bgr, "dwtDctSvd")
    np.testing.assert_array_equal(np.roll(bits, turn), id_bits(MARK) == 1)
    if turn == 0:
        text = library.WatermarkDecoder("bytes", 32).decode(bgr, "dwtDctSvd")
        assert text == bytes.fromhex(format_id(MARK))


def test_a_coded_crop_reads_with_the_published_library(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    """Encoded by the product's own writer, decoded again."""
    library = published_library()
    source = make_video("source.mkv", size=(512, 384), frames=3, paint=moving_portrait)
    mark_video(source, tmp_path / "marked.mp4")
    with VideoReader(tmp_path / "marked.mp4") as reader:
        crop = published_crop(Marker(MARK).regions(reader.info, [FACE])[0])
        assert crop is not None
        x0, y0, x1, y1 = crop.box
        for frame in reader:
            bgr = np.ascontiguousarray(rgb_of(frame)[y0:y1, x0:x1, ::-1])
            bits = library.WatermarkDecoder("bits", 32).decode(bgr, "dwtDctSvd")
            np.testing.assert_array_equal(np.roll(bits, crop.turn), id_bits(MARK) == 1)


def test_no_published_crop_in_a_narrow_region() -> None:
    assert published_crop((0, 0, 248, 400)) is None


def test_info_is_unchanged(make_video: MakeVideo, tmp_path: Path) -> None:
    frame = one_frame(make_video)
    info: VideoInfo = frame.info
    Marker(MARK).mark(frame.native, info, [FACE])
    assert (frame.native.width, frame.native.height) == (info.width, info.height)
    assert frame.native.format.name == info.pix_fmt
