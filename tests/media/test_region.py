"""Sampling and editing regions, against slow and obvious versions of the same."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipwright.media.colour import ColourTags, colour_code
from lipwright.media.info import VideoInfo
from lipwright.media.planes import layout_of, plane_views, private_copy
from lipwright.media.reader import VideoReader
from lipwright.media.region import (
    RegionEdit,
    brightness_weights,
    crop_to_storage,
    sample_crop,
    storage_box,
)
from tests.conftest import MakeVideo

FORMATS = [
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuv411p",
    "yuv440p",
    "yuva420p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p12le",
    "yuv420p16le",
    "gray",
    "gray10le",
    "gbrp",
    "gbrp10le",
]


def apply_delta(
    frame: av.VideoFrame,
    info: VideoInfo,
    box: tuple[int, int, int, int],
    delta: np.ndarray,
    mask: np.ndarray | None = None,
) -> None:
    """Add ``delta`` (h, w, 3) RGB to the rectangle ``box`` of stored pixels, in place.

    The box may have any position and size; what lies outside the picture is ignored. See
    :meth:`RegionEdit.apply` for the rest.
    """
    edit = RegionEdit(frame, info, box)
    x0, y0, x1, y1 = edit.box
    height, width = edit.shape
    if 0 in edit.shape:
        return
    padded = np.zeros((height, width, *delta.shape[2:]), np.float32)
    allowed = np.zeros((height, width), np.uint8)
    left, top = max(x0, box[0]), max(y0, box[1])
    right, bottom = min(x1, box[2]), min(y1, box[3])
    source = np.s_[top - box[1] : bottom - box[1], left - box[0] : right - box[0]]
    target = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
    padded[target] = delta[source]
    if mask is None:
        allowed[target] = (delta[source] != 0).reshape(bottom - top, right - left, -1).any(axis=2)
    else:
        allowed[target] = np.asarray(mask)[source] > 0
    edit.apply(padded, allowed)


def video_info(
    width: int,
    height: int,
    pix_fmt: str = "yuv420p",
    *,
    matrix: str = "bt709",
    full: bool = False,
    rotation: int = 0,
    mirrored: bool = False,
    aspect: Fraction | int = 1,
    codec: str = "h264",
) -> VideoInfo:
    layout = layout_of(pix_fmt)
    assert layout is not None
    name = "rgb" if layout.is_rgb else matrix
    return VideoInfo(
        path=Path("made.mp4"),
        width=width,
        height=height,
        rotation=rotation,
        mirrored=mirrored,
        display_matrix=None,
        sample_aspect=Fraction(aspect),
        time_base=Fraction(1, 25),
        average_rate=Fraction(25),
        pix_fmt=pix_fmt,
        source_pix_fmt=pix_fmt,
        bit_depth=layout.depth,
        colour=ColourTags(2, 2, 2, 0, name, full or layout.is_rgb),
        duration=None,
        frame_count=None,
        is_still=False,
        has_audio=False,
        container="mp4",
        codec=codec,
        stream_index=0,
        start_pts=0,
    )


def random_frame(width: int, height: int, pix_fmt: str, seed: int = 0) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pix_fmt)
    layout = layout_of(pix_fmt)
    assert layout is not None
    rng = np.random.default_rng(seed)
    middle = 2 ** (layout.depth - 1)
    for view in plane_views(frame):
        view[:] = rng.integers(middle // 2, 3 * middle // 2, view.shape)
    return frame


def flat_frame(width: int, height: int, info: VideoInfo, rgb: tuple[float, ...]) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, info.pix_fmt)
    layout = layout_of(info.pix_fmt)
    assert layout is not None
    code = colour_code(info.colour.name, info.colour.full_range, layout.depth)
    codes = np.rint(code.to_codes @ np.array(rgb) + code.offset)
    views = plane_views(frame)
    for plane, value in zip(layout.planes, codes, strict=False):
        views[plane][:] = value
    return frame


def copies(frame: av.VideoFrame) -> list[np.ndarray]:
    return [v.copy() for v in plane_views(frame)]


# --- editing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_a_zero_edit_changes_no_bit(pix_fmt: str) -> None:
    frame, info = random_frame(37, 29, pix_fmt), video_info(37, 29, pix_fmt)
    before = copies(frame)
    edit = RegionEdit(frame, info, (5, 3, 30, 25))
    edit.apply(np.zeros((*edit.shape, 3), np.float32), np.ones(edit.shape))
    for old, new in zip(before, plane_views(frame), strict=True):
        assert np.array_equal(old, new)


@given(
    st.sampled_from(FORMATS),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(-5, 40), st.integers(-5, 40), st.integers(-5, 45), st.integers(-5, 45)),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_nothing_outside_the_mask_changes(
    pix_fmt: str, size: tuple[int, int], corners: tuple[int, ...], seed: int
) -> None:
    """Luma outside the mask is bit-equal; chroma too, if any sample it covers is outside."""
    width, height = size
    frame, info = random_frame(width, height, pix_fmt, seed), video_info(width, height, pix_fmt)
    layout = layout_of(pix_fmt)
    assert layout is not None
    before = copies(frame)
    edit = RegionEdit(frame, info, (corners[0], corners[1], corners[2], corners[3]))
    rng = np.random.default_rng(seed)
    delta = rng.uniform(-0.5, 0.5, (*edit.shape, 3)).astype(np.float32)
    mask = (rng.uniform(size=edit.shape) < 0.8).astype(np.float32)
    edit.apply(delta, mask)
    inside = np.zeros((height, width), bool)
    x0, y0, x1, y1 = edit.box
    inside[y0:y1, x0:x1] = mask > 0
    after = plane_views(frame)
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        across = layout.chroma_x if index in layout.planes[1:] and not layout.is_rgb else 1
        down = layout.chroma_y if index in layout.planes[1:] and not layout.is_rgb else 1
        for y, x in np.argwhere(old != new):
            assert inside[y * down : (y + 1) * down, x * across : (x + 1) * across].all()
        if index not in layout.planes:  # alpha
            assert np.array_equal(old, new)


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full", [False, True])
def test_an_edit_of_a_flat_colour_gives_the_codes_of_the_new_colour(
    pix_fmt: str, matrix: str, full: bool
) -> None:
    info = video_info(24, 20, pix_fmt, matrix=matrix, full=full)
    layout = layout_of(pix_fmt)
    assert layout is not None
    old, new = (0.5, 0.4, 0.3), (0.7, 0.35, 0.45)
    if layout.is_gray:
        old, new = (0.4, 0.4, 0.4), (0.6, 0.6, 0.6)
    frame = flat_frame(24, 20, info, old)
    edit = RegionEdit(frame, info, (4, 4, 16, 16))
    delta = np.broadcast_to(np.float32(new) - np.float32(old), (*edit.shape, 3))
    edit.apply(np.ascontiguousarray(delta, np.float32))
    expected = flat_frame(24, 20, info, new)
    code = colour_code(info.colour.name, info.colour.full_range, layout.depth)
    views, wanted = plane_views(frame), plane_views(expected)
    for number, plane in enumerate(layout.planes):
        across, down = (layout.chroma_x, layout.chroma_y) if number else (1, 1)
        inner = np.s_[4 // down : 16 // down, 4 // across : 16 // across]
        # Two roundings, of the old colour and of the sum, may add up to one code.
        difference = views[plane][inner].astype(int) - wanted[plane][inner].astype(int)
        assert np.abs(difference).max() <= 1
    assert code.highest == 2**layout.depth - 1


def test_luma_and_chroma_of_an_edit_by_hand() -> None:
    """BT.601 limited: a difference of 0.1 in red is 6.5481 luma, -3.78 Cb and 11.2 Cr codes."""
    info = video_info(8, 8, matrix="bt601")
    frame = flat_frame(8, 8, info, (0.5, 0.5, 0.5))
    before = [int(v[0, 0]) for v in plane_views(frame)]
    assert before == [126, 128, 128]  # 16 + 219 / 2 = 125.5, to even
    edit = RegionEdit(frame, info, (0, 0, 8, 8))
    delta = np.zeros((8, 8, 3), np.float32)
    delta[..., 0] = 0.1
    edit.apply(delta)
    assert [set(np.unique(v)) for v in plane_views(frame)] == [{133}, {124}, {139}]


def test_the_chroma_of_a_mixed_block_is_the_mean() -> None:
    info = video_info(4, 4, matrix="bt601", full=True)
    frame = flat_frame(4, 4, info, (0.5, 0.5, 0.5))
    delta = np.zeros((4, 4, 3), np.float32)
    delta[0, 0, 2] = 0.4  # one of the four samples of a block: Cb rises by 255 * 0.4 / 2 / 4
    RegionEdit(frame, info, (0, 0, 4, 4)).apply(delta, np.ones((4, 4)))
    assert int(plane_views(frame)[1][0, 0]) == 128 + round(255 * 0.4 / 2 / 4)
    assert (plane_views(frame)[1].ravel()[1:] == 128).all()


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "gbrp10le", "gray"])
def test_edits_saturate_and_never_wrap(pix_fmt: str) -> None:
    info = video_info(16, 16, pix_fmt, full=True)
    layout = layout_of(pix_fmt)
    assert layout is not None
    for amount, extreme in ((5.0, 2**layout.depth - 1), (-5.0, 0)):
        frame = random_frame(16, 16, pix_fmt)
        apply_delta(frame, info, (0, 0, 16, 16), np.full((16, 16), amount, np.float32))
        assert (plane_views(frame)[0] == extreme).all()


def test_what_is_no_number_is_left_out() -> None:
    frame, info = random_frame(16, 16, "yuv420p"), video_info(16, 16)
    before = copies(frame)
    delta = np.full((16, 16, 3), 0.1, np.float32)
    delta[3, 5] = np.nan, 0, 0
    delta[8, 8] = 0, np.inf, 0
    RegionEdit(frame, info, (0, 0, 16, 16)).apply(delta)
    after = plane_views(frame)[0]
    assert after[3, 5] == before[0][3, 5]
    assert after[8, 8] == before[0][8, 8]
    assert (after != before[0]).sum() == 254


def test_the_region_is_the_pictures_rgb() -> None:
    info = video_info(32, 24, "yuv420p", matrix="bt601")
    frame = flat_frame(32, 24, info, (0.8, 0.3, 0.2))
    edit = RegionEdit(frame, info, (3, 5, 20, 18))
    assert edit.box == (2, 4, 20, 18)
    assert edit.rgb.shape == (14, 18, 3)
    assert np.abs(edit.rgb - [0.8, 0.3, 0.2]).max() < 0.005


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("full", [False, True])
def test_rgb_of_a_region_equals_a_crop_of_it(pix_fmt: str, full: bool) -> None:
    frame = random_frame(41, 33, pix_fmt)
    info = video_info(41, 33, pix_fmt, full=full)
    edit = RegionEdit(frame, info, (4, 6, 30, 28))
    x0, y0, x1, y1 = edit.box
    crop = sample_crop(frame, info, np.array([[1.0, 0, x0], [0, 1.0, y0]]), (x1 - x0, y1 - y0))
    assert np.abs(np.clip(edit.rgb, 0, 1) - crop).max() < 1e-5


def test_what_comes_out_of_an_edit_is_what_was_meant() -> None:
    """Read as RGB, edited, read again: the picture has changed by the edit."""
    info = video_info(64, 64, "yuv444p16le")
    frame = random_frame(64, 64, "yuv444p16le")
    edit = RegionEdit(frame, info, (10, 10, 50, 50))
    before = edit.rgb
    delta = np.random.default_rng(1).uniform(-0.1, 0.1, before.shape).astype(np.float32)
    edit.apply(delta)
    assert np.abs(edit.rgb - before - delta).max() < 1e-4


def halved(values: np.ndarray, across: int, down: int) -> np.ndarray:
    """Mean over groups of samples; the sizes here are whole multiples."""
    h, w = values.shape
    return values.reshape(h // down, down, w // across, across).mean((1, 3))


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_a_blended_picture_of_one_colour_by_hand(pix_fmt: str) -> None:
    """code + weight (colour's code - code), rounded, in every plane; nothing where it is 0."""
    rng = np.random.default_rng(5)
    frame, info = random_frame(48, 32, pix_fmt), video_info(48, 32, pix_fmt)
    before = [view.astype(np.float64) for view in plane_views(frame)]
    layout = layout_of(pix_fmt)
    assert layout is not None
    region = RegionEdit(frame, info, (8, 8, 40, 24))
    weight = np.zeros(region.shape, np.float32)
    weight[4:12, 8:24] = rng.random((8, 16), dtype=np.float32)
    colour = np.array([0.9, 0.2, 0.4], np.float32)
    picture = np.broadcast_to(colour, (16, 16, 3)).astype(np.float32)
    region.blend(picture, np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), weight)
    code = colour_code(info.colour.name, info.colour.full_range, layout.depth)
    target = code.to_codes @ colour + code.offset
    whole = np.zeros((32, 48))
    whole[8:24, 8:40] = weight
    for i, plane in enumerate(layout.planes):
        across, down = (layout.chroma_x, layout.chroma_y) if i else (1, 1)
        share = halved(whole, across, down)
        inside = halved((whole > 0).astype(float), across, down) == 1.0
        expected = before[plane] + np.where(inside, share, 0.0) * (target[i] - before[plane])
        after = plane_views(frame)[plane].astype(np.float64)
        assert (
            np.abs(after - np.clip(expected, 0, code.highest)).max() <= 0.51 + 1e-5 * code.highest
        )
        assert np.array_equal(after[~inside], before[plane][~inside])


