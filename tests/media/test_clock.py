"""Recordings whose clock restarts or jumps."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.media import limits
from lipwright.media.appended_matroska import OneSegment, appended
from lipwright.media.audio import load_speech
from lipwright.media.clock import clock_of
from lipwright.media.reader import VideoReader
from lipwright.media.source import open_media
from tests.conftest import MakeVideo

Record = Callable[..., Path]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A second of recording: 25 frames of one grey, and a click in the middle of its sound."""

    def make(name: str, *, grey: int = 100, start: float = 0.0, seconds: float = 1.0) -> Path:
        path = tmp_path / name
        video, audio = {
            ".ts": ("mpeg2video", "mp2"),
            ".mpg": ("mpeg2video", "mp2"),
            ".mkv": ("ffv1", "pcm_s16le"),
            ".webm": ("libvpx-vp9", "libopus"),
            ".ogg": (None, "libopus"),
        }[path.suffix]
        kind = {".ts": "mpegts", ".mpg": "vob", ".mkv": "matroska"}.get(path.suffix)
        wave = np.zeros((1, round(48_000 * seconds)), np.float32)
        wave[0, wave.size // 2 : wave.size // 2 + 48] = 0.9
        with av.open(str(path), "w", format=kind) as out:
            pictures = out.add_stream(video, rate=25) if video else None
            if pictures is not None:
                pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
            sound = out.add_stream(audio, rate=48_000, layout="mono")
            for index in range(round(25 * seconds) if pictures is not None else 0):
                frame = av.VideoFrame(64, 64, "yuv420p")
                for plane, value in zip(frame.planes, (grey, 128, 128), strict=True):
                    plane.update(bytes([value]) * plane.buffer_size)
                frame.pts = index + round(25 * start)
                out.mux(pictures.encode(frame))
            for first in range(0, wave.size, 960):
                part = np.ascontiguousarray(wave[:, first : first + 960])
                piece = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                piece.sample_rate, piece.pts = 48_000, first + round(48_000 * start)
                out.mux(sound.encode(piece))
            for stream in (pictures, sound):
                if stream is not None:
                    out.mux(stream.encode(None))
        return path

    return make


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def clicks(wave: np.ndarray) -> list[float]:
    """Seconds at which something begins to sound after silence."""
    loud = np.flatnonzero(np.abs(wave) > 0.2)
    starts = loud[np.diff(loud, prepend=-10_000) > 1_600]
    return [float(s) / 16_000 for s in starts]


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".mkv", ".webm"])
def test_parts_with_a_clock_of_their_own_follow_on_each_other(
    record: Record, tmp_path: Path, suffix: str
) -> None:
    seconds, number = 1.0, 3
    parts = [record(f"{n}{suffix}", grey=60 + 60 * n, seconds=seconds) for n in range(number)]
    count = round(25 * seconds)
    path = joined(tmp_path / f"all{suffix}", *parts)
    with VideoReader(path) as reader:
        frames = [(frame.time, int(bytes(frame.native.planes[0])[0])) for frame in reader]
        assert not reader.info.can_jump
        assert any("parts follow" in warning for warning in reader.warnings)
    assert len(frames) == number * count
    assert [float(time) for time, _ in frames] == pytest.approx(
        [k / 25 for k in range(number * count)], abs=0.002
    )
    greys = [frames[count * k + 10][1] for k in range(number)]
    assert greys == pytest.approx([60, 120, 180], abs=4)
    # Each part's sound is where its picture is: a click in the middle of each.
    notices: list[str] = []
    expected = [seconds * (k + 0.5) for k in range(number)]
    assert clicks(load_speech(path, notices=notices)) == pytest.approx(expected, abs=0.06)
    assert any("restarts" in notice for notice in notices)


