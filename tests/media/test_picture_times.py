"""Pictures of MP4 files that libav shows at other times than the file says."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.media.audio import load_speech
from lipwright.media.clock import clock_of
from lipwright.media.encoding import choose_encoding, losses
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader
from lipwright.media.source import open_media

RATE, FPS = 48_000, 25


def record(path: Path, flags: str, *, b_frames: str = "3") -> Path:
    """Two seconds; at 1 s a white picture, and a click that begins with it."""
    wave = np.zeros(2 * RATE, np.float32)
    wave[RATE : RATE + 480] = 0.9
    packets = []
    with av.open(str(path), "w", options={"movflags": flags}) as file:
        video = file.add_stream("libx264", rate=FPS, options={"bf": b_frames})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = file.add_stream("aac", rate=RATE, layout="mono")
        for number in range(2 * FPS):
            light = 255 if number == FPS else 0
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), light, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += video.encode(frame)
        packets += video.encode(None)
        for start in range(0, wave.size, 1024):
            part = wave[None, start : start + 1024]
            block = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
            packets += audio.encode(block)
        packets += audio.encode(None)
        file.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return path


def cut(path: Path, milliseconds: int) -> Path:
    """Let both edit lists begin so much later, as a cut without encoding does."""
    data = bytearray(path.read_bytes())
    place = -1
    for units in (12_800, RATE):  # a second of the picture and of the sound
        place = data.index(b"elst", place + 1)
        for at, more in ((12, -milliseconds), (16, milliseconds * units // 1000)):
            there = slice(place + at, place + at + 4)
            data[there] = (int.from_bytes(data[there], "big") + more).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def flash_and_click(path: Path) -> tuple[float, float]:
    """Seconds from the first picture that is shown."""
    with VideoReader(path) as reader:
        frames = list(reader)
        times = [float(frame.time) for frame in frames]
        light = [frame.native.to_ndarray(format="gray").mean() for frame in frames]
    wave = load_speech(path)
    click = float(np.flatnonzero(np.abs(wave) > 0.4)[0]) / 16_000
    return times[int(np.argmax(light))], click


@pytest.mark.parametrize("milliseconds", [0, 290, 300, 320, 555])
@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_a_cut_between_frames(tmp_path: Path, milliseconds: int, b_frames: str) -> None:
    path = cut(record(tmp_path / "cut.mp4", "faststart", b_frames=b_frames), milliseconds)
    flash, click = flash_and_click(path)
    shown = FPS - -(-milliseconds // 40)  # frames from the first one that begins after the cut
    assert flash == pytest.approx(shown / FPS, abs=1e-3)
    assert click == pytest.approx(shown / FPS, abs=2e-3)


@pytest.mark.parametrize(
    "flags",
    [
        "+cmaf+frag_keyframe+delay_moov",
        "+frag_keyframe+delay_moov",
        "+negative_cts_offsets",
    ],
)
def test_fragments_and_offsets_below_zero(tmp_path: Path, flags: str) -> None:
    flash, click = flash_and_click(record(tmp_path / "stream.mp4", flags))
    assert flash == pytest.approx(1, abs=1e-3)
    assert click == pytest.approx(1, abs=2e-3)


def test_what_is_read_right_is_left_alone(tmp_path: Path) -> None:
    for path in (
        record(tmp_path / "whole.mp4", "faststart"),
        record(tmp_path / "whole.mov", "faststart"),
        cut(record(tmp_path / "cut.mp4", "faststart"), 320),
    ):
        with open_media(path, "video") as container:
            assert clock_of(path, container) is None


def damaged(data: bytes) -> Iterator[bytes]:
    """The tables of the fragments, wrong in some way."""
    for name in (b"moof", b"traf", b"tfhd", b"trun"):
        place = data.index(name)
        for length in (0, 1, 7, 2**32 - 1):
            yield data[: place - 4] + length.to_bytes(4, "big") + data[place:]
        yield data[: place + 6]


def test_damaged_fragments_end_in_no_other_error(tmp_path: Path) -> None:
    data = record(tmp_path / "stream.mp4", "+cmaf+frag_keyframe+delay_moov").read_bytes()
    for number, wrong in enumerate(damaged(data)):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(wrong)
        with contextlib.suppress(LipwrightError), open_media(path, "video") as container:
            clock_of(path, container)


def with_edits(path: Path, entries: list[tuple[int, int]], wide: bool) -> Path:
    """Put another list of (duration in ms, media time) into both tracks; moov lies at the end."""
    data = bytearray(path.read_bytes())
    form = ">QqHH" if wide else ">IiHH"
    content = b"".join(struct.pack(form, length, start, 1, 0) for length, start in entries)
    body = struct.pack(">BxxxI", wide, len(entries)) + content
    place = len(data)
    while (place := data.rfind(b"elst", 0, place)) >= 0:
        (old,) = struct.unpack(">I", data[place - 4 : place])
        data[place - 4 : place - 4 + old] = struct.pack(">I4s", 8 + len(body), b"elst") + body
        for name in (b"edts", b"trak", b"moov"):
            at = data.rfind(name, 0, place) - 4
            (size,) = struct.unpack(">I", data[at : at + 4])
            data[at : at + 4] = struct.pack(">I", size + 8 + len(body) - old)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("wide", [False, True])
def test_several_edits_are_told_of(tmp_path: Path, wide: bool) -> None:
    plain = record(tmp_path / "plain.mp4", "write_colr")
    assert not probe(plain).several_edits
    late = with_edits(record(tmp_path / "late.mp4", "write_colr"), [(500, -1), (2000, 1024)], wide)
    assert not probe(late).several_edits  # it begins half a second later, uncut
    apart = with_edits(
        record(tmp_path / "apart.mp4", "write_colr"), [(500, 1024), (800, 14_000)], wide
    )
    info = probe(apart)
    assert info.several_edits
    (said,) = losses(info, "mp4", choose_encoding("mp4", info))
    assert "was cut without encoding in several places" in said
    with VideoReader(apart) as reader:
        assert len(list(reader)) < 50  # libav, too, shows less than is stored
