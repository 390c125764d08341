"""Small files that ask for much: every limit is reached by a harmless input made here."""

from __future__ import annotations

import contextlib
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.dubbing import timeline
from lipwright.errors import LipwrightError
from lipwright.media import limits
from lipwright.media.audio import load_speech
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader
from lipwright.printable import printable, printable_values
from tests.conftest import MakeSpeech, MakeVideo


def small(**settings: int) -> limits.Limits:
    return limits.parse([f"{name}={value}" for name, value in settings.items()])


def sound_with_hole(path: Path, seconds: float, length: float = 0.1) -> Path:
    """Two pieces of sound, ``seconds`` apart by their timestamps."""
    block = np.full((1, round(16_000 * length)), 1000, np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for start in (0, block.size + round(16_000 * seconds)):
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, start
            container.mux(stream.encode(frame))
    return path


def test_holes_are_filled_up_to_a_budget(tmp_path: Path) -> None:
    near = load_speech(sound_with_hole(tmp_path / "a.mkv", 30))
    assert near.size == pytest.approx(30.2 * 16_000, abs=50)
    bomb = sound_with_hole(tmp_path / "b.mkv", 590)
    assert bomb.stat().st_size < 10_000
    with pytest.raises(LipwrightError, match="hole_seconds"):
        load_speech(bomb)
    with limits.applied(small(hole_share=100_000)):
        assert load_speech(bomb).size == pytest.approx(590.2 * 16_000, abs=50)


def test_holes_have_an_absolute_budget_too(tmp_path: Path) -> None:
    path = sound_with_hole(tmp_path / "a.mkv", 30, length=5.0)
    with limits.applied(small(hole_seconds=20)), pytest.raises(LipwrightError, match="30 s"):
        load_speech(path)


def test_long_speech_is_refused_before_it_fills_the_memory(make_speech: MakeSpeech) -> None:
    path = make_speech(seconds=3.0)
    with (
        limits.applied(small(sound_seconds=2)),
        pytest.raises(LipwrightError, match="sound_seconds"),
    ):
        load_speech(path)


def test_pixels_are_checked_at_open_and_on_the_way(make_video: MakeVideo, tmp_path: Path) -> None:
    clip = make_video(size=(64, 48))
    with limits.applied(small(pixels=64 * 48 - 1)):
        with pytest.raises(LipwrightError, match="pixels"):
            probe(clip)
        with pytest.raises(LipwrightError, match="pixels"), VideoReader(clip):
            pass
    growing = tmp_path / "growing.mjpeg"  # pictures of any size one after another
    parts = [
        make_video(f"{n}.jpg", size=size, pix_fmt="yuvj420p", code_range=2)
        for n, size in enumerate([(32, 32), (320, 320)])
    ]
    growing.write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoReader(growing) as reader:
        assert len(list(reader)) == 2
    with limits.applied(small(pixels=10_000)), VideoReader(growing) as reader:
        assert len(list(reader)) == 1  # the decoder itself refuses the second one
        assert reader.warnings


def test_memory_of_a_picture_counts_its_depth(make_video: MakeVideo) -> None:
    deep = make_video("deep.mkv", pix_fmt="yuv444p16le", frames=1)
    with (
        limits.applied(small(picture_bytes=64 * 48 * 6 - 1)),
        pytest.raises(LipwrightError, match="picture_bytes"),
    ):
        probe(deep)
    with limits.applied(small(picture_bytes=64 * 48 * 6)):
        assert probe(deep).bit_depth == 16


def test_a_png_that_claims_a_terapixel(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 1_000_000, 1_000_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    with pytest.raises(LipwrightError) as caught:
        probe(path)
    assert "\n" not in str(caught.value)


def test_a_frame_rate_of_damaged_timestamps_is_slowed_down() -> None:
    line = timeline.build([0, 1], 1, Fraction(1, 20_000), Fraction(5), "auto")
    assert len(line) == 5_000  # at 1,000 a second, not 100,000
    with limits.applied(small(frame_rate=50)):
        slow = timeline.build([0, 1], 1, Fraction(1, 20_000), Fraction(5), "auto")
    assert len(slow) == 250
    assert "50 frames per second" in slow.notices[0]


def test_frames_of_the_output_are_bounded() -> None:
    with limits.applied(small(frames=100)):
        assert len(timeline.build([0, 1], 1, Fraction(1, 25), Fraction(3), "auto")) == 75
        with pytest.raises(LipwrightError, match="frames=N"):
            timeline.build([0, 1], 1, Fraction(1, 25), Fraction(5), "auto")
        with pytest.raises(LipwrightError, match="frames=N"):
            timeline.still(Fraction(5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pixel=3", "names"),
        ("pixels", "NAME=VALUE"),
        ("pixels=", "whole number"),
        ("pixels=-4", "whole number"),
        ("pixels=0", "whole number"),
        ("pixels=1e9", "whole number"),
        ("pixels=\u0663", "whole number"),
        ("pixels=" + "9" * 40, "whole number"),
    ],
)
def test_a_limit_that_is_none(text: str, words: str) -> None:
    with pytest.raises(LipwrightError, match=words):
        limits.parse([text])


def test_limits_are_given_back_and_listed() -> None:
    before = limits.active()
    with contextlib.suppress(ZeroDivisionError), limits.applied(small(pixels=1_000)):
        assert limits.active().pixels == 1_000
        _ = 1 // 0
    assert limits.active() is before
    assert limits.parse(["picture-bytes=1_000", "frames=5"]).picture_bytes == 1_000
    listed = (Path(__file__).parents[2] / "docs" / "media.md").read_text(encoding="utf-8")
    for name, default, _, _ in limits.table():
        assert f"`{name}`" in listed
        assert f"{default:,}" in listed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00fcml\u00e4ut \u4f60\u597d", "plain \u00fcml\u00e4ut \u4f60\u597d"),
        ("\x1b[31mred\x1b]0;title\x07", "\ufffd[31mred\ufffd]0;title\ufffd"),
        ("evil\u202egpj.exe", "evil\ufffdgpj.exe"),
        ("a\u2066b\u2069c\u200fd\u061ce", "a\ufffdb\ufffdc\ufffdd\ufffde"),
        ("one\ntwo\r\nthree\tfour", "one two  three four"),
        ("c1\x9bcsi\x85", "c1\ufffdcsi\ufffd"),
        ("zero\u200bwidth\ufeff", "zero\ufffdwidth\ufffd"),
        (
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("line\u2028sep\u2029para", "line\ufffdsep\ufffdpara"),
    ],
)
def test_strings_out_of_files_are_made_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_long_strings_are_cut_and_structures_cleaned() -> None:
    with limits.applied(small(text=5)):
        assert printable("abcdefgh") == "abcde\u2026"
    assert printable_values({"a\x1b": ["b\x07", 1, None]}) == {"a\ufffd": ["b\ufffd", 1, None]}
