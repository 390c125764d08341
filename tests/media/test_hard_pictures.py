"""Pictures as people have them: several streams, no times, interlaced, HDR, stills of all kinds."""

from __future__ import annotations

import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from lipwright.errors import LipwrightError
from lipwright.media.encoding import choose_encoding, losses
from lipwright.media.info import probe
from lipwright.media.names import Kind
from lipwright.media.reader import VideoReader
from lipwright.media.writer import VideoWriter
from tests.conftest import MakeVideo, ffprobe

FIRST = ("-select_streams", "v:0")


def two_streams(path: Path, default: int) -> Path:
    """Grey 60 at 64x48 and grey 180 at 32x32, one of them marked as default."""
    with av.open(str(path), "w") as out:
        streams = []
        for number, (width, height) in enumerate([(64, 48), (32, 32)]):
            stream = out.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = 1 if number == default else 0
            streams.append(stream)
        for stream, grey in zip(streams, (60, 180), strict=True):
            for index in range(3):
                frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
                for plane, value in zip(frame.planes, (grey, 128, 128), strict=True):
                    plane.update(bytes([value]) * plane.buffer_size)
                frame.pts = index
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return path


def test_the_default_stream_is_taken_and_another_can_be_chosen(tmp_path: Path) -> None:
    for default, size in ((0, (64, 48)), (1, (32, 32))):
        path = two_streams(tmp_path / f"{default}.mkv", default)
        info = probe(path)
        assert (info.width, info.height) == size
        assert probe(path, stream=1 - default).stream_index == 1 - default
        with VideoReader(path) as reader:
            assert f"stream {default} was used" in reader.warnings[0]
            assert "0: ffv1 64x48" in reader.warnings[0]
    with pytest.raises(LipwrightError, match="no video stream 7; its video streams are 0: ffv1"):
        probe(path, stream=7)


def test_places_of_avi_become_even_times(tmp_path: Path) -> None:
    path = tmp_path / "b.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.max_b_frames = 2
        for index in range(20):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane, value in zip(frame.planes, (20 + 10 * index, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with VideoReader(path) as reader:
        frames = list(reader)
        assert not reader.warnings
        assert not reader.info.can_jump
    assert [frame.time for frame in frames] == [Fraction(k, 25) for k in range(20)]
    greys = [int(bytes(frame.native.planes[0])[2000]) for frame in frames]
    assert greys == sorted(greys)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".pgm", ".bmp"])
def test_gray_stills_are_full_range(tmp_path: Path, suffix: str) -> None:
    ramp = np.tile(np.arange(0, 256, 2, np.uint8), (64, 1))
    path = tmp_path / f"g{suffix}"
    Image.fromarray(ramp).save(path, **({"quality": 100} if suffix == ".jpg" else {}))
    with VideoReader(path) as reader:
        shown, _ = next(iter(reader)).thumbnail(1024)
    assert np.abs(shown.astype(int) - ramp[..., None]).max() <= (2 if suffix == ".jpg" else 1)


def test_tags_hold_for_the_output_only_where_its_format_can_have_them(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 256, 2, np.uint8), (64, 1))
    Image.fromarray(ramp).save(tmp_path / "g.png")
    Image.fromarray(np.stack([ramp] * 3, axis=2)).save(tmp_path / "c.png")
    for name in ("g", "c"):
        out = tmp_path / f"{name}.mp4"
        with VideoReader(tmp_path / f"{name}.png") as reader, VideoWriter(out, reader.info) as made:
            made.write(next(iter(reader)).native, 0, 1)
        stream = ffprobe(out, *FIRST, "-show_entries", "stream=color_space,color_range,pix_fmt")
        assert stream["streams"][0]["color_space"] == "smpte170m"
        with VideoReader(out) as reader:
            shown, _ = next(iter(reader)).thumbnail(1024)
        assert np.abs(shown.astype(int) - ramp[..., None]).mean() < 2


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_photographs_of_phones_are_pictures(tmp_path: Path, suffix: str) -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    picture = np.zeros((96, 64, 3), np.uint8)
    picture[:48] = (200, 60, 40)  # the upper half red, the lower half dark
    path = tmp_path / f"p{suffix}"
    Image.fromarray(picture).save(path, quality=95)
    with VideoReader(path) as reader:
        assert reader.info.is_still
        assert reader.info.display_size == (64, 96)
        shown, _ = next(iter(reader)).thumbnail(1024)
    assert np.abs(shown[10:40].reshape(-1, 3).mean(axis=0) - (200, 60, 40)).max() < 6
    assert shown[60:].mean() < 12


