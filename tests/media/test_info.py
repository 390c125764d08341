"""What probe says about videos of every kind, and about what is no video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

import lipwright.media.info as info_module
from lipwright.errors import LipwrightError
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader
from tests.conftest import MakeSpeech, MakeVideo


def test_a_plain_video(make_video: MakeVideo) -> None:
    info = probe(make_video(frames=12, fps=Fraction(30_000, 1001), audio="sine"))
    assert (info.width, info.height, info.rotation, info.mirrored) == (64, 48, 0, False)
    assert info.average_rate == Fraction(30_000, 1001)
    assert (info.pix_fmt, info.bit_depth, info.codec) == ("yuv420p", 8, "h264")
    assert info.frame_count == 12
    assert info.duration == 12 * Fraction(1001, 30_000)
    assert info.has_audio
    assert not info.is_still
    assert info.sample_aspect == 1
    assert info.display_size == (64, 48)
    assert np.array_equal(info.storage_to_display, [[1, 0, 0], [0, 1, 0]])


# Where the corners (0, 0), (63, 0) and (0, 47) of the stored 64x48 picture go.
CORNERS = {
    (0, False): ((0, 0), (63, 0), (0, 47)),
    (90, False): ((47, 0), (47, 63), (0, 0)),
    (180, False): ((63, 47), (0, 47), (63, 0)),
    (270, False): ((0, 63), (0, 0), (47, 63)),
    (0, True): ((63, 0), (0, 0), (63, 47)),
    (180, True): ((0, 47), (63, 47), (0, 0)),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(("rotation", "mirrored"), list(CORNERS))
def test_orientation(make_video: MakeVideo, rotation: int, mirrored: bool, suffix: str) -> None:
    info = probe(make_video(f"a{suffix}", rotation=rotation, mirrored=mirrored, frames=2))
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    assert info.display_size == ((48, 64) if rotation in (90, 270) else (64, 48))
    stored = np.array([[0, 0, 1], [63, 0, 1], [0, 47, 1]])
    assert np.allclose(stored @ info.storage_to_display.T, CORNERS[rotation, mirrored])


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(16, 15), Fraction(8, 9)])
def test_corners_of_pixels_map_to_corners_of_the_display(
    make_video: MakeVideo, rotation: int, mirrored: bool, aspect: Fraction
) -> None:
    """Whatever the orientation, the picture's outline is the display's outline."""
    info = probe(make_video(rotation=rotation, mirrored=mirrored, aspect=aspect, frames=1))
    assert info.mirrored == mirrored
    outline = np.array([[-0.5, -0.5, 1], [63.5, 47.5, 1]]) @ info.storage_to_display.T
    wide, high = 64 * float(aspect), 48.0
    if rotation in (90, 270):
        wide, high = high, wide
    assert np.sort(outline[:, 0]) == pytest.approx([-0.5, wide - 0.5])
    assert np.sort(outline[:, 1]) == pytest.approx([-0.5, high - 0.5])


def test_sample_aspect(make_video: MakeVideo) -> None:
    info = probe(make_video(size=(720, 576), aspect=Fraction(16, 15), frames=1))
    assert info.sample_aspect == Fraction(16, 15)
    assert info.display_size == (768, 576)
    assert np.allclose(info.storage_to_display, [[16 / 15, 0, 1 / 30], [0, 1, 0]])


def test_absurd_aspects_are_ignored(make_video: MakeVideo) -> None:
    assert probe(make_video(aspect=Fraction(200, 1), frames=1)).display_size == (64, 48)


@pytest.mark.parametrize(
    ("tags", "name", "full"),
    [
        ({"matrix": 1, "primaries": 1, "transfer": 1, "code_range": 1}, "bt709", False),
        ({"matrix": 6, "primaries": 6, "transfer": 6, "code_range": 2}, "bt601", True),
        ({"matrix": 9, "primaries": 9, "transfer": 16, "code_range": 1}, "bt2020", False),
        ({}, "bt601", False),
    ],
)
def test_colour_tags(make_video: MakeVideo, tags: dict[str, int], name: str, full: bool) -> None:
    for file in ("a.mp4", "a.mkv"):
        colour = probe(make_video(file, frames=2, **tags)).colour
        assert (colour.name, colour.full_range) == (name, full)
        if tags:
            assert colour.matrix == tags["matrix"]
            assert (colour.primaries, colour.transfer) == (tags["primaries"], tags["transfer"])


def test_without_tags_hd_is_bt709(make_video: MakeVideo) -> None:
    assert probe(make_video(size=(64, 578), frames=1)).colour.name == "bt709"


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (33, 17), (2, 1)])
def test_odd_sizes(make_video: MakeVideo, size: tuple[int, int]) -> None:
    info = probe(make_video("a.mkv", size=size, frames=2))
    assert (info.width, info.height) == size


@pytest.mark.parametrize(
    ("pix_fmt", "plain", "depth"),
    [
        ("yuv420p10le", "yuv420p10le", 10),
        ("yuv422p12le", "yuv422p12le", 12),
        ("yuv444p16le", "yuv444p16le", 16),
        ("gray", "gray", 8),
        ("gray10le", "gray10le", 10),
        ("bgr0", "gbrp", 8),
        ("gbrp10le", "gbrp10le", 10),
    ],
)
def test_pixel_formats(make_video: MakeVideo, pix_fmt: str, plain: str, depth: int) -> None:
    info = probe(make_video("a.mkv", pix_fmt=pix_fmt, frames=1))
    assert (info.source_pix_fmt, info.pix_fmt, info.bit_depth) == (pix_fmt, plain, depth)
    assert (info.colour.name == "rgb") == plain.startswith("gbr")


@pytest.mark.parametrize(
    ("name", "pix_fmt"),
    [
        ("a.png", "rgb24"),
        ("a.jpg", "yuvj420p"),
        ("a%d.png", "rgba"),
        ("a%03d.jpg", "yuvj420p"),
        ("a.bmp", "bgr24"),
    ],
)
def test_still_pictures(make_video: MakeVideo, name: str, pix_fmt: str) -> None:
    path = make_video("plain" + Path(name).suffix, pix_fmt=pix_fmt, code_range=2)
    info = probe(path.rename(path.with_name(name)))
    assert info.is_still
    assert (info.frame_count, info.duration, info.average_rate) == (1, None, 25)
    assert info.colour.full_range
    assert info.display_size == (64, 48)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    """Against Pillow's idea of the EXIF orientation."""
    image = Image.new("RGB", (64, 32), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 16, 16))
    tags = image.getexif()
    tags[0x0112] = orientation
    path = tmp_path / f"photo{suffix}"
    image.save(path, exif=tags, quality=95, lossless=True)
    expected = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    with VideoReader(path) as reader:
        picture, _ = next(iter(reader)).thumbnail(64)
        assert reader.info.display_size == (expected.shape[1], expected.shape[0])
    assert picture.shape == expected.shape
    assert np.abs(picture - expected).mean() < 3


