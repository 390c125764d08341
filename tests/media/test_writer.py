"""What comes back out of a written file is what went in."""

from __future__ import annotations

import hashlib
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from lipwright.errors import LipwrightError
from lipwright.media.audio import load_speech
from lipwright.media.info import VideoInfo, probe
from lipwright.media.planes import plane_views
from lipwright.media.reader import VideoReader
from lipwright.media.writer import VideoWriter
from tests.conftest import MakeSpeech, MakeVideo, write_speech, write_video
from tests.media.test_audio import video_with_late_sound


def transcode(source: Path, out: Path, **options: object) -> VideoWriter:
    with VideoReader(source) as reader, VideoWriter(out, reader.info, **options) as writer:  # type: ignore[arg-type]
        for frame in reader:
            writer.write(frame.native, frame.pts, frame.duration)
    return writer


def times(path: Path) -> list[Fraction]:
    with VideoReader(path) as reader:
        return [f.pts * f.time_base for f in reader]


def pictures(path: Path) -> list[list[np.ndarray]]:
    with VideoReader(path) as reader:
        return [[v.copy() for v in plane_views(f.native)] for f in reader]


def debris(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


# --- pictures ------------------------------------------------------------------------------------

VARIABLE = [0, 1001, 2002, 5005, 6006, 6007, 90_000, 91_001]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
@pytest.mark.parametrize("base", [Fraction(1, 90_000), Fraction(1001, 30_000), Fraction(1, 1000)])
def test_timestamps_are_exact(
    make_video: MakeVideo, tmp_path: Path, suffix: str, base: Fraction
) -> None:
    source = make_video("in.mkv", pts=range(8), time_base=Fraction(1, 1000))
    out = tmp_path / f"out{suffix}"
    with (
        VideoReader(source) as reader,
        VideoWriter(out, reader.info, time_base=base) as writer,
    ):
        for frame, pts in zip(reader, VARIABLE, strict=True):
            writer.write(frame.native, pts, 1001)
    assert times(out) == [pts * base for pts in VARIABLE]
    assert probe(out).duration == (91_001 + 1001) * base


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_matroska_counts_in_milliseconds(
    make_video: MakeVideo, tmp_path: Path, suffix: str
) -> None:
    source = make_video(pts=VARIABLE, time_base=Fraction(1, 90_000))
    out = tmp_path / f"out{suffix}"
    # Two stamps 11 microseconds apart cannot both be kept; the rest is rounded.
    stamps = [p for p in VARIABLE if p != 6007]
    with VideoReader(source) as reader, VideoWriter(out, reader.info) as writer:
        for frame in reader:
            if frame.pts * frame.time_base * 90_000 != 6007:
                writer.write(frame.native, frame.pts, frame.duration)
    assert len(times(out)) == len(stamps)
    for got, pts in zip(times(out), stamps, strict=True):
        assert abs(got - Fraction(pts, 90_000)) <= Fraction(1, 2000)


def test_webm_takes_faster_frames_than_its_encoder(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.mkv", fps=500, frames=6, time_base=Fraction(1, 1000))
    out = tmp_path / "out.webm"
    with VideoReader(source) as reader, VideoWriter(out, reader.info) as writer:
        for frame in reader:
            writer.write(frame.native, frame.pts, frame.duration)
    assert times(out) == [Fraction(2 * i, 1000) for i in range(6)]


def test_a_late_start_is_kept(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.mkv", pts=[500, 540, 580], time_base=Fraction(1, 1000))
    transcode(source, tmp_path / "out.mkv")
    assert times(tmp_path / "out.mkv") == [Fraction(p, 1000) for p in (500, 540, 580)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(("rotation", "mirrored"), [(90, False), (180, False), (270, False)])
def test_orientation_is_kept(
    make_video: MakeVideo, tmp_path: Path, suffix: str, rotation: int, mirrored: bool
) -> None:
    source = make_video(rotation=rotation, mirrored=mirrored, frames=3)
    transcode(source, tmp_path / f"out{suffix}")
    info = probe(tmp_path / f"out{suffix}")
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    assert (info.width, info.height) == (64, 48)


def test_a_mirrored_picture_stays_mirrored(make_video: MakeVideo, tmp_path: Path) -> None:
    transcode(make_video(mirrored=True, rotation=180, frames=2), tmp_path / "out.mp4")
    info = probe(tmp_path / "out.mp4")
    assert (info.rotation, info.mirrored) == (180, True)


@pytest.mark.parametrize(
    ("suffix", "options"), [(".mp4", {}), (".mov", {}), (".mkv", {}), (".mkv", {"lossless": True})]
)
def test_sample_aspect_is_kept(
    make_video: MakeVideo, tmp_path: Path, suffix: str, options: dict[str, bool]
) -> None:
    source = make_video(aspect=Fraction(16, 15), frames=3)
    writer = transcode(source, tmp_path / f"out{suffix}", **options)
    assert probe(tmp_path / f"out{suffix}").sample_aspect == Fraction(16, 15)
    assert writer.warnings == []


def test_webm_gets_square_pixels_and_says_so(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video(aspect=Fraction(4, 3), frames=3)
    writer = transcode(source, tmp_path / "out.webm")
    info = probe(tmp_path / "out.webm")
    assert info.display_size == probe(source).display_size == (85, 48)
    assert any("square" in w for w in writer.warnings)


TAGS = {"matrix": 9, "primaries": 9, "transfer": 16, "code_range": 1}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(
    "tags",
    [
        TAGS,
        {"matrix": 1, "primaries": 1, "transfer": 1, "code_range": 1},
        {"matrix": 6, "primaries": 6, "transfer": 6, "code_range": 2},
    ],
)
def test_colour_tags_are_kept(
    make_video: MakeVideo, tmp_path: Path, suffix: str, tags: dict[str, int]
) -> None:
    transcode(make_video(frames=3, **tags), tmp_path / f"out{suffix}")
    colour = probe(tmp_path / f"out{suffix}").colour
    assert colour.matrix == tags["matrix"]
    assert colour.primaries == tags["primaries"]
    assert colour.transfer == tags["transfer"]
    assert colour.full_range == (tags["code_range"] == 2)


@pytest.mark.parametrize(
    ("pix_fmt", "suffix", "expected"),
    [
        ("yuv420p", ".mp4", "yuv420p"),
        ("yuv422p", ".mp4", "yuv422p"),
        ("yuv444p", ".mov", "yuv444p"),
        ("yuv420p10le", ".mp4", "yuv420p10le"),
        ("yuv422p10le", ".mkv", "yuv422p10le"),
        ("yuv444p10le", ".mp4", "yuv444p10le"),
        ("yuv420p12le", ".mp4", "yuv420p12le"),
        ("yuv420p16le", ".mkv", "yuv420p12le"),
        ("yuva420p", ".mp4", "yuv420p"),
        ("gray", ".mp4", "yuv420p"),
        ("gray10le", ".mp4", "yuv420p10le"),
        ("bgr0", ".mp4", "yuv420p"),
        ("yuv411p", ".mp4", "yuv420p"),
        ("yuv420p", ".webm", "yuv420p"),
        ("yuv444p", ".webm", "yuv444p"),
        ("yuv420p10le", ".webm", "yuv420p10le"),
    ],
)
def test_pixel_formats_are_kept_where_the_codec_can(
    make_video: MakeVideo, tmp_path: Path, pix_fmt: str, suffix: str, expected: str
) -> None:
    def paint(index: int, planes: list[np.ndarray]) -> None:
        for number, plane in enumerate(planes):
            unit = {"yuv420p16le": 256, "yuv420p12le": 16}.get(
                pix_fmt, 4 if plane.dtype == np.uint16 else 1
            )
            plane[:] = (100 + 15 * number) * unit

    source = make_video("in.mkv", size=(96, 80), pix_fmt=pix_fmt, frames=3, paint=paint)
    transcode(source, tmp_path / f"out{suffix}", crf=4)
    info = probe(tmp_path / f"out{suffix}")
    assert info.pix_fmt == expected
    with VideoReader(source) as a, VideoReader(tmp_path / f"out{suffix}") as b:
        before, _ = next(iter(a)).thumbnail(96)
        after, _ = next(iter(b)).thumbnail(96)
    assert np.abs(before.astype(int) - after.astype(int)).max() <= 6


@pytest.mark.parametrize("code_range", [1, 2])
@pytest.mark.parametrize(
    ("pix_fmt", "codes"),
    [
        ("yuv420p", (180, 100, 150)),
        ("yuv422p", (180, 100, 150)),
        ("yuv422p10le", (720, 400, 600)),
        ("yuva444p10le", (720, 400, 600, 512)),
        ("yuva420p", (180, 100, 150, 128)),
        ("gray", (180,)),
        ("gray10le", (720,)),
    ],
)
def test_prores_cannot_say_full_range(
    make_video: MakeVideo, tmp_path: Path, pix_fmt: str, codes: tuple[int, ...], code_range: int
) -> None:
    """ProRes has no place for the range: what it holds is read as limited, so it has to be that.

    Y = 180 of 255 in full range is 64 + 876 * 180 / 255 of 1023 in limited range; Cb 100 and Cr 150
    are at 512 + 896 * (100 - 128) / 255 and 512 + 896 * (150 - 128) / 255 (H.273, section 8.3).
    """

    def paint(index: int, planes: list[np.ndarray]) -> None:
        for plane, code in zip(planes, codes, strict=True):
            plane[:] = code

    source = make_video("in.mkv", pix_fmt=pix_fmt, frames=2, code_range=code_range, paint=paint)
    transcode(source, tmp_path / "out.mov", codec="prores")
    with VideoReader(tmp_path / "out.mov") as reader:
        native = next(iter(reader)).native
        assert not reader.info.colour.full_range
    step = 2 ** (reader.info.bit_depth - 10)
    found = [float(view.mean()) / step for view in plane_views(native)]
    wanted = [682.4, 413.6, 589.3] if code_range == 2 else [720.0, 400.0, 600.0]
    if pix_fmt.startswith("gray"):
        wanted[1:] = 512.0, 512.0
    if pix_fmt == "yuva420p":
        wanted.append(128 * 1023 / 255)
    elif pix_fmt == "yuva444p10le":
        wanted.append(512.0)
    assert found == pytest.approx(wanted, abs=3.0)


def test_a_matrix_that_prores_does_not_know_is_one_sentence(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    source = make_video("in.mkv", matrix=8, frames=2)
    with pytest.raises(LipwrightError, match="as YCgCo, which ProRes cannot say; use --codec auto"):
        transcode(source, tmp_path / "out.mov", codec="prores")


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (33, 17), (63, 48), (64, 47), (65, 49)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_every_size_is_kept(
    make_video: MakeVideo, tmp_path: Path, size: tuple[int, int], suffix: str
) -> None:
    source = make_video("in.mkv", size=size, frames=4)
    transcode(source, tmp_path / f"out{suffix}")
    info = probe(tmp_path / f"out{suffix}")
    assert (info.width, info.height) == size
    assert len(times(tmp_path / f"out{suffix}")) == 4


def test_quality(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.mkv", size=(160, 128), frames=10)

    def error(out: Path) -> float:
        pairs = zip(pictures(source), pictures(out), strict=True)
        return float(np.mean([np.mean((a[0].astype(float) - b[0]) ** 2) for a, b in pairs]))

    transcode(source, tmp_path / "fine.mp4")
    transcode(source, tmp_path / "coarse.mp4", crf=40)
    assert error(tmp_path / "fine.mp4") < 3.0 < error(tmp_path / "coarse.mp4")
    with pytest.raises(LipwrightError, match="0 to 51"):
        transcode(source, tmp_path / "bad.mp4", crf=99)


LOSSLESS = [
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuv411p",
    "yuv440p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p12le",
    "yuv420p16le",
    "yuva420p",
    "gray",
    "gray10le",
    "gray16le",
    "bgr0",
    "bgra",
    "gbrp10le",
    "gbrp16le",
]


@pytest.mark.parametrize("pix_fmt", LOSSLESS)
@pytest.mark.parametrize("size", [(64, 48), (33, 17), (1, 1)])
def test_lossless_is_bit_exact(
    make_video: MakeVideo, tmp_path: Path, pix_fmt: str, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(7)

    def paint(index: int, planes: list[np.ndarray]) -> None:
        bits = max(c.bits for c in av.VideoFormat(pix_fmt, 8, 8).components)
        for plane in planes:
            plane[:] = rng.integers(0, 2**bits, plane.shape)

    source = make_video("in.mkv", size=size, pix_fmt=pix_fmt, frames=3, paint=paint)
    out = tmp_path / "out.mkv"
    transcode(source, out, lossless=True)
    assert probe(out).pix_fmt == probe(source).pix_fmt
    assert times(out) == times(source)
    for before, after in zip(pictures(source), pictures(out), strict=True):
        for a, b in zip(before, after, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p"])
def test_lossless_with_wide_pixels_is_bit_exact_too(
    make_video: MakeVideo, tmp_path: Path, pix_fmt: str
) -> None:
    source = make_video("in.mp4", pix_fmt=pix_fmt, frames=4, aspect=Fraction(4, 3), audio="sine")
    transcode(source, tmp_path / "out.mkv", lossless=True, speech=source)
    assert probe(tmp_path / "out.mkv").sample_aspect == Fraction(4, 3)
    for before, after in zip(pictures(source), pictures(tmp_path / "out.mkv"), strict=True):
        for a, b in zip(before, after, strict=True):
            assert np.array_equal(a, b)


def test_lossless_keeps_full_range_jpeg_yuv(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.avi", pix_fmt="yuvj420p", codec="mjpeg", frames=3, code_range=2)
    transcode(source, tmp_path / "out.mkv", lossless=True)
    info = probe(tmp_path / "out.mkv")
    assert info.colour.full_range
    assert info.pix_fmt == "yuv420p"
    for before, after in zip(pictures(source), pictures(tmp_path / "out.mkv"), strict=True):
        for a, b in zip(before, after, strict=True):
            assert np.array_equal(a, b)


def test_lossless_wants_matroska(make_video: MakeVideo, tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match=r"\.mkv"):
        transcode(make_video(), tmp_path / "out.mp4", lossless=True)
    assert debris(tmp_path) == []


def test_one_frame_may_be_written_many_times(make_video: MakeVideo, tmp_path: Path) -> None:
    """As for a still picture and for a video that runs forward and back."""
    still = make_video("face.png", pix_fmt="rgb24", size=(64, 48))
    out = tmp_path / "out.mp4"
    with VideoReader(still) as reader:
        frame = next(iter(reader))
        with VideoWriter(out, reader.info, time_base=Fraction(1, 25)) as writer:
            for index in range(30):
                writer.write(frame.native, index)
    assert times(out) == [Fraction(i, 25) for i in range(30)]
    assert probe(out).colour.matrix == 6  # the RGB picture was converted, and the tag says how


def test_picture_types_of_the_source_are_no_orders(make_video: MakeVideo, tmp_path: Path) -> None:
    """An all-intra source (a camera's) must not make every picture of the output intra."""
    source = make_video("in.mp4", frames=20, options={"g": "1", "preset": "ultrafast"})
    transcode(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        intra = [f for f in container.decode(video=0) if f.pict_type == PictureType.I]
    assert len(intra) == 1


def test_timestamps_must_grow(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video(frames=1)
    with VideoReader(source) as reader:
        frame = next(iter(reader))
        writer = VideoWriter(tmp_path / "out.mp4", reader.info)
        writer.write(frame.native, 5)
        for pts in (5, 4):
            with pytest.raises(ValueError, match="grow"):
                writer.write(frame.native, pts)
        writer.abort()


# --- speech --------------------------------------------------------------------------------------


def packets(path: Path, kind: str = "audio", number: int = 0) -> list[str]:
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][number]
        return [hashlib.md5(bytes(p)).hexdigest() for p in container.demux(stream) if p.size]


@pytest.mark.parametrize(
    ("speech", "suffix"),
    [
        ("s.m4a", ".mp4"),
        ("s.m4a", ".mov"),
        ("s.m4a", ".mkv"),
        ("s.mp3", ".mp4"),
        ("s.mp3", ".mkv"),
        ("s.flac", ".mkv"),
        ("s.flac", ".mp4"),
        ("s.wav", ".mkv"),
        ("s.wav", ".mov"),
        ("s.ogg", ".webm"),
        ("s.ogg", ".mkv"),
        ("s.webm", ".webm"),
    ],
)
def test_speech_is_copied_bit_for_bit(
    make_video: MakeVideo, make_speech: MakeSpeech, tmp_path: Path, speech: str, suffix: str
) -> None:
    sound = make_speech(speech, rate=48_000, seconds=1.5, audio="noise")
    out = tmp_path / f"out{suffix}"
    transcode(make_video(frames=30), out, speech=sound)
    before, after = packets(sound), packets(out)
    # Raw PCM is cut into other packets, and Matroska leaves out the encoder's padding.
    if speech != "s.wav":
        assert after == before[len(before) - len(after) :]
        assert len(before) - len(after) <= 1
    else:
        assert np.array_equal(load_speech(sound), load_speech(out))


@pytest.mark.parametrize(
    ("speech", "rate", "layout", "suffix", "codec"),
    [
        ("s.wav", 16_000, "mono", ".mp4", "aac"),
        ("s.wav", 8_000, "mono", ".mp4", "aac"),
        ("s.wav", 96_000, "stereo", ".mp4", "aac"),
        ("s.wav", 44_100, "5.1", ".mp4", "aac"),
        ("s.ogg", 48_000, "stereo", ".mov", "aac"),
        ("s.wav", 44_100, "stereo", ".webm", "opus"),
        ("s.m4a", 44_100, "mono", ".webm", "opus"),
    ],
)
def test_what_cannot_be_copied_is_encoded_well(
    make_video: MakeVideo,
    make_speech: MakeSpeech,
    tmp_path: Path,
    speech: str,
    rate: int,
    layout: str,
    suffix: str,
    codec: str,
) -> None:
    sound = make_speech(speech, rate=rate, layout=layout, seconds=1.5)
    out = tmp_path / f"out{suffix}"
    transcode(make_video(frames=30), out, speech=sound)
    with av.open(str(out)) as container:
        context = container.streams.audio[0].codec_context
        assert context.codec.canonical_name == codec
        assert context.layout.nb_channels == av.AudioLayout(layout).nb_channels
    before, after = load_speech(sound), load_speech(out)
    count = min(before.size, after.size) - 2000
    assert np.corrcoef(before[1000:count], after[1000:count])[0, 1] > 0.99


def click(seconds: float, at: float, rate: int) -> np.ndarray:
    """A smooth bump of 4 ms whose top survives resampling and lossy codecs."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.9 * np.exp(-(((time - at) / 0.002) ** 2))).astype(np.float32)


def sounding_time(path: Path) -> float:
    """When the loudest moment is presented, relative to the first picture."""
    with VideoReader(path) as reader:
        origin = float(next(iter(reader)).pts * reader.info.time_base)
    best, moment = 0.0, 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            raw = np.abs(frame.to_ndarray().astype(np.float64))
            mono = raw.max(axis=0) if frame.format.is_planar else raw[0]
            if frame.format.name.startswith("s16"):
                mono = mono / 32768
            if mono.max() > best:
                best = float(mono.max())
                assert frame.pts is not None
                assert frame.time_base is not None
                moment = float(frame.pts * frame.time_base) + int(mono.argmax()) / frame.rate
    return moment - origin


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(
    ("speech", "rate"),
    [
        ("s.wav", 16_000),
        ("s.m4a", 44_100),
        ("s.mp3", 44_100),
        ("s.ogg", 48_000),
        ("s.aac", 48_000),
        ("s.mkv", 48_000),
    ],
)
@pytest.mark.parametrize("first", [0, 700])
def test_sound_and_pictures_start_together(
    make_video: MakeVideo,
    make_speech: MakeSpeech,
    tmp_path: Path,
    suffix: str,
    speech: str,
    rate: int,
    first: int,
) -> None:
    """Sample n of load_speech sounds n / 16000 s after the first picture, within a millisecond.

    Encoders pad the start, by 7 (Opus) to 25 ms (MP3); shifting pictures or sound by that much is
    the classic mistake when streams are copied.
    """
    sound = make_speech(speech, audio=click(1.5, 0.6, rate), rate=rate)
    stamps = [first + 40 * i for i in range(30)]
    source = make_video("in.mkv", pts=stamps, time_base=Fraction(1, 1000))
    out = tmp_path / f"out{suffix}"
    transcode(source, out, speech=sound)
    heard = int(np.abs(load_speech(sound)).argmax()) / 16_000
    assert sounding_time(out) == pytest.approx(heard, abs=0.0015)
    assert times(out) == [Fraction(s, 1000) for s in stamps]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("sound_at", [0.5, 0.75, 0.2])
def test_a_video_dubbed_with_its_own_sound_stays_in_step(
    tmp_path: Path, suffix: str, sound_at: float
) -> None:
    wave = click(1.0, 0.6, 16_000)
    source = video_with_late_sound(tmp_path / "late.mkv", sound_at, wave)
    out = tmp_path / f"out{suffix}"
    transcode(source, out, speech=source)
    assert sounding_time(out) == pytest.approx(sound_at + 0.6 - 0.5, abs=0.0015)
    before, after = (int(np.abs(load_speech(p)).argmax()) for p in (source, out))
    assert after == pytest.approx(before, abs=24)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_speech_may_be_shorter_or_longer(
    make_video: MakeVideo, make_speech: MakeSpeech, tmp_path: Path, suffix: str, seconds: float
) -> None:
    sound = make_speech(seconds=seconds)
    out = tmp_path / f"out{suffix}"
    transcode(make_video(frames=25), out, speech=sound)
    assert len(times(out)) == 25
    assert load_speech(out).size == pytest.approx(16_000 * seconds, abs=600)


@pytest.mark.parametrize("speech", ["s.wav", "s.m4a"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_longer_speech_is_cut_when_asked(
    make_video: MakeVideo, make_speech: MakeSpeech, tmp_path: Path, speech: str, suffix: str
) -> None:
    sound = make_speech(speech, seconds=4.0, rate=48_000)
    out = tmp_path / f"out{suffix}"
    transcode(make_video(frames=25), out, speech=sound, duration=Fraction(1))
    assert load_speech(out).size == pytest.approx(16_000, abs=600)  # within one packet


def test_sound_lies_beside_the_pictures(
    make_video: MakeVideo, make_speech: MakeSpeech, tmp_path: Path
) -> None:
    """Players read a file from start to end: no stream may run far ahead."""
    source = make_video(frames=500, size=(32, 32))
    for speech, suffix in (("s.m4a", ".mp4"), ("s.wav", ".mp4"), ("s.wav", ".mkv")):
        out = tmp_path / f"out{suffix}"
        transcode(source, out, speech=make_speech(speech, seconds=20.0, rate=48_000))
        latest = {"video": 0.0, "audio": 0.0}
        apart = 0.0
        with av.open(str(out)) as container:
            order = [p for p in container.demux() if p.pos is not None and p.dts is not None]
            for packet in sorted(order, key=lambda p: p.pos or 0):
                assert packet.dts is not None
                latest[packet.stream.type] = float(packet.dts * packet.time_base)
                apart = max(apart, abs(latest["video"] - latest["audio"]))
        assert apart < 2.0, suffix


def test_speech_from_the_video_itself(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video(frames=25, audio="sine", audio_rate=44_100, audio_layout="stereo")
    transcode(source, tmp_path / "out.mp4", speech=source)
    assert packets(tmp_path / "out.mp4") == packets(source)
    assert probe(tmp_path / "out.mp4").has_audio


def test_damaged_speech_still_gives_a_file(
    make_video: MakeVideo, make_speech: MakeSpeech, tmp_path: Path
) -> None:
    sound = make_speech("s.mp3", seconds=3.0, rate=48_000)
    data = bytearray(sound.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 700] = bytes(700)
    sound.write_bytes(data[: 4 * len(data) // 5])
    transcode(make_video(frames=25), tmp_path / "out.mp4", speech=sound)
    assert len(times(tmp_path / "out.mp4")) == 25


# --- other streams -------------------------------------------------------------------------------


def rich_source(path: Path, subtitle: str = "subrip") -> Path:
    """A Matroska file with pictures, two languages and subtitles."""
    first = write_video(path.with_name("one.mkv"), frames=50, audio="sine")
    second = write_speech(path.with_name("two.m4a"), audio="noise", rate=48_000, seconds=2.0)
    with av.open(str(path), "w") as out, av.open(str(first)) as a, av.open(str(second)) as b:
        copies = [(a, s, out.add_stream_from_template(s)) for s in a.streams]
        copies += [(b, s, out.add_stream_from_template(s)) for s in b.streams]
        copies[-1][2].metadata["language"] = "fra"
        titles = out.add_mux_stream(subtitle)
        titles.time_base = Fraction(1, 1000)
        titles.metadata["language"] = "deu"
        waiting = []
        for number, text in enumerate((b"Guten Tag", b"Auf Wiedersehen")):
            packet = av.Packet(text)
            packet.stream, packet.time_base = titles, Fraction(1, 1000)
            packet.pts = packet.dts = 200 + 900 * number
            packet.duration = 500
            waiting.append(packet)
        for container, stream, copy in copies:
            for packet in container.demux(stream):
                if packet.size:
                    packet.stream = copy
                    waiting.append(packet)
            container.seek(0)
        waiting.sort(key=lambda p: p.dts * p.time_base)
        out.mux(waiting)
    return path


def test_other_streams_are_kept(make_speech: MakeSpeech, tmp_path: Path) -> None:
    source = rich_source(tmp_path / "rich.mkv")
    out = tmp_path / "out.mkv"
    writer = transcode(source, out, speech=make_speech(seconds=2.0), keep_streams_from=source)
    assert writer.warnings == []
    with av.open(str(out)) as container:
        kinds = [s.type for s in container.streams]
        assert kinds == ["video", "audio", "audio", "subtitle"]
        assert container.streams[2].metadata["language"] == "fra"
        assert container.streams[3].metadata["language"] == "deu"
        titles = [bytes(p) for p in container.demux(subtitles=0) if p.size]
    assert titles == [b"Guten Tag", b"Auf Wiedersehen"]
    assert packets(out, "audio", 1)[-20:] == packets(source, "audio", 1)[-20:]


def test_without_asking_other_streams_are_left(make_speech: MakeSpeech, tmp_path: Path) -> None:
    source = rich_source(tmp_path / "rich.mkv")
    transcode(source, tmp_path / "out.mkv", speech=make_speech())
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]


def test_streams_that_the_container_cannot_hold_are_named(tmp_path: Path) -> None:
    source = rich_source(tmp_path / "rich.mkv")
    writer = transcode(source, tmp_path / "out.mp4", keep_streams_from=source)
    assert any("subtitle" in w and "subrip" in w for w in writer.warnings)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]


# --- nothing half-written ------------------------------------------------------------------------


@pytest.fixture
def clip(make_video: MakeVideo) -> Path:
    return make_video(frames=5)


def first_frame(path: Path) -> tuple[VideoInfo, av.VideoFrame]:
    with VideoReader(path) as reader:
        return reader.info, next(iter(reader)).native


def test_the_name_appears_only_at_the_end(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_text("older")
    info, frame = first_frame(clip)
    writer = VideoWriter(out, info)
    writer.write(frame, 0)
    assert out.read_text() == "older"
    assert writer.temporary.parent == tmp_path
    assert writer.temporary.name.startswith(".")
    assert writer.temporary.suffix == ".mp4"
    writer.close()
    assert probe(out).frame_count == 1
    assert debris(tmp_path) == []
    writer.close()  # once is enough
    writer.abort()  # and later than that it does nothing
    assert out.exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(
    clip: Path, tmp_path: Path, error: type[BaseException]
) -> None:
    info, frame = first_frame(clip)

    def interrupted() -> None:
        with VideoWriter(tmp_path / "out.mp4", info) as writer:
            writer.write(frame, 0)
            assert len(debris(tmp_path)) == 1
            raise error

    with pytest.raises(error):
        interrupted()
    assert debris(tmp_path) == []
    assert not (tmp_path / "out.mp4").exists()


def test_abort_leaves_nothing(clip: Path, tmp_path: Path, make_speech: MakeSpeech) -> None:
    info, frame = first_frame(clip)
    speech = make_speech()
    for started in (False, True):
        writer = VideoWriter(tmp_path / "out.mp4", info, speech=speech)
        if started:
            writer.write(frame, 0)
        writer.abort()
        assert debris(tmp_path) == []


def test_nothing_to_write_is_an_error(clip: Path, tmp_path: Path) -> None:
    info, _ = first_frame(clip)
    with pytest.raises(LipwrightError, match="no pictures"), VideoWriter(tmp_path / "o.mp4", info):
        pass
    assert debris(tmp_path) == []
    assert not (tmp_path / "o.mp4").exists()


def test_the_finish_hook_sees_the_complete_file(clip: Path, tmp_path: Path) -> None:
    seen: list[int | None] = []

    def sign(path: Path) -> None:
        assert not (tmp_path / "out.mp4").exists()
        seen.append(probe(path).frame_count)
        path.write_bytes(path.read_bytes() + b"\x00\x00\x00\x0cfreesign")

    transcode(clip, tmp_path / "out.mp4", finish_hook=sign)
    assert seen == [5]
    assert (tmp_path / "out.mp4").read_bytes().endswith(b"sign")
    assert probe(tmp_path / "out.mp4").frame_count == 5


def test_a_failing_finish_hook_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise LipwrightError("The signature failed.")

    with pytest.raises(LipwrightError, match="signature"):
        transcode(clip, tmp_path / "out.mp4", finish_hook=fail)
    assert debris(tmp_path) == []
    assert not (tmp_path / "out.mp4").exists()


def bad_targets(tmp_path: Path, clip: Path) -> dict[str, tuple[Path, str]]:
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    return {
        "suffix": (tmp_path / "out.xyz", "suffix"),
        "no suffix": (tmp_path / "out", "suffix"),
        "folder": (tmp_path / "no" / "out.mp4", "does not exist"),
        "input": (clip, "also an input"),
        "link to input": (link, "also an input"),
    }


@pytest.mark.parametrize("case", ["suffix", "no suffix", "folder", "input", "link to input"])
def test_impossible_outputs_are_refused_in_one_sentence(
    clip: Path, tmp_path: Path, case: str
) -> None:
    out, words = bad_targets(tmp_path, clip)[case]
    before = clip.read_bytes()
    info = probe(clip)
    with pytest.raises(LipwrightError, match=words) as caught:
        VideoWriter(out, info)
    assert "\n" not in str(caught.value)
    assert clip.read_bytes() == before
    assert debris(tmp_path) == []


def test_a_folder_or_device_as_output_is_refused(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "dir.mp4").mkdir()
    device = tmp_path / "null.mp4"
    device.symlink_to(os.devnull)
    for out in (tmp_path / "dir.mp4", device):
        with pytest.raises(LipwrightError, match="no ordinary file"):
            VideoWriter(out, probe(clip))
    assert Path(os.devnull).is_char_device()


def test_a_read_only_folder_is_refused(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder)
    with pytest.raises(LipwrightError, match="not writable"):
        VideoWriter(folder / "out.mp4", probe(clip))


def test_a_full_disk_is_told_in_one_sentence(clip: Path, tmp_path: Path) -> None:
    info, frame = first_frame(clip)
    writer = VideoWriter(tmp_path / "out.mkv", info)

    def full(packet: object) -> None:
        raise av.error.OSError(28, "No space left on device")

    class Output:
        mux_one = staticmethod(full)

        def close(self) -> None:
            pass

    writer._output = Output()  # type: ignore[assignment]
    writer.write(frame, 0)  # still inside the encoder
    with pytest.raises(LipwrightError, match="No space left"):
        writer.close()
    assert debris(tmp_path) == []


def test_unusable_speech_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    text = tmp_path / "speech.txt"
    text.write_text("to be or not to be\n" * 100)
    for speech in (text, tmp_path / "none.wav", clip):
        with pytest.raises(LipwrightError):
            VideoWriter(tmp_path / "out.mp4", probe(clip), speech=speech)
    assert debris(tmp_path) == []


def test_an_output_through_a_link_keeps_the_link(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real = tmp_path / "there" / "real.mp4"
    real.write_text("older")
    link = tmp_path / "out.mp4"
    link.symlink_to(real)
    transcode(clip, link)
    assert link.is_symlink()
    assert probe(real).frame_count == 5


def test_metadata_is_written(clip: Path, tmp_path: Path) -> None:
    transcode(clip, tmp_path / "out.mp4", metadata={"title": "A dubbed clip"})
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["title"] == "A dubbed clip"


def test_a_real_clip_copies_sound_and_times(corpus: Path, tmp_path: Path) -> None:
    clip = next((corpus / "demo").glob("*do_you_want_to_split*"))
    out = tmp_path / "out.mp4"
    transcode(clip, out, speech=clip, preset="ultrafast")
    assert times(out) == times(clip)
    assert packets(out) == packets(clip)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_few_frames_of_hevc(tmp_path: Path, frames: int, make_video: MakeVideo) -> None:
    """x265 gives absurd decoding times for the shortest clips, which MP4 refuses."""
    video = make_video("noise.mp4", size=(192, 160), frames=frames, paint=_noise)
    info, out = probe(video), tmp_path / "out.mp4"
    with VideoReader(video) as reader, VideoWriter(out, info, codec="hevc") as writer:
        for frame in reader:
            writer.write(frame.native, frame.pts)
    with av.open(str(out)) as made:
        assert [frame.time for frame in made.decode(video=0)] == [k / 25 for k in range(frames)]


def _noise(index: int, planes: list[np.ndarray]) -> None:
    for plane in planes:
        plane[:] = np.random.default_rng(index).integers(16, 235, plane.shape)