def test_a_blend_is_the_edit_by_the_difference() -> None:
    """The cheap way plane by plane gives what the way through RGB gives, within two codes."""
    frame, info = random_frame(64, 64, "yuv420p"), video_info(64, 64)
    for view in plane_views(frame):
        view[:] = 90 + 40 * np.sin(np.arange(view.size).reshape(view.shape) / 900.0)
    other = private_copy(frame)
    y, x = np.mgrid[:64, :64].astype(np.float32) / 64
    picture = np.stack([0.3 + 0.3 * x, 0.5 + 0.2 * y, 0.4 + 0.1 * x * y], axis=2)
    picture[:, 40:] = picture[:, 40:, ::-1]  # an edge, also of colour
    weight = np.clip(np.minimum(x, y) * 2.0 - 0.2, 0.0, 1.0).astype(np.float32)
    box = (0, 0, 64, 64)
    RegionEdit(frame, info, box).blend(picture, np.eye(2, 3), weight)
    region = RegionEdit(other, info, box)
    region.apply((picture - region.rgb) * weight[:, :, None], weight)
    for ours, theirs in zip(plane_views(frame), plane_views(other), strict=True):
        assert np.abs(ours.astype(int) - theirs).max() <= 2


def test_a_blend_of_another_size_or_of_nothing() -> None:
    frame, info = random_frame(32, 32, "yuv420p"), video_info(32, 32)
    before = [view.copy() for view in plane_views(frame)]
    region = RegionEdit(frame, info, (4, 4, 20, 20))
    with pytest.raises(ValueError, match="shape"):
        region.blend(np.zeros((8, 8, 3), np.float32), np.eye(2, 3), np.ones((4, 4), np.float32))
    region.blend(np.zeros((8, 8, 3), np.float32), np.eye(2, 3), np.zeros((16, 16), np.float32))
    for wrong in (np.nan, np.inf):
        picture = np.full((8, 8, 3), 0.5, np.float32)
        picture[3, 3, 1] = wrong
        region.blend(picture, np.eye(2, 3), np.ones((16, 16), np.float32))
    empty = RegionEdit(frame, info, (40, 40, 50, 50))
    empty.blend(np.zeros((8, 8, 3), np.float32), np.eye(2, 3), np.zeros((0, 0), np.float32))
    assert all(np.array_equal(a, b) for a, b in zip(plane_views(frame), before, strict=True))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p12le", "gray", "gbrp"])