def test_a_damaged_photograph_ends_in_one_sentence(tmp_path: Path) -> None:
    good = tmp_path / "p.avif"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(good)
    bad = tmp_path / "bad.avif"
    bad.write_bytes(good.read_bytes()[:120])
    with pytest.raises(LipwrightError, match="damaged picture"):
        probe(bad)


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".avif", ".png"])
def test_animated_pictures_are_videos(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.full((64, 64, 3), 40 * n, np.uint8)) for n in range(1, 6)]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, loop=0)
    with VideoReader(path) as reader:
        assert not reader.info.is_still
        got = [(frame.time, int(frame.thumbnail(64)[0].mean())) for frame in reader]
    assert [time for time, _ in got] == [Fraction(k, 25) for k in range(5)]
    assert [grey for _, grey in got] == pytest.approx([40, 80, 120, 160, 200], abs=4)


def hdr_clip(path: Path) -> Path:
    """Four frames of HEVC 10 bit in PQ with static metadata, by x265."""
    parameters = (
        "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):"
        "max-cll=1000,400"
    )
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        stream.codec_context.options = {"x265-params": parameters, "preset": "ultrafast"}
        for index in range(4):
            frame = av.VideoFrame(64, 64, "yuv420p10le")
            for plane in frame.planes:
                plane.update(np.full(plane.buffer_size // 2, 512, np.uint16).tobytes())
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_static_hdr_metadata_is_kept(tmp_path: Path, suffix: str) -> None:
    info = probe(hdr_clip(tmp_path / "h.mp4"))
    assert info.hdr.light == (1000, 400)
    assert info.hdr.display is not None
    assert info.hdr.display.brightest == 1000
    assert info.hdr.display.darkest == Fraction(1, 200)
    assert info.hdr.display.green == (Fraction(265, 1000), Fraction(690, 1000))
    out = tmp_path / f"o{suffix}"
    with VideoReader(info.path) as reader, VideoWriter(out, reader.info) as made:
        for frame in reader:
            made.write(frame.native, frame.pts, frame.duration)
    kept = probe(out).hdr
    assert kept.light == (1000, 400)
    assert kept.display is not None
    assert float(kept.display.brightest) == pytest.approx(1000, rel=1e-3)
    assert float(kept.display.green[1]) == pytest.approx(0.69, abs=1e-4)
    frames = ffprobe(out, *FIRST, "-show_frames", "-read_intervals", "%+#1")["frames"][0]
    if suffix != ".webm":
        kinds = {data.get("side_data_type") for data in frames.get("side_data_list", [])}
        assert "Mastering display metadata" in kinds
        assert "Content light level metadata" in kinds


def test_what_is_lost_is_known_before(make_video: MakeVideo, tmp_path: Path) -> None:
    hdr = probe(hdr_clip(tmp_path / "h.mp4"))
    eight = losses(hdr, "mp4", choose_encoding("mp4", hdr, pixels="8"))
    assert any("HDR metadata" in line for line in eight)
    assert any("HDR (PQ)" in line for line in eight)
    assert losses(hdr, "mp4", choose_encoding("mp4", hdr)) == []
    wide = probe(make_video("w.mkv", pix_fmt="yuv422p10le"))
    assert "--pixels 8" in losses(wide, "mp4", choose_encoding("mp4", wide))[0]
    assert losses(wide, "mp4", choose_encoding("mp4", wide, pixels="8")) == []
    clear = probe(make_video("c.mkv", pix_fmt="yuva420p"))  # the pattern is in its alpha, too
    assert clear.has_alpha
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "opaque.gif")
    assert not probe(tmp_path / "opaque.gif").has_alpha
    # What cannot be read cannot be kept by any output, and none is recommended.
    Image.fromarray(np.full((64, 64, 4), 90, np.uint8)).save(tmp_path / "half.png")
    half = probe(tmp_path / "half.png")
    for kind in ("mp4", "webm"):
        (said,) = losses(half, kind, choose_encoding(kind, half))
        assert "not read from png files" in said
        assert ".webm" not in said
    deep = probe(make_video("d.mkv", pix_fmt="yuv444p12le", size=(64, 64), codec="ffv1"))
    assert "HEVC in 12 bit 4:4:4" in losses(deep, "mp4", choose_encoding("mp4", deep))[0]
    assert "transparency" in losses(clear, "mp4", choose_encoding("mp4", clear))[0]
    assert losses(clear, "mkv", choose_encoding("mkv", clear, lossless=True)) == []
    plain = probe(make_video("p.mp4"))
    assert losses(plain, "mp4", choose_encoding("mp4", plain)) == []


@pytest.mark.parametrize(
    ("kind", "codec", "pix_fmt"),
    [
        ("webm", "auto", "yuva420p"),
        ("mkv", "vp9", "yuva420p"),
        ("mov", "prores", "yuva444p10le"),
        ("mp4", "vp9", "yuv420p"),  # MP4 has no place for VP9's second picture
        ("mp4", "auto", "yuv420p"),
    ],
)
def test_which_codecs_keep_transparency(
    make_video: MakeVideo, kind: Kind, codec: str, pix_fmt: str
) -> None:
    clear = probe(make_video("c.mkv", pix_fmt="yuva420p"))
    encoding = choose_encoding(kind, clear, codec=codec)
    assert encoding.pix_fmt == pix_fmt
    told = [line for line in losses(clear, kind, encoding) if "transparency" in line]
    assert len(told) == (pix_fmt == "yuv420p")


@pytest.fixture
def interlaced(make_video: MakeVideo) -> Path:
    """Even rows show a bar at the left, odd rows, half a frame later, further to the right."""

    def paint(index: int, planes: list[np.ndarray]) -> None:
        for plane in planes[1:]:
            plane[:] = 128
        planes[0][:] = 50
        for row in range(planes[0].shape[0]):
            left = 8 + 4 * index + 2 * (row % 2)
            planes[0][row, left : left + 8] = 200

    return make_video(
        "i.mp4",
        size=(64, 64),
        frames=8,
        paint=paint,
        options={"preset": "ultrafast", "crf": "4", "x264-params": "tff=1"},
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_interlaced_stays_interlaced(interlaced: Path, tmp_path: Path, suffix: str) -> None:
    info = probe(interlaced)
    assert info.field_order == "tff"
    out = tmp_path / f"o{suffix}"
    with VideoReader(interlaced) as reader, VideoWriter(out, reader.info) as made:
        for frame in reader:
            made.write(frame.native, frame.pts, frame.duration)
    frames = ffprobe(out, *FIRST, "-show_entries", "frame=interlaced_frame,top_field_first")[
        "frames"
    ]
    assert {(f["interlaced_frame"], f["top_field_first"]) for f in frames} == {(1, 1)}
    assert probe(out).field_order == "tff"
    assert "--deinterlace" in losses(info, "webm", choose_encoding("webm", info))[0]


def test_deinterlacing_keeps_the_times_and_removes_the_combs(interlaced: Path) -> None:
    with VideoReader(interlaced) as reader:
        raw = [(f.time, np.frombuffer(f.native.planes[0], np.uint8).copy()) for f in reader]
    with VideoReader(interlaced, deinterlace=True) as reader:
        assert reader.info.field_order == "progressive"
        whole = [(f.time, np.frombuffer(f.native.planes[0], np.uint8).copy()) for f in reader]
    assert [time for time, _ in whole] == [time for time, _ in raw]

    def combs(plane: np.ndarray) -> float:
        rows = plane.reshape(64, -1)[:, :64].astype(int)
        return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())

    assert combs(whole[4][1]) < 0.4 * combs(raw[4][1])


def shown(path: Path) -> np.ndarray:
    """(h, w, 3) RGB of the first frame, as the reader gives it."""
    with VideoReader(path) as reader:
        return next(iter(reader)).native.to_ndarray(format="rgb24").astype(np.int16)


def colours() -> Image.Image:
    """Smooth gradients of all three colours."""
    y, x = np.mgrid[:48, :64]
    return Image.fromarray(np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], 2).astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "YCbCr", "L"])
