"""Frames in order, with exact times, whatever the file goes through."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import lipwright.media.source
from lipwright.errors import LipwrightError
from lipwright.media.planes import plane_views
from lipwright.media.reader import VideoReader
from tests.conftest import MakeVideo


def test_constant_rate(make_video: MakeVideo) -> None:
    with VideoReader(make_video(frames=7, fps=Fraction(30_000, 1001))) as reader:
        frames = list(reader)
    assert [f.index for f in frames] == list(range(7))
    assert [f.time for f in frames] == [i * Fraction(1001, 30_000) for i in range(7)]
    assert all(f.duration * f.time_base == Fraction(1001, 30_000) for f in frames)
    assert reader.warnings == []


def test_variable_rate_keeps_every_timestamp(make_video: MakeVideo) -> None:
    pts = [0, 3003, 6007, 15_015, 18_018, 90_000, 90_001, 180_000]
    path = make_video(pts=pts, time_base=Fraction(1, 90_000))
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [f.pts * f.time_base * 90_000 for f in frames] == pts
    assert frames[5].time == 1


def test_time_counts_from_the_first_frame(make_video: MakeVideo) -> None:
    path = make_video("a.mkv", pts=[5000, 5040, 5100], time_base=Fraction(1, 1000))
    with VideoReader(path) as reader:
        frames = list(reader)
    assert frames[0].pts == 5000
    assert [f.time for f in frames] == [0, Fraction(40, 1000), Fraction(1, 10)]


def test_frames_are_plain_planar_with_exact_codes(make_video: MakeVideo) -> None:
    def paint(index: int, planes: list[np.ndarray]) -> None:
        for number, plane in enumerate(planes):
            plane[:] = 64 + 100 * number + index

    path = make_video("a.mkv", pix_fmt="yuv420p10le", paint=paint, frames=3, size=(5, 3))
    with VideoReader(path) as reader:
        for frame in reader:
            values = [set(np.unique(v)) for v in plane_views(frame.native)]
            assert values == [{64 + frame.index}, {164 + frame.index}, {264 + frame.index}]


@pytest.mark.parametrize(("name", "pix_fmt"), [("a.png", "rgb24"), ("a.jpg", "yuvj420p")])
def test_a_still_picture_is_one_frame(make_video: MakeVideo, name: str, pix_fmt: str) -> None:
    with VideoReader(make_video(name, pix_fmt=pix_fmt, code_range=2)) as reader:
        frames = list(reader)
    assert len(frames) == 1
    assert frames[0].time == 0
    assert reader.info.is_still


def test_a_gif(make_video: MakeVideo) -> None:
    path = make_video("a.gif", pix_fmt="rgb8", frames=4, fps=10, time_base=Fraction(1, 100))
    with VideoReader(path) as reader:
        assert len(list(reader)) == 4
        assert reader.info.pix_fmt == "gbrp"


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.avi"])
def test_a_truncated_file_gives_what_it_holds(make_video: MakeVideo, name: str) -> None:
    codec = "libx264" if name == "a.ts" else "ffv1"
    path = make_video(name, frames=60, codec=codec)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with VideoReader(path) as reader:
        count = len(list(reader))
    assert 5 < count < 60


def test_an_mp4_without_its_index_is_refused(make_video: MakeVideo) -> None:
    path = make_video(frames=30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(LipwrightError, match="damaged"):
        VideoReader(path)


def test_damage_in_the_middle_is_survived_and_reported(make_video: MakeVideo) -> None:
    path = make_video("a.mkv", frames=50, size=(128, 96))
    data = bytearray(path.read_bytes())
    for start in range(len(data) // 3, 2 * len(data) // 3, 4000):
        data[start : start + 2000] = np.random.default_rng(start).bytes(2000)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        times = [f.pts for f in reader]
    assert len(times) > 10
    assert times == sorted(set(times))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_random_damage_never_crashes(make_video: MakeVideo, name: str, seed: int) -> None:
    path = make_video(name, frames=8, audio="sine", audio_rate=48_000)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(data), 40):
        data[place] = rng.integers(0, 256)
    path.write_bytes(data)
    try:
        with VideoReader(path) as reader:
            times = [f.pts for f in reader]
    except LipwrightError:
        return
    assert times == sorted(set(times))


def test_timestamps_that_run_backwards_are_put_in_order(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    first, second = (
        make_video(name, frames=6, codec="mpeg2video", time_base=Fraction(1, 25))
        for name in ("a.ts", "b.ts")
    )
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with VideoReader(both) as reader:
        times = [f.pts for f in reader]
    assert len(times) >= 10
    assert times == sorted(set(times))
    assert any("backwards" in w for w in reader.warnings)


def test_a_change_of_size_on_the_way(make_video: MakeVideo, tmp_path: Path) -> None:
    """Two raw H.264 streams in one file, as after a change of resolution in a call."""
    first = make_video("a.h264", size=(64, 48), frames=5)
    second = make_video("b.h264", size=(32, 24), frames=5)
    both = tmp_path / "both.h264"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with VideoReader(both) as reader:
        sizes = {(f.native.width, f.native.height) for f in reader}
        count = reader.info.width
    assert sizes == {(64, 48)}
    assert count == 64
    assert any("changes on the way" in w for w in reader.warnings)


def test_closing_early_and_often(make_video: MakeVideo) -> None:
    """Closing while decoding threads are at work must not wait for ever.

    It did, once in four times, when libav's log messages were routed into Python.
    """
    assert av.logging.get_level() is None, lipwright.media.source.__name__
    path = make_video(frames=40, size=(320, 240), options={"bf": "2"})
    for _ in range(12):
        with VideoReader(path) as reader:
            frames = iter(reader)
            kept = [next(frames) for _ in range(3)]
        assert plane_views(kept[-1].native)[0].shape == (240, 320)


def test_iterating_after_closing_ends(make_video: MakeVideo) -> None:
    reader = VideoReader(make_video())
    reader.close()
    assert list(reader) == []


def corner_colours(index: int, planes: list[np.ndarray]) -> None:
    """gbrp: red top left, green top right, blue bottom left, white bottom right."""
    green, blue, red = planes
    height, width = red.shape
    top, left = np.s_[: height // 2], np.s_[: width // 2]
    down, right = np.s_[height // 2 :], np.s_[width // 2 :]
    for plane in planes:
        plane[:] = 0
    red[top, left] = green[top, right] = blue[down, left] = 255
    for plane in planes:
        plane[down, right] = 255


RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.mark.parametrize(
    ("rotation", "mirrored", "expected"),
    [
        (0, False, (RED, GREEN, BLUE, WHITE)),
        (90, False, (BLUE, RED, WHITE, GREEN)),
        (180, False, (WHITE, BLUE, GREEN, RED)),
        (270, False, (GREEN, WHITE, RED, BLUE)),
        (0, True, (GREEN, RED, WHITE, BLUE)),
    ],
)
def test_thumbnails_are_upright(
    make_video: MakeVideo, rotation: int, mirrored: bool, expected: tuple[tuple[int, ...], ...]
) -> None:
    def paint(index: int, planes: list[np.ndarray]) -> None:
        picture = np.zeros((80, 120, 4), np.uint8)
        parts = [np.zeros((80, 120), np.uint8) for _ in range(3)]
        corner_colours(index, parts)
        picture[..., 0], picture[..., 1], picture[..., 2] = parts[1], parts[0], parts[2]
        planes[0][:] = picture.reshape(80, 480)

    path = make_video(
        "a.mkv",
        size=(120, 80),
        pix_fmt="bgr0",
        paint=paint,
        rotation=rotation,
        mirrored=mirrored,
        frames=1,
    )
    with VideoReader(path) as reader:
        image, scale = next(iter(reader)).thumbnail(60)
    assert scale == 2.0
    assert image.shape == ((60, 40, 3) if rotation in (90, 270) else (40, 60, 3))
    high, wide = image.shape[:2]
    corners = [image[5, 5], image[5, wide - 6], image[high - 6, 5], image[high - 6, wide - 6]]
    assert [tuple(c) for c in corners] == list(expected)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p16le"])
@pytest.mark.parametrize(("matrix", "code_range"), [(1, 1), (6, 1), (9, 1), (1, 2), (6, 2)])
def test_thumbnails_have_the_right_colour(
    make_video: MakeVideo, pix_fmt: str, matrix: int, code_range: int
) -> None:
    weights = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    rgb = np.array([0.8, 0.5, 0.3])
    kr, kb = weights
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    analogue = (luma, (rgb[2] - luma) / (2 - 2 * kb), (rgb[0] - luma) / (2 - 2 * kr))
    depth = int(pix_fmt[7:9] or 8) if pix_fmt[7:9].isdigit() else 8
    unit = 2 ** (depth - 8)
    top = 2**depth - 1
    if code_range == 2:
        codes = [top * analogue[0], top * analogue[1] + 128 * unit, top * analogue[2] + 128 * unit]
    else:
        codes = [
            unit * (16 + 219 * analogue[0]),
            unit * (128 + 224 * analogue[1]),
            unit * (128 + 224 * analogue[2]),
        ]

    def paint(index: int, planes: list[np.ndarray]) -> None:
        for plane, code in zip(planes, codes, strict=True):
            plane[:] = round(code)

    path = make_video(
        "a.mkv", pix_fmt=pix_fmt, matrix=matrix, code_range=code_range, paint=paint, frames=1
    )
    with VideoReader(path) as reader:
        image, scale = next(iter(reader)).thumbnail(1000)
    assert scale == 1.0
    assert np.abs(image.reshape(-1, 3) - 255 * rgb).max() <= 2.0


def test_thumbnails_of_anamorphic_pictures_have_square_pixels(make_video: MakeVideo) -> None:
    path = make_video(size=(72, 58), aspect=Fraction(4, 3), frames=1)
    with VideoReader(path) as reader:
        image, scale = next(iter(reader)).thumbnail(96)
        assert reader.info.display_size == (96, 58)
    assert scale == 1.0
    assert image.shape == (58, 96, 3)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (33, 17), (641, 361)])
@pytest.mark.parametrize("side", [1, 7, 64, 640])
def test_thumbnails_of_any_size(make_video: MakeVideo, size: tuple[int, int], side: int) -> None:
    with VideoReader(make_video("a.mkv", size=size, frames=1)) as reader:
        image, scale = next(iter(reader)).thumbnail(side)
    assert max(image.shape[:2]) <= max(side, 1)
    assert scale >= 1.0
    assert image.shape[1] == pytest.approx(max(1, size[0] / scale), abs=1)
    assert image.shape[0] == pytest.approx(max(1, size[1] / scale), abs=1)


def test_thumbnail_scale_says_where_a_point_is(make_video: MakeVideo) -> None:
    def paint(index: int, planes: list[np.ndarray]) -> None:
        planes[0][:] = 16
        planes[1][:] = planes[2][:] = 128
        planes[0][150:158, 300:308] = 235  # centre at (303.5, 153.5)

    path = make_video("a.mkv", size=(700, 420), paint=paint, frames=1)
    with VideoReader(path) as reader:
        image, scale = next(iter(reader)).thumbnail(300)
    weight = image[..., 1].astype(float)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    found = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
    assert (found + 0.5) * scale - 0.5 == pytest.approx([303.5, 153.5], abs=0.2)


def test_real_clips_decode_completely(corpus: Path) -> None:
    for pattern in ("*av2av__3.webm", "*lbax4n.mpg", "*00086.mp4"):
        with VideoReader(next((corpus / "demo").glob(pattern))) as reader:
            frames = [(f.pts, f.index) for f in reader]
            assert reader.warnings == []
            assert reader.info.frame_count is not None
            assert abs(len(frames) - reader.info.frame_count) <= 1