@pytest.mark.parametrize("full", [False, True])
def test_brightness_is_the_mean_of_the_rgb_by_luma_weights(pix_fmt: str, full: bool) -> None:
    frame, info = random_frame(48, 32, pix_fmt), video_info(48, 32, pix_fmt, full=full)
    region = RegionEdit(frame, info, (4, 6, 40, 28))
    weights = np.array(brightness_weights(info))
    # BT.709; RGB by BT.601
    assert weights == pytest.approx(
        (0.299, 0.587, 0.114) if pix_fmt == "gbrp" else (0.2126, 0.7152, 0.0722)
    )
    assert np.allclose(region.brightness, region.rgb @ weights, rtol=0, atol=2e-3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le", "gray", "gbrp"])
def test_a_change_of_brightness_is_the_same_change_of_r_g_and_b(pix_fmt: str) -> None:
    info = video_info(48, 32, pix_fmt)
    one, three = random_frame(48, 32, pix_fmt), random_frame(48, 32, pix_fmt)
    rng = np.random.default_rng(3)
    region = RegionEdit(one, info, (4, 6, 40, 28))
    delta = rng.uniform(-0.1, 0.1, region.shape).astype(np.float32)
    delta[3, 4] = np.nan
    mask = rng.uniform(size=region.shape) < 0.7
    region.apply(delta, mask)
    RegionEdit(three, info, (4, 6, 40, 28)).apply(np.stack([delta] * 3, axis=-1), mask)
    for i, (a, b) in enumerate(zip(plane_views(one), plane_views(three), strict=True)):
        # In float32 the rows of chroma do not sum to 0 exactly; a half may round either way.
        assert np.abs(a.astype(int) - b.astype(int)).max() <= (1 if i == 0 else 0)


def test_apply_delta_takes_any_box() -> None:
    info = video_info(20, 20)
    for box in [(-5, -5, 8, 8), (15, 15, 30, 31), (3, 7, 4, 8), (-9, 2, -1, 9), (5, 5, 5, 5)]:
        frame = random_frame(20, 20, "yuv420p")
        before = copies(frame)
        height, width = max(0, box[3] - box[1]), max(0, box[2] - box[0])
        apply_delta(frame, info, box, np.full((height, width, 3), 0.2, np.float32))
        changed = np.argwhere(plane_views(frame)[0] != before[0])
        expected = {
            (y, x)
            for y in range(max(0, box[1]), min(20, box[3]))
            for x in range(max(0, box[0]), min(20, box[2]))
        }
        assert {(int(y), int(x)) for y, x in changed} == expected


def test_wrong_shapes_are_refused() -> None:
    edit = RegionEdit(random_frame(16, 16, "yuv420p"), video_info(16, 16), (0, 0, 8, 8))
    with pytest.raises(ValueError, match="shape"):
        edit.apply(np.zeros((7, 8, 3), np.float32))
    with pytest.raises(ValueError, match="shape"):
        edit.apply(np.zeros((8, 8, 3), np.float32), np.zeros((8, 7)))
    with pytest.raises(ValueError, match="plain planar"):
        RegionEdit(av.VideoFrame(8, 8, "rgb24"), video_info(8, 8), (0, 0, 8, 8))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "3", "refs": "4"}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.webm", "libsvtav1", {"preset": "12"}),
        ("a.mkv", "ffv1", {}),
        ("a.avi", "mpeg4", {}),
    ],
)
def test_edits_do_not_leak_into_frames_decoded_later(
    make_video: MakeVideo, name: str, codec: str, options: dict[str, str]
) -> None:
    """Decoders predict from the frames that they hand out."""
    path = make_video(name, codec=codec, options=options, frames=12, size=(64, 64))

    def decode(change: bool) -> list[list[np.ndarray]]:
        seen = []
        with VideoReader(path) as reader:
            for frame in reader:
                seen.append(copies(frame.native))
                if change:
                    whole = np.full((64, 64), 0.3, np.float32)
                    apply_delta(frame.native, reader.info, (0, 0, 64, 64), whole)
        return seen

    for plain, edited in zip(decode(False), decode(True), strict=True):
        for a, b in zip(plain, edited, strict=True):
            assert np.array_equal(a, b)