@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw"])
def test_scanned_pictures_keep_their_colours(tmp_path: Path, mode: str, compression: str) -> None:
    """Of TIFF that holds JPEG, libav makes a black or green picture without a word."""
    path = tmp_path / "scan.tif"
    if mode == "YCbCr" and compression != "jpeg":
        pytest.skip("nobody writes that")
    colours().convert(mode).save(path, compression=compression)
    assert probe(path).is_still
    expected = np.asarray(Image.open(path).convert("RGB")).astype(np.int16)
    assert np.abs(shown(path) - expected).mean() < 2


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_one_frame_is_a_picture_and_two_are_a_video(tmp_path: Path, suffix: str) -> None:
    """A mouth in a GIF of one frame would move at ten frames per second otherwise."""
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    colours().save(one, save_all=True)
    colours().save(two, save_all=True, append_images=[colours().transpose(0)], duration=80)
    assert probe(one).is_still
    assert probe(one).frame_count == 1
    assert not probe(two).is_still
    with VideoReader(two) as reader:
        assert sum(1 for _ in reader) == 2


@pytest.fixture
def film(make_video: MakeVideo) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    return make_video("film.mp4", size=(128, 96))


def said_of(path: Path) -> str:
    info = probe(path)
    return " ".join(losses(info, "mp4", choose_encoding("mp4", info)))