def test_an_hours_jump_is_cut_out_and_a_short_gap_is_not(record: Record, tmp_path: Path) -> None:
    first, later = record("a.ts"), record("b.ts", start=3_600)
    with VideoReader(joined(tmp_path / "jump.ts", first, later)) as reader:
        times = [frame.time for frame in reader]
        assert any("jumps ahead once" in warning for warning in reader.warnings)
    assert float(times[-1]) == pytest.approx(49 / 25, abs=0.002)
    gap = joined(tmp_path / "gap.ts", first, record("c.ts", start=6))
    with VideoReader(gap) as reader:
        times = [frame.time for frame in reader]
        assert not any("clock" in warning for warning in reader.warnings)
    assert float(times[-1]) == pytest.approx(6 + 24 / 25, abs=0.05)
    with limits.applied(limits.parse(["clock_jump=4"])), VideoReader(gap) as reader:
        assert float([frame.time for frame in reader][-1]) == pytest.approx(49 / 25, abs=0.002)


def test_chained_ogg(record: Record, tmp_path: Path) -> None:
    path = joined(tmp_path / "all.ogg", record("a.ogg"), record("b.ogg"))
    assert clicks(load_speech(path)) == pytest.approx([0.5, 1.5], abs=0.03)


def test_a_steady_clock_is_left_alone(record: Record) -> None:
    for name in ("a.ts", "a.mpg", "a.mkv", "a.webm", "a.ogg"):
        path = record(name, start=5.0 if name == "a.ts" else 0.0)
        with open_media(path, "file") as container:
            assert clock_of(path, container) is None, name


def test_shifts_keep_sound_and_picture_of_a_part_together(record: Record, tmp_path: Path) -> None:
    path = joined(tmp_path / "all.ts", record("a.ts"), record("b.ts", start=40.0))
    with open_media(path, "file") as container:
        clock = clock_of(path, container)
    assert clock is not None
    assert len(clock.shifts) == 2
    assert float(clock.shifts[1]) == pytest.approx(1.0 - 40.0, abs=0.05)
    assert {piece for found in clock.switches.values() for _, _, piece in found} == {1}
    assert clock.jumps[0] > Fraction(30)


def test_a_part_in_another_format_is_left_out_with_a_sentence(
    record: Record, tmp_path: Path, make_video: MakeVideo
) -> None:
    first, last = record("1.mkv", grey=60, seconds=1.0), record("3.mkv", grey=180, seconds=1.0)
    other = make_video("2.mkv", codec="mpeg4")
    path = joined(tmp_path / "all.mkv", first, other, last)
    with VideoReader(path) as reader:
        greys = [int(bytes(frame.native.planes[0])[0]) for frame in reader]
        (sentence,) = reader.warnings
    assert len(greys) == 50
    assert (greys[10], greys[35]) == (pytest.approx(60, abs=4), pytest.approx(180, abs=4))
    assert "restarts once" in sentence
    assert "1 of them could not be read" in sentence


def test_what_libav_is_shown_of_joined_files(record: Record, tmp_path: Path) -> None:
    """Same length, same clusters; ffprobe itself reads all frames of what is shown."""
    parts = [record(f"{n}.mkv", grey=60, seconds=0.4) for n in range(4)]
    path = joined(tmp_path / "all.mkv", *parts)
    found = appended(path)
    assert found is not None
    sizes = [part.stat().st_size for part in parts]
    assert found.starts == tuple(np.cumsum(sizes)[:-1])
    file = OneSegment(path, found)
    shown = b"".join(iter(lambda: file.read(1000), b""))
    file.close()
    assert len(shown) == sum(sizes)
    assert shown.count(b"\x1a\x45\xdf\xa3") == 1
    (tmp_path / "shown.mkv").write_bytes(shown)
    with av.open(str(tmp_path / "shown.mkv")) as container:
        assert sum(1 for p in container.demux(video=0) if p.size) == 40
    assert appended(parts[0]) is None
    (tmp_path / "cut.mkv").write_bytes(path.read_bytes()[: sizes[0] + 20])
    assert appended(tmp_path / "cut.mkv") is None