def test_a_private_copy_is_not_edited() -> None:
    frame, info = random_frame(16, 16, "yuv420p"), video_info(16, 16)
    copy = private_copy(frame)
    before = copies(frame)
    apply_delta(copy, info, (0, 0, 16, 16), np.full((16, 16), 0.3, np.float32))
    assert np.array_equal(plane_views(frame)[0], before[0])
    assert not np.array_equal(plane_views(copy)[0], before[0])


# --- sampling ------------------------------------------------------------------------------------


def ramp(width: int, height: int, slope: Callable[..., np.ndarray]) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv444p16le")
    y, x = np.mgrid[:height, :width].astype(np.float64)
    luma, *chroma = plane_views(frame)
    luma[:] = 4096 + np.rint(slope(x, y) * 219 * 256)
    for plane in chroma:
        plane[:] = 32768
    return frame


@given(
    st.floats(0.3, 3.0),
    st.floats(-np.pi, np.pi),
    st.floats(30, 90),
    st.floats(30, 90),
    st.sampled_from([0, 90, 180, 270]),
    st.booleans(),
    st.sampled_from([Fraction(1), Fraction(4, 3), Fraction(8, 9)]),
)
@settings(max_examples=80, deadline=None)
def test_a_crop_shows_what_lies_at_its_points(
    scale: float, angle: float, x: float, y: float, rotation: int, mirrored: bool, aspect: Fraction
) -> None:
    """On a plane of brightness a x + b y, every sample equals its position, at any warp."""
    info = video_info(160, 120, "yuv444p16le", rotation=rotation, mirrored=mirrored, aspect=aspect)
    frame = ramp(160, 120, lambda px, py: (px + 2 * py) / 480.0)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    display_w, display_h = info.display_size
    offset = np.array([display_w / 2 + x - 60, display_h / 2 + y - 60])
    turn = np.array([[cos, -sin], [sin, cos]])
    crop = np.c_[turn, offset - turn @ [3.5, 3.5]]
    result = sample_crop(frame, info, crop, (8, 8))
    v, u = np.mgrid[:8, :8]
    points = np.stack([u, v, np.ones_like(u)], -1) @ crop_to_storage(info, crop).T
    px, py = points[..., 0], points[..., 1]
    inside = (px > 4) & (px < 155) & (py > 4) & (py < 115)
    expected = (px + 2 * py) / 480.0
    error = np.abs(result[..., 1] - expected)[inside]
    # Positions are good to 1/32 of a sample in cv2's warp.
    assert inside.any()
    assert error.max() < 0.001 + 3 / 480 / 32 * 2 * max(1.0, scale)