def test_a_film_for_two_eyes_says_so_no_longer(film: Path, tmp_path: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-i", str(film)]
    packed = ["-c:v", "libx264", "-x264-params", "frame-packing=3", str(tmp_path / "packed.mp4")]
    tagged = ["-c", "copy", "-metadata:s:v:0", "stereo_mode=top_bottom", str(tmp_path / "t.mkv")]
    for name, words in (("packed.mp4", packed), ("t.mkv", tagged)):
        subprocess.run([*command, *words], check=True)
        assert ffprobe_types(tmp_path / name) == {"Stereo 3D"}
        assert probe(tmp_path / name).views == ("two views",)
        assert "hold two views (3D), which the output will not say" in said_of(tmp_path / name)
    mono = tmp_path / "mono.mkv"
    subprocess.run(
        [*command, "-c", "copy", "-metadata:s:v:0", "stereo_mode=mono", mono], check=True
    )
    assert probe(mono).views == ()
    assert probe(film).views == ()


def ffprobe_types(path: Path) -> set[str]:
    shown = ffprobe(path, *FIRST, "-show_streams", "-show_frames", "-read_intervals", "%+#3")
    entries = [*shown["streams"], *shown["frames"]]
    kinds = {data["side_data_type"] for e in entries for data in e.get("side_data_list", [])}
    return {kind for kind in kinds if "SEI" not in kind}


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def with_box(film: Path, added: bytes, out: Path) -> Path:
    """A copy with one box more behind those of the video's sample entry."""
    data = bytearray(film.read_bytes())
    assert data.index(b"mdat") < data.index(b"moov")  # so that no place of a sample moves
    place = size = 0
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        place = data.index(kind, place) - 4
        size = struct.unpack(">I", data[place : place + 4])[0]
        data[place : place + 4] = struct.pack(">I", size + len(added))
    data[place + size : place + size] = added
    out.write_bytes(data)
    return out


def test_a_film_all_round_says_so_no_longer(film: Path, tmp_path: Path) -> None:
    """Google's boxes for 360 degrees (sv3d)."""
    pose, sphere = box(b"prhd", bytes(16)), box(b"equi", bytes(20))
    added = box(b"sv3d", box(b"svhd", bytes(4) + b"maker\0") + box(b"proj", pose + sphere))
    path = with_box(film, added, tmp_path / "round.mp4")
    assert "Spherical Mapping" in ffprobe_types(path)
    assert probe(path).views == ("sphere",)
    assert "is a 360 degree video, which the output will not say" in said_of(path)


def test_a_film_with_a_layer_for_the_other_eye(film: Path, tmp_path: Path) -> None:
    """Apple's boxes for spatial video (vexu): both eyes are there, the hero is the left one."""
    eyes = box(b"eyes", box(b"stri", bytes(4) + b"\x03") + box(b"hero", bytes(4) + b"\x01"))
    path = with_box(film, box(b"vexu", eyes), tmp_path / "spatial.mp4")
    assert probe(path).views == ("second view",)
    assert "holds a second view (spatial video), which is not read" in said_of(path)
