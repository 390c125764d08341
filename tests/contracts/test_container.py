"""What every container does that is read or written; a new one is held to it by being registered.

Read are the names of ``lipwright.media.source.CONTAINERS``, of which
``tests/contracts/container_samples.py`` has files; written are the suffixes of
``lipwright.media.encoding.KINDS``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.media.audio import load_speech
from lipwright.media.encoding import KINDS, MUXERS
from lipwright.media.info import probe
from lipwright.media.planes import layout_of, plane_views
from lipwright.media.reader import VideoReader
from lipwright.media.source import CONTAINERS
from lipwright.media.writer import VideoWriter
from tests.conftest import ffprobe, moving_pattern, write_speech, write_video
from tests.contracts.container_samples import (
    FRAMES,
    SECONDS,
    SOUNDS,
    VIDEOS,
    WITHOUT_A_SAMPLE,
    Sound,
    Video,
)

Write = Callable[[Video | Sound], Path]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """The file of a sample, written once."""
    made: dict[int, Path] = {}

    def write(sample: Video | Sound) -> Path:
        if id(sample) not in made:
            made[id(sample)] = sample.write(tmp_path_factory.mktemp("containers"))
        return made[id(sample)]

    return write


def damaged(path: Path, folder: Path) -> list[Path]:
    """Copies of a file: cut off at three places, without its beginning, with wrong bytes."""
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    kinds = [data[: len(data) * n // 10] for n in (1, 5, 9)]
    kinds.append(bytes(min(64, len(data))) + data[64:])
    for share in (0.002, 0.05):
        wrong = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, len(wrong), max(1, int(share * len(wrong))))
        wrong[places] = rng.integers(0, 256, len(places))
        kinds.append(wrong.tobytes())
    copies = []
    for number, content in enumerate(kinds):
        copy = folder / f"damaged{number}{path.suffix}"
        copy.write_bytes(content)
        copies.append(copy)
    return copies


def digests(path: Path, threads: int = 0) -> list[tuple[Fraction, str]]:
    """Time and pixels of every frame."""
    with VideoReader(path, threads) as reader:
        return [
            (
                f.time,
                hashlib.sha256(b"".join(v.tobytes() for v in plane_views(f.native))).hexdigest(),
            )
            for f in reader
        ]


def result_or_sentence(read: Callable[[Path], Any], path: Path) -> Any:
    """What reading a file gives, or nothing where it is refused in one sentence that names it."""
    try:
        return read(path)
    except LipwrightError as error:
        sentence = str(error)
    assert str(path) in sentence
    assert "\n" not in sentence
    return []


def grey(frame: av.VideoFrame) -> av.VideoFrame:
    """The brightness of colours; other frames as they are."""
    return frame.reformat(format="gray") if frame.format.name == "gbrp" else frame


def can_be_written(name: str) -> bool:
    """Whether libav has a muxer of that name."""
    try:
        av.ContainerFormat(name, "w")
    except ValueError:
        return False
    return True


def test_every_container_that_can_be_written_has_a_sample() -> None:
    sampled = {s.demuxer for s in [*VIDEOS, *SOUNDS]}
    names = set(CONTAINERS.split(","))
    missing = {n for n in names if can_be_written(n)} - sampled - set(WITHOUT_A_SAMPLE)
    assert not missing, "give tests/contracts/container_samples.py a file of these"
    assert sampled | set(WITHOUT_A_SAMPLE) <= names, "no longer read"


@pytest.mark.parametrize("sample", VIDEOS, ids=lambda s: s.demuxer)
class TestVideoIn:
    def test_facts_and_shapes(self, sample: Video, written: Write) -> None:
        info = probe(written(sample))
        assert (info.width, info.height) == sample.size
        assert info.is_still == (sample.frames == 1)
        layout = layout_of(info.pix_fmt)
        assert layout is not None
        with VideoReader(written(sample)) as reader:
            assert reader.info == info
            frames = 0
            for frame in reader:
                frames += 1
                assert (frame.native.width, frame.native.height) == sample.size
                assert frame.native.format.name == info.pix_fmt
                views = plane_views(frame.native)
                assert views[0].shape == sample.size[::-1]
                assert {v.dtype for v in views} <= {np.dtype("u1"), np.dtype("u2")}
                assert frame.duration >= 1
            assert frames == sample.frames

    def test_times_are_those_of_the_frames(self, sample: Video, written: Write) -> None:
        times = [time for time, _ in digests(written(sample))]
        assert times == [Fraction(n, sample.rate) for n in range(sample.frames)]

    def test_pictures_in_the_order_in_which_they_were_drawn(
        self, sample: Video, written: Write
    ) -> None:
        with VideoReader(written(sample)) as reader:
            seen = [np.array(plane_views(grey(f.native))[0], np.float64) for f in reader]
        drawn: list[NDArray[Any]] = [np.empty(sample.size[::-1], np.uint8) for _ in seen]
        for index, plane in enumerate(drawn):
            moving_pattern(index, [plane])
        if sample.exact:
            assert all(np.array_equal(a, b) for a, b in zip(seen, drawn, strict=True))
        # Alike but for gain and offset: other ranges and depths of the same picture.
        for index, picture in enumerate(seen):
            some = picture[::3, ::3].ravel()
            alike = [np.corrcoef(some, d[::3, ::3].ravel())[0, 1] for d in drawn]
            assert int(np.argmax(alike)) == index
            assert alike[index] > 0.95

    def test_the_same_again_with_any_number_of_threads(self, sample: Video, written: Write) -> None:
        once = digests(written(sample))
        assert digests(written(sample)) == once
        assert digests(written(sample), threads=1) == once

    def test_another_program_agrees(self, sample: Video, written: Write) -> None:
        if sample.demuxer == "webp":
            pytest.skip("ffprobe knows animated WebP from version 8 on")
        found = ffprobe(
            written(sample),
            *("-select_streams", "v:0", "-show_entries"),
            "stream=width,height:frame=best_effort_timestamp_time",
        )
        stream, frames = found["streams"][0], found["frames"]
        assert (stream["width"], stream["height"]) == sample.size
        assert len(frames) == sample.frames
        if not sample.bare and sample.frames > 1:
            stamp = "best_effort_timestamp_time"
            ours = [time for time, _ in digests(written(sample))]
            stamps = [(float(f[stamp]), t) for f, t in zip(frames, ours, strict=True) if stamp in f]
            assert len(stamps) > len(frames) / 2
            first, zero = stamps[0]
            for theirs, time in stamps:
                assert theirs - first == pytest.approx(float(time - zero), abs=1e-4)

    def test_damaged_files_end_in_frames_or_one_sentence(
        self, sample: Video, written: Write, tmp_path: Path
    ) -> None:
        for path in damaged(written(sample), tmp_path):
            times = [time for time, _ in result_or_sentence(digests, path)]
            assert all(a < b for a, b in pairwise(times))
            assert len(times) <= 2 * FRAMES


@pytest.mark.parametrize("sample", SOUNDS, ids=lambda s: s.demuxer)
class TestSoundIn:
    def test_samples(self, sample: Sound, written: Write) -> None:
        wave = load_speech(written(sample))
        assert wave.dtype == np.float32
        assert wave.ndim == 1
        assert len(wave) == pytest.approx(16_000 * SECONDS, abs=1500), "codecs pad to whole blocks"
        assert np.abs(wave).max() == pytest.approx(0.5, abs=0.05)

    def test_the_tone_is_that_of_the_file(self, sample: Sound, written: Write) -> None:
        wave = load_speech(written(sample))[2000:14_000]
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        hertz = np.argmax(spectrum) * 16_000 / len(wave)
        assert hertz == pytest.approx(440.0, abs=5.0), "VOC stores rates in steps of 1 %"

    def test_the_same_again(self, sample: Sound, written: Write) -> None:
        assert np.array_equal(load_speech(written(sample)), load_speech(written(sample)))

    def test_another_program_agrees(self, sample: Sound, written: Write) -> None:
        found = ffprobe(
            written(sample),
            "-select_streams",
            "a:0",
            "-show_entries",
            "stream=sample_rate,channels",
        )
        stream = found["streams"][0]
        assert stream["channels"] == 1
        assert int(stream["sample_rate"]) == pytest.approx(sample.rate, rel=0.01)

    def test_damaged_files_end_in_samples_or_one_sentence(
        self, sample: Sound, written: Write, tmp_path: Path
    ) -> None:
        for path in damaged(written(sample), tmp_path):
            assert np.isfinite(result_or_sentence(load_speech, path)).all()


@pytest.mark.parametrize("suffix", KINDS)
class TestVideoOut:
    STAMPS = (0, 40, 80, 200, 240, 1000)  # ms, not evenly spaced

    def made(self, folder: Path, suffix: str, name: str = "out", **options: Any) -> Path:
        source, speech = folder / "in.mkv", folder / "speech.wav"
        if not source.exists():
            write_video(source, pts=self.STAMPS, time_base=Fraction(1, 1000))
            write_speech(speech, seconds=1.0)
        out = folder / f"{name}{suffix}"
        with (
            VideoReader(source) as reader,
            VideoWriter(out, reader.info, speech=speech, **options) as writer,
        ):
            for frame in reader:
                writer.write(frame.native, frame.pts, frame.duration)
        return out

    def test_frames_and_times(self, suffix: str, tmp_path: Path) -> None:
        out = self.made(tmp_path, suffix)
        assert [time for time, _ in digests(out)] == [Fraction(t, 1000) for t in self.STAMPS]
        assert probe(out).display_size == probe(tmp_path / "in.mkv").display_size
        with VideoReader(out) as reader:
            for index, frame in enumerate(reader):
                drawn = np.empty((48, 64), np.uint8)
                moving_pattern(index, [drawn])
                assert np.abs(plane_views(frame.native)[0] - drawn.astype(float)).mean() < 5

    def test_the_speech_is_in_it(self, suffix: str, tmp_path: Path) -> None:
        spoken, source = (
            load_speech(self.made(tmp_path, suffix)),
            load_speech(tmp_path / "speech.wav"),
        )
        common = slice(1000, 15_000)
        assert np.corrcoef(spoken[common], source[common])[0, 1] > 0.99, "in step, too"

    def test_the_same_again(self, suffix: str, tmp_path: Path) -> None:
        first, again = (self.made(tmp_path, suffix, name) for name in ("out", "again"))
        assert digests(first) == digests(again)

    def test_another_program_agrees(self, suffix: str, tmp_path: Path) -> None:
        entries = "format=format_name:stream=codec_type,width,height:frame=pts_time"
        out = self.made(tmp_path, suffix)
        found = ffprobe(out, "-show_entries", entries, "-select_streams", "v")
        assert MUXERS[KINDS[suffix]] in found["format"]["format_name"].split(",")
        assert [float(f["pts_time"]) for f in found["frames"]] == pytest.approx(
            [t / 1000 for t in self.STAMPS]
        )
        kinds = [s["codec_type"] for s in ffprobe(out, "-show_entries", entries)["streams"]]
        assert sorted(kinds) == ["audio", "video"]

    def test_a_writer_that_is_stopped_leaves_nothing(self, suffix: str, tmp_path: Path) -> None:
        source = write_video(tmp_path / "in.mkv")

        def stopped() -> None:
            with (
                VideoReader(source) as reader,
                VideoWriter(tmp_path / f"out{suffix}", reader.info) as writer,
            ):
                frame = next(iter(reader))
                writer.write(frame.native, frame.pts, frame.duration)
                raise RuntimeError("stopped")

        with pytest.raises(RuntimeError, match="stopped"):
            stopped()
        assert [p.name for p in tmp_path.iterdir()] == ["in.mkv"]

    def test_an_input_is_never_written_over(self, suffix: str, tmp_path: Path) -> None:
        out = self.made(tmp_path, suffix)
        before = out.read_bytes()
        with (
            VideoReader(out) as reader,
            pytest.raises(LipwrightError, match="out"),
        ):
            VideoWriter(out, reader.info)
        assert out.read_bytes() == before