def test_beyond_the_picture_the_edge_is_repeated() -> None:
    info = video_info(16, 16)
    frame = flat_frame(16, 16, info, (0.6, 0.6, 0.6))
    for shift in (-500.0, -3.0, 9.0, 1e7):
        crop = sample_crop(frame, info, np.array([[1.0, 0, shift], [0, 1.0, shift]]), (12, 12))
        assert np.abs(crop - 0.6).max() < 0.01


def test_shrinking_averages_instead_of_picking() -> None:
    """A checkerboard shrunk by 4 is grey; picking every fourth pixel would give black or white."""
    info = video_info(128, 128, "yuv444p", full=True)
    frame = av.VideoFrame(128, 128, "yuv444p")
    luma, *chroma = plane_views(frame)
    y, x = np.mgrid[:128, :128]
    luma[:] = 255 * ((x + y) % 2)
    for plane in chroma:
        plane[:] = 128
    for offset in (0.0, 0.7, 1.0):
        crop = sample_crop(frame, info, np.array([[4.0, 0, offset], [0, 4.0, offset]]), (24, 24))
        assert np.abs(crop - 0.5).max() < 0.02


def test_shrinking_does_not_shift() -> None:
    info = video_info(200, 200, "yuv444p16le")
    frame = ramp(200, 200, lambda px, py: px / 400.0)
    for scale in (1.0, 1.9, 2.0, 2.5, 3.7, 6.0):
        crop = sample_crop(frame, info, np.array([[scale, 0, 20.3], [0, scale, 20.3]]), (20, 20))
        expected = (20.3 + scale * np.arange(20)) / 400.0
        assert np.abs(crop[10, :, 0] - expected).max() < 0.0008