def test_orientation_without_pyavs_help(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames may carry side data that PyAV has no name for; it then refuses to list any."""
    path = make_video(rotation=90, frames=1)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert isinstance(frame, av.VideoFrame)

    class Unlisted:
        rotation = frame.rotation

        @property
        def side_data(self) -> dict[str, bytes]:
            raise ValueError("31 is not a valid Type")

    matrix = info_module._display_matrix(Unlisted(), path)  # type: ignore[arg-type]
    assert matrix == probe(path).display_matrix


def test_a_record_with_cover_art_is_a_still_picture(tmp_path: Path, make_video: MakeVideo) -> None:
    cover = make_video("cover.png", pix_fmt="rgb24", size=(32, 32))
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as song, av.open(str(cover)) as picture:
        sound = song.add_stream("libmp3lame", rate=44_100, layout="mono")
        art = song.add_stream_from_template(picture.streams.video[0])
        art.disposition = av.stream.Disposition.attached_pic
        packet = next(picture.demux(video=0))
        packet.stream = art
        song.mux(packet)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 44_100), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 44_100, 0
        song.mux(sound.encode(frame))
        song.mux(sound.encode(None))
    info = probe(path)
    assert info.is_still
    assert (info.width, info.height) == (32, 32)
    assert info.has_audio


def test_sound_alone_has_no_picture(make_speech: MakeSpeech) -> None:
    with pytest.raises(LipwrightError, match="no picture"):
        probe(make_speech())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"It was a dark and stormy night.\n" * 200,
        b"\x1b[31mansi art\x1b[0m\n" * 50,
        b"#EXTM3U\n#EXTINF:10,\nvideo.ts\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 500,
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 100,
        b"\x1aE\xdf\xa3" + bytes(range(200)),
        bytes(5000),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".txt", ".ans", ".mkv", ".png"])
def test_what_is_no_video_ends_in_one_sentence(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(LipwrightError) as caught:
        probe(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="does not exist"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(LipwrightError, match="folder"):
        probe(tmp_path)


def test_the_first_timestamp(make_video: MakeVideo) -> None:
    path = make_video("a.mkv", pts=[1000, 1040, 1080], time_base=Fraction(1, 1000))
    info = probe(path)
    assert info.start_pts * info.time_base == 1


def test_real_clips(corpus: Path) -> None:
    clips = sorted((corpus / "demo").glob("*"))
    sizes = set()
    for clip in clips:
        info = probe(clip)
        assert info.width >= 96
        assert 10 <= info.average_rate <= 60
        sizes.add(info.display_size)
    assert len(sizes) > 3