def test_left_sited_chroma_of_420() -> None:
    """H.264's chroma sample k lies on luma sample 2k, JPEG's between 2k and 2k + 1."""
    frame = av.VideoFrame(32, 32, "yuv420p")
    luma, blue, red = plane_views(frame)
    luma[:], red[:] = 128, 128
    blue[:] = 64 + 8 * np.arange(16)
    row = np.array([[1.0, 0, 8], [0, 1.0, 8]])
    for codec, shift in (("h264", 0.0), ("mjpeg", 0.5)):
        info = video_info(32, 32, full=True, matrix="bt601", codec=codec)
        crop = sample_crop(frame, info, row, (8, 8))
        cb = (crop[4, :, 2] - 128 / 255) / 1.772 * 255 + 128
        expected = 64 + 8 * (8 + np.arange(8) - shift) / 2
        assert np.abs(cb - expected).max() < 0.3


def test_chroma_of_420_lies_between_the_lines() -> None:
    """Chroma line k lies between luma lines 2k and 2k + 1, in H.264 as in JPEG."""
    frame = av.VideoFrame(32, 32, "yuv420p")
    luma, blue, red = plane_views(frame)
    luma[:], red[:] = 128, 128
    blue[:] = 64 + 8 * np.arange(16)[:, None]
    info = video_info(32, 32, full=True, matrix="bt601")
    crop = sample_crop(frame, info, np.array([[1.0, 0, 8], [0, 1.0, 8]]), (8, 8))
    cb = (crop[:, 4, 2] - 128 / 255) / 1.772 * 255 + 128
    assert np.abs(cb - (64 + 8 * (8 + np.arange(8) - 0.5) / 2)).max() < 0.3
    edit = RegionEdit(frame, info, (8, 8, 16, 16))
    assert np.abs(edit.rgb - crop).max() < 1e-5


def test_values_are_clipped_to_unit_range() -> None:
    info = video_info(8, 8)
    frame = av.VideoFrame(8, 8, "yuv420p")
    for view, value in zip(plane_views(frame), (254, 240, 240), strict=True):
        view[:] = value
    crop = sample_crop(frame, info, np.eye(2, 3), (8, 8))
    assert crop.max() == 1.0
    assert crop.dtype == np.float32


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3)])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_tiny_pictures(size: tuple[int, int], pix_fmt: str) -> None:
    frame, info = random_frame(*size, pix_fmt), video_info(*size, pix_fmt)
    assert sample_crop(frame, info, np.array([[0.1, 0, 0], [0, 0.1, 0]]), (9, 5)).shape == (5, 9, 3)
    assert sample_crop(frame, info, np.array([[9.0, 0, 0], [0, 9.0, 0]]), (4, 4)).shape == (4, 4, 3)
    edit = RegionEdit(frame, info, (0, 0, 50, 50))
    assert edit.box == (0, 0, *size)
    edit.apply(np.full((*edit.shape, 3), 0.1, np.float32))


def test_a_map_that_is_not_finite_is_refused() -> None:
    info = video_info(8, 8)
    with pytest.raises(ValueError, match="finite"):
        sample_crop(random_frame(8, 8, "yuv420p"), info, np.full((2, 3), np.nan), (4, 4))


# --- geometry ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rotation", "mirrored", "expected"),
    [
        (0, False, (10, 20, 30, 25)),
        (90, False, (20, 30, 25, 50)),  # stored (x, y) is shown at (59 - y, x)
        (180, False, (70, 35, 90, 40)),
        (270, False, (75, 10, 80, 30)),  # and here at (y, 99 - x)
        (0, True, (70, 20, 90, 25)),
    ],
)
def test_boxes_follow_the_orientation(
    rotation: int, mirrored: bool, expected: tuple[int, ...]
) -> None:
    """A stored picture of 100x60 is shown as 100x60, or turned as 60x100."""
    info = video_info(100, 60, rotation=rotation, mirrored=mirrored)
    assert storage_box(info, (10, 20, 30, 25)) == expected


def test_boxes_are_clipped_and_cover_fractions() -> None:
    info = video_info(100, 60)
    assert storage_box(info, (-10.0, -3.0, 5.2, 7.0)) == (0, 0, 6, 7)
    assert storage_box(info, (98.7, 59.0, 300.0, 300.0)) == (98, 59, 100, 60)
    left, top, right, bottom = storage_box(info, (500, 500, 600, 600))
    assert (right - left) * (bottom - top) == 0


def test_boxes_of_wide_pixels() -> None:
    """Pixels twice as wide as high: display columns 20 to 40 are stored columns 10 to 20."""
    assert storage_box(video_info(100, 60, aspect=2), (20, 0, 40, 10)) == (10, 0, 20, 10)


def test_a_real_clip_is_bit_equal_outside_the_mask(corpus: Path) -> None:
    clip = next((corpus / "demo").glob("*video-retalking__1.mp4"))
    with VideoReader(clip) as reader:
        info = reader.info
        for frame in reader:
            before = copies(frame.native)
            edit = RegionEdit(frame.native, info, (201, 301, 401, 451))
            y, x = np.mgrid[: edit.shape[0], : edit.shape[1]]
            mask = ((y - 75) ** 2 + (x - 100) ** 2 < 60**2).astype(np.float32)
            edit.apply(np.full((*edit.shape, 3), 0.05, np.float32) * mask[..., None], mask)
            x0, y0, x1, y1 = edit.box
            inside = np.zeros((info.height, info.width), bool)
            inside[y0:y1, x0:x1] = mask > 0
            after = plane_views(frame.native)
            assert np.array_equal(after[0][~inside], before[0][~inside])
            assert (after[0][inside] != before[0][inside]).all()
            if frame.index == 10:
                break
