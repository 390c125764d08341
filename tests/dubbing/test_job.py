from __future__ import annotations

import itertools
import json
import os
import re
import threading
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipwright.dubbing import contact_sheet as cs
from lipwright.dubbing import job as jobs
from lipwright.dubbing.job import DubOptions, dub
from lipwright.dubbing.observer import QuietObserver
from lipwright.dubbing.report import Report
from lipwright.errors import Interrupted, LipwrightError
from lipwright.media.mel import SILENCE, AudioSpec
from lipwright.media.reader import VideoReader
from lipwright.methods.base import Method, MethodInfo, Rendered
from tests.dubbing import clips
from tests.dubbing.clips import Actor

SIZE = (192, 160)


def face(i: int) -> list[Actor]:
    return [Actor(0, 30 + i % 3, 20, 110, opening=0.02 + 0.001 * (i % 20))]


def _wait_for_a_segment(notes: Path) -> None:
    """The encoder runs behind the network: let it finish a segment, at most for a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if notes.is_file() and notes.read_bytes().count(b"\n") >= 2:
            return
        time.sleep(0.01)


@dataclass
class Talker(Method):
    """Darkens the mouth by the loudness of the speech; remembers what it saw if told to."""

    side: int = 64
    recurrent: bool = False
    fail_at: int | None = None
    fail_after: Path | None = None  # wait until this list of segments names a finished one
    seen: int = 0
    started: int = 0
    references: list[tuple[int, ...]] = field(default_factory=list)
    loudness: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.info = MethodInfo(
            "talker", "talker-1", self.side, AudioSpec(), "none", stateless=not self.recurrent
        )

    def start(self, reference: np.ndarray, lips: object = None) -> dict[str, int]:
        self.started += 1
        self.references.append(tuple(reference.shape))
        assert np.abs(reference).max() <= 1
        return {"frames": 0}

    def render(self, faces: np.ndarray, audio: np.ndarray, state: Any) -> Rendered:
        out = faces.copy()
        for b in range(faces.shape[0]):
            if self.fail_at is not None and self.seen >= self.fail_at:
                if self.fail_after is not None:
                    _wait_for_a_segment(self.fail_after)
                raise RuntimeError("the network broke")
            self.seen += 1
            state["frames"] += 1
            loud = float((audio[b].mean() - SILENCE) / 4)
            self.loudness.append(loud)
            memory = 0.1 * (state["frames"] % 50) / 50 if self.recurrent else 0.0
            top, left = 9 * self.side // 16, 3 * self.side // 8
            mouth = out[b, :, top : 3 * self.side // 4, left : 5 * self.side // 8]
            mouth -= 0.2 + 0.5 * loud + memory
            mouth[0] += 0.1
        return Rendered(out, faces)


@dataclass
class Watcher:
    calls: list[tuple[str, int, int | None, float]] = field(default_factory=list)
    stop_at: int | None = None

    def notice(self, line: str) -> None:
        pass

    def progress(self, stage: str, done: int, total: int | None, fps: float) -> None:
        self.calls.append((stage, done, total, fps))
        if stage == "render" and self.stop_at is not None and done >= self.stop_at:
            raise KeyboardInterrupt


class QuietWatcher(QuietObserver):
    def __init__(self, lines: list[str]) -> None:
        self.notice = lines.append  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("lipwright-")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a video of 2 s and speech of 1 s of syllables and 0.6 s of silence."""
    folder = tmp_path / "place"
    folder.mkdir()
    clips.write_video(folder / "v.mp4", 50, SIZE)
    clips.write_speech(folder / "s.wav", 1.6, silent_from=1.0)
    return folder


def run(
    folder: Path,
    out: str = "out.mkv",
    *,
    video: str = "v.mp4",
    speech: str = "s.wav",
    script: clips.Script = face,
    method: Any = None,
    observer: Any = None,
    **options: Any,
) -> Report:
    plain = {"watermark": False, "manifest": False, "lossless": out.endswith(".mkv")}
    given = {**plain, "enhance": "none", **options}  # half of a dub's time is stage 2's
    return dub(
        folder / video,
        folder / speech,
        folder / out,
        DubOptions(**given),
        observer,
        method=method or Talker(),
        tracker=clips.ScriptedTracker(script),
    )


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def frames(path: Path) -> list[np.ndarray]:
    return [luma for _, luma in clips.decoded(path)]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_whole_job(place: Path) -> None:
    watcher = Watcher()
    method = Talker()
    report = run(place, method=method, observer=watcher, report=place / "r.json", enhance="auto")
    assert listing(place) == ["out.mkv", "r.json", "s.wav", "v.mp4"]
    source, result = frames(place / "v.mp4"), frames(place / "out.mkv")
    assert len(result) == 50
    changed = [not np.array_equal(a, b) for a, b in zip(source, result, strict=True)]
    assert all(changed)
    # far from the mouth every pixel is the decoded source's
    for a, b in zip(source, result, strict=True):
        assert np.array_equal(a[:60], b[:60])
        assert np.array_equal(a[:, 150:], b[:, 150:])
    assert report.counts()["silent"] >= 15
    assert report.counts()["synced"] >= 25
    assert report.status_of(49).status == "silent"
    assert method.loudness[10] > 0.2
    assert method.loudness[45] == 0  # silence is exactly the silence of training
    assert [shape[1:] for shape in method.references] == [(3, 64, 64)]
    assert 4 <= method.references[0][0] <= 8
    assert ("plan", 50, 50) in [c[:3] for c in watcher.calls]
    assert ("render", 50, 50) in [c[:3] for c in watcher.calls]
    data = json.loads((place / "r.json").read_text())
    assert data["model"] == {"name": "talker", "id": "talker-1"}
    assert data["frames"] == 50
    with av.open(str(place / "out.mkv")) as made:
        assert len(made.streams.audio) == 1


def test_copy_method_changes_nothing(place: Path) -> None:
    from lipwright.methods.registry import load_method

    run(place, method=load_method("copy"))
    assert same(frames(place / "v.mp4"), frames(place / "out.mkv"))


@pytest.mark.parametrize(("pix_fmt", "codec"), [("yuv420p10le", "libx264"), ("yuv444p", "libx264")])
def test_outside_the_mask_bit_equal_in_other_formats(place: Path, pix_fmt: str, codec: str) -> None:
    clips.write_video(place / "v.mp4", 12, SIZE, pix_fmt=pix_fmt, codec=codec)
    run(place, length="video")
    source, result = frames(place / "v.mp4"), frames(place / "out.mkv")
    with av.open(str(place / "out.mkv")) as made:
        assert made.streams.video[0].pix_fmt == pix_fmt
    for a, b in zip(source, result, strict=True):
        assert np.array_equal(a[:60], b[:60])
        assert not np.array_equal(a, b)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_every_container_has_exactly_the_planned_frames_and_times(
    place: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "segment_frames", lambda info: 16)
    pts = np.cumsum([0] + [[40, 33, 34, 100, 7][i % 5] for i in range(19)]).tolist()
    clips.write_video(place / "vfr.mp4", 20, SIZE, pts=pts, time_base=Fraction(1, 1000))
    clips.write_speech(place / "long.wav", 1.5)
    run(place, "out" + suffix, video="vfr.mp4", speech="long.wav", lossless=False)
    times = [time for time, _ in clips.decoded(place / f"out{suffix}")]
    with VideoReader(place / "vfr.mp4") as reader:
        last = [round(frame.duration * frame.time_base * 1000) for frame in reader][-1]
    shown = [b - a for a, b in itertools.pairwise(pts)] + [last]
    order = [*range(20), *range(18, -1, -1), *range(1, 20)]
    expected = [Fraction(0)]
    for source in order[: len(times) - 1]:
        expected.append(expected[-1] + Fraction(shown[source], 1000))
    assert [float(t) for t in times] == pytest.approx([float(t) for t in expected], abs=1e-9)
    assert times[-1] < Fraction(3, 2)


def test_ping_pong_shows_the_frames_of_the_way_there(place: Path) -> None:
    from lipwright.methods.copy import CopyMethod

    clips.write_video(place / "short.mp4", 15, SIZE)
    run(place, video="short.mp4", method=CopyMethod(64))
    source, result = frames(place / "short.mp4"), frames(place / "out.mkv")
    assert len(result) == 40
    order = [*range(15), *range(13, -1, -1), *range(1, 12)]
    assert same(result, [source[i] for i in order])


def test_still_picture(place: Path) -> None:
    import cv2

    cv2.imwrite(str(place / "face.png"), clips.scene(0, SIZE)[..., ::-1])
    report = run(place, "out.mp4", video="face.png", script=lambda i: [Actor(0, 30, 20, 110)])
    result = frames(place / "out.mp4")
    assert len(result) == 40 == report.frames
    times = [time for time, _ in clips.decoded(place / "out.mp4")]
    assert times == [Fraction(k, 25) for k in range(40)]
    assert not np.array_equal(result[5], result[35])  # speech against rest


@pytest.mark.parametrize("recurrent", [False, True])
def test_killed_job_resumes_to_the_same_frames(
    place: Path, recurrent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "segment_frames", lambda info: 12)
    options = {"lossless": False, "crf": 25, "resume": True, "batch_size": 5, "enhance": "auto"}
    whole = run(place, "whole.mp4", method=Talker(recurrent=recurrent), **options)
    assert whole.resumed_from == 0
    notes = place / ".out.mp4.lipwright-parts" / "segments.jsonl"
    broken = Talker(recurrent=recurrent, fail_at=33, fail_after=notes)
    with pytest.raises(RuntimeError, match="broke"):
        run(place, "out.mp4", method=broken, **options)
    assert ".out.mp4.lipwright-parts" in listing(place)
    assert "out.mp4" not in listing(place)
    rest = Talker(recurrent=recurrent)
    report = run(place, "out.mp4", method=rest, **options)
    assert report.resumed_from in (12, 24)
    assert rest.seen == (50 if recurrent else 50 - report.resumed_from)
    assert same(frames(place / "whole.mp4"), frames(place / "out.mp4"))
    times = [[t for t, _ in clips.decoded(place / f"{n}.mp4")] for n in ("whole", "out")]
    assert times[0] == times[1] == [Fraction(k, 25) for k in range(50)]
    assert listing(place) == ["out.mp4", "s.wav", "v.mp4", "whole.mp4"]
    assert report.runs == whole.runs


def test_changed_settings_start_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "segment_frames", lambda info: 12)
    notes = place / ".out.mp4.lipwright-parts" / "segments.jsonl"
    with pytest.raises(RuntimeError):
        run(place, "out.mp4", method=Talker(fail_at=33, fail_after=notes), resume=True, crf=20)
    report = run(place, "out.mp4", resume=True, crf=21)
    assert report.resumed_from == 0
    assert len(frames(place / "out.mp4")) == 50


def test_error_without_resume_leaves_nothing(place: Path) -> None:
    (place / "out.mkv").write_bytes(b"older")
    with pytest.raises(RuntimeError, match="broke"):
        run(place, method=Talker(fail_at=20))
    assert listing(place) == ["out.mkv", "s.wav", "v.mp4"]
    assert (place / "out.mkv").read_bytes() == b"older"


@pytest.mark.parametrize("resume", [False, True])
def test_interrupt(place: Path, resume: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "segment_frames", lambda info: 5)
    slow = Talker()
    original = slow.render

    def render_slowly(*args: Any) -> Rendered:
        threading.Event().wait(0.05)
        return original(*args)

    slow.render = render_slowly  # type: ignore[method-assign]
    watcher = Watcher(stop_at=11)
    with pytest.raises(Interrupted) as caught:
        run(place, method=slow, observer=watcher, resume=resume, batch_size=1)
    assert re.search(r"\d+ of 50 frames", str(caught.value))
    if resume:
        assert "are kept: the same command with --resume" in str(caught.value)
        assert run(place, resume=True, batch_size=1).resumed_from >= 10
        run(place, "whole.mkv", batch_size=1)
        assert same(frames(place / "whole.mkv"), frames(place / "out.mkv"))
    else:
        assert "With --resume, " in str(caught.value)
        assert listing(place) == ["s.wav", "v.mp4"]


def test_an_interrupt_before_the_first_segment_leaves_nothing_to_resume(place: Path) -> None:
    with pytest.raises(Interrupted, match="nothing was written"):
        run(place, observer=Watcher(stop_at=1), resume=True, batch_size=1)
    assert listing(place) == ["s.wav", "v.mp4"]


def test_batch_size_does_not_matter(place: Path) -> None:
    for size in (1, 7, 64):
        run(place, f"{size}.mkv", batch_size=size, method=Talker(recurrent=True), enhance="auto")
    one = frames(place / "1.mkv")
    assert same(one, frames(place / "7.mkv"))
    assert same(one, frames(place / "64.mkv"))


def test_plan_is_kept_for_the_next_dub(place: Path, tmp_path: Path) -> None:
    first = run(place, "a.mkv")
    tracker = clips.ScriptedTracker(face)
    again = dub(
        place / "v.mp4",
        place / "s.wav",
        place / "b.mkv",
        DubOptions(lossless=True, watermark=False, manifest=False, enhance="none"),
        method=Talker(),
        tracker=tracker,
    )
    assert tracker.calls == 0
    assert (first.settings["plan_from_cache"], again.settings["plan_from_cache"]) == (False, True)
    assert same(frames(place / "a.mkv"), frames(place / "b.mkv"))
    (kept,) = (tmp_path / "cache" / "plans").glob("*.jsonl")
    assert kept.stat().st_mode & 0o077 == 0
    run(place, "c.mkv", plan_cache=False)
    # The plan, what was found out about its people, and the digests that vouch for them.
    assert len(list(kept.parent.iterdir())) == 4
    data = kept.read_bytes()
    kept.write_bytes(data.replace(b'"opening":0.0', b'"opening":0.1', 1))
    assert not run(place, "d.mkv").settings["plan_from_cache"]  # somebody changed it
    assert kept.read_bytes() == data
    assert same(frames(place / "a.mkv"), frames(place / "c.mkv"))


def test_cuts_gaps_and_several_people(place: Path) -> None:
    def script(i: int) -> list[Actor]:
        one, two = Actor(0, 10, 20, 90), Actor(1, 100, 40, 60)
        if i < 15:
            return [one]
        if i < 25:
            return []
        return [Actor(2, 10, 20, 90), two] if i < 40 else [two]

    clips.write_video(place / "cut.mp4", 50, SIZE, pictures=lambda i: clips.scene(i, SIZE, i // 25))
    method = Talker()
    report = run(place, video="cut.mp4", script=script, method=method)
    assert {run.reason for run in report.runs} >= {"no face found", "another person's face"}
    assert len(report.tracks) == 3
    assert method.started == 2
    source, result = frames(place / "cut.mp4"), frames(place / "out.mkv")
    for k in (16, 20, 41, 49):
        assert np.array_equal(source[k], result[k])
    method = Talker()
    everybody = run(place, "all.mkv", video="cut.mp4", script=script, method=method, face="all")
    assert method.started == 3
    assert method.seen == sum(track.frames for track in everybody.tracks)


def test_watermark_is_the_same_for_the_same_job(place: Path) -> None:
    first = run(place, "a.mkv", watermark=True)
    second = run(place, "b.mkv", watermark=True)
    other = run(place, "c.mkv", watermark=True, seed=1)
    assert first.watermark == second.watermark != other.watermark
    assert first.watermark is not None
    assert same(frames(place / "a.mkv"), frames(place / "b.mkv"))


def test_the_marks_are_recorded(place: Path) -> None:
    report = run(place, "a.mkv", watermark="frame", manifest=True, report=place / "r.json")
    data = json.loads((place / "r.json").read_text())
    assert data["provenance"]["watermark"]["region"] == "frame"
    assert data["provenance"]["watermark"]["frames_marked"] == report.frames
    assert data["provenance"]["manifest"]["sidecar"] == "a.c2pa"
    assert data["settings"]["watermark"] == "frame"
    assert not [n for n in data["notices"] if n.startswith("No ")]
    assert report.watermark != run(place, "b.mkv", watermark="face").watermark


def test_left_out_marks_are_said_and_recorded(place: Path) -> None:
    predicted: list[str] = []

    class Predicted(Watcher):
        def notice(self, line: str) -> None:
            predicted.append(line)

    run(place, observer=Predicted(), report=place / "r.json")
    data = json.loads((place / "r.json").read_text())
    for words in ("No watermark: ", "No manifest: "):
        assert len([line for line in predicted if line.startswith(words)]) == 1
    assert data["notices"] == predicted
    assert data["provenance"]["watermark"] is data["provenance"]["manifest"] is None
    assert data["settings"]["watermark"] is None


def test_the_consent_is_recorded_and_explained_once(place: Path) -> None:
    assert [n for n in run(place).notices if "consent" in n]
    assert not [n for n in run(place).notices if "consent" in n]
    report = run(place, consent="Ada, a lecture, 2026-11-21")
    assert report.provenance["consent"]["who"] == "Ada"


def test_a_mark_that_cannot_be_written_is_no_promise(place: Path) -> None:
    clips.write_video(place / "v.mp4", 12, SIZE, pix_fmt="gray", codec="ffv1")
    report = run(place, watermark=True, manifest=True, length="video")
    assert "no colour" in " ".join(report.warnings)
    from lipwright.provenance.record.manifest_reader import read_manifest

    manifest = read_manifest(place / "out.mkv")
    assert manifest is not None
    assert (manifest.state, manifest.mark_id) == ("valid", None)


def test_bad_marks_are_found_before_the_work(place: Path) -> None:
    for options in (
        {"watermark": "nose"},
        {"certificate": place / "c.pem"},
        {"certificate": place / "c.pem", "key": place / "k.pem", "manifest": True},
        {"consent": "nobody"},
    ):
        with pytest.raises(LipwrightError):
            run(place, **options)
    assert listing(place) == ["s.wav", "v.mp4"]


def sound_starts(path: Path) -> float:
    """When the first sample louder than -40 dB sounds, in seconds on the pictures' clock."""
    with av.open(str(path)) as made:
        for frame in made.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray().astype(np.float64)[0]) > 0.01)
            if frame.format.name.startswith("s16"):
                loud = np.flatnonzero(np.abs(frame.to_ndarray().astype(np.float64)[0]) > 328)
            if loud.size:
                assert frame.time is not None
                return float(frame.time) + int(loud[0]) / frame.sample_rate
    raise AssertionError("silent")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
@pytest.mark.parametrize("offset", [Fraction(1, 2), Fraction(-1, 4)])
def test_the_speech_can_begin_later_or_earlier(place: Path, suffix: str, offset: Fraction) -> None:
    clips.write_speech(place / "late.wav", 1.6)
    with wave.open(str(place / "late.wav"), "rb") as file:
        sound = np.frombuffer(file.readframes(10**9), np.int16).copy()
    sound[:8000] = 0  # half a second of silence first
    with wave.open(str(place / "late.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(sound.tobytes())
    method = Talker()
    run(place, "out" + suffix, speech="late.wav", method=method, speech_offset=offset)
    begins = 0.5 + float(offset)
    assert sound_starts(place / f"out{suffix}") == pytest.approx(begins, abs=0.03)
    speaking = np.flatnonzero(np.asarray(method.loudness) > 0.05)
    assert speaking[0] / 25 == pytest.approx(begins, abs=0.2)


def test_a_speech_cannot_be_left_out_altogether(place: Path) -> None:
    with pytest.raises(LipwrightError, match=r"lasts 1\.60 s only"):
        run(place, speech_offset=Fraction(-2))


def test_a_passage_of_the_video(place: Path) -> None:
    from lipwright.methods.copy import CopyMethod

    options = {"start": Fraction(2, 5), "end": Fraction(1), "length": "video"}
    report = run(place, method=CopyMethod(64), **options)
    source, result = frames(place / "v.mp4"), frames(place / "out.mkv")
    assert report.frames == 15
    assert same(result, source[10:25])
    with pytest.raises(LipwrightError, match="No frame of the video"):
        run(place, start=Fraction(9))


@pytest.mark.parametrize(
    ("codec", "suffix", "name", "pix_fmt"),
    [
        ("h264", ".mp4", "h264", "yuv420p"),
        ("hevc", ".mp4", "hevc", "yuv420p"),
        ("vp9", ".webm", "vp9", "yuv420p"),
        ("vp9", ".mp4", "vp9", "yuv420p"),
        ("av1", ".mkv", "av1", "yuv420p"),
        ("prores", ".mov", "prores", "yuv422p10le"),
    ],
)
def test_the_codec_can_be_chosen(
    place: Path, codec: str, suffix: str, name: str, pix_fmt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "segment_frames", lambda info: 24)
    run(place, "out" + suffix, codec=codec, lossless=False)
    with av.open(str(place / f"out{suffix}")) as made:
        stream = made.streams.video[0]
        assert stream.codec_context.codec.canonical_name == name
        assert stream.pix_fmt == pix_fmt
    times = [time for time, _ in clips.decoded(place / f"out{suffix}")]
    assert times == [Fraction(k, 25) for k in range(50)]


def test_a_codec_that_the_file_cannot_hold_is_one_sentence(place: Path) -> None:
    with pytest.raises(LipwrightError, match=r"A mp4 file does not hold prores; .*\.mov or \.mkv"):
        run(place, "out.mp4", codec="prores", lossless=False)
    clips.write_video(place / "odd.mp4", 5, (191, 159), pix_fmt="yuv444p")
    assert listing(place) == ["odd.mp4", "s.wav", "v.mp4"]


@pytest.mark.parametrize("out", ["out.mp4", "out.mkv"])
def test_comparison_shows_source_and_result_with_sound(place: Path, out: str) -> None:
    report = run(place, out, compare=place / "side.mp4", watermark="both", lossless=False, crf=8)
    assert listing(place) == [out, "s.wav", "side.mp4", "v.mp4"]
    assert report.files == {"output": str(place / out), "comparison": str(place / "side.mp4")}
    with av.open(str(place / "side.mp4")) as made:
        stream = made.streams.video[0]
        assert (stream.width, stream.height) == (2 * SIZE[0] + 8, SIZE[1] + 40)
        assert len(made.streams.audio) == 1
    side = frames(place / "side.mp4")
    assert [time for time, _ in clips.decoded(place / "side.mp4")] == [
        Fraction(k, 25) for k in range(50)
    ]
    assert not np.array_equal(side[10][40:, : SIZE[0]], side[10][40:, SIZE[0] + 8 :])
    for halves, path in ((slice(0, SIZE[0]), "v.mp4"), (slice(SIZE[0] + 8, None), out)):
        for shown, whole in zip(side, frames(place / path), strict=True):
            assert np.corrcoef(shown[40:, halves].ravel(), whole.ravel())[0, 1] > 0.97


@dataclass
class Bending(Talker):
    """Places the lips of every other face where they should be, the others 5 % of the crop off."""

    def render(self, faces: np.ndarray, audio: np.ndarray, state: Any) -> Rendered:
        made = super().render(faces, audio, state)
        lips = np.full((len(faces), 40, 2), 0.6)
        step = np.zeros_like(lips)
        first = self.seen - len(faces)
        step[(first % 2) :: 2, 7, 1] = 0.05
        return Rendered(made.faces, made.baseline, lips=lips, step=step)


def test_mouths_that_the_references_do_not_show_are_counted_while_somebody_speaks(
    place: Path,
) -> None:
    report = run(place, method=Bending(), batch_size=8)
    assert report.beyond_references == pytest.approx(0.5, abs=0.03)
    assert "asks for mouths that this person does not show" in " ".join(report.summary_lines())
    assert run(place, "other.mkv").beyond_references is None


def test_a_frame_rate_for_a_video_is_not_left_out_silently(place: Path) -> None:
    report = run(place, fps=Fraction(30))
    assert "--fps is for still pictures; this video keeps its own frame rate." in report.warnings
    assert not run(place, "other.mkv").warnings


def pairs_of(sheet: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Source and result of every column of the first face of a sheet."""
    top, left = cs.MARGIN + 34, cs.MARGIN + cs.LABELS
    found = []
    for x in range(left, sheet.shape[1] - cs.MARGIN, cs.SIDE + cs.GAP):
        upper = sheet[top : top + cs.SIDE, x : x + cs.SIDE]
        lower = sheet[top + cs.SIDE + cs.GAP :][: cs.SIDE, x : x + cs.SIDE]
        found.append((upper, lower))
    return found


def test_preview(place: Path) -> None:
    import cv2

    report = run(place, preview=place / "sheet.png")
    assert listing(place) == ["s.wav", "sheet.png", "v.mp4"]
    pairs = pairs_of(cv2.imread(str(place / "sheet.png")))
    assert len(pairs) == 8
    for source, result in pairs:
        assert not np.array_equal(source, result)
        assert np.array_equal(source[:60], result[:60])
    assert (report.frames, report.previewed) == (50, 8)
    assert report.files == {"preview": str(place / "sheet.png")}
    assert "out.mkv was not written" in report.summary_lines()[0]


def test_preview_of_a_still_shows_moments_of_the_speech(place: Path) -> None:
    import cv2

    cv2.imwrite(str(place / "face.png"), clips.scene(0, SIZE)[..., ::-1])
    method = Talker(recurrent=True)
    script = lambda i: [Actor(0, 30, 20, 110)]  # noqa: E731
    run(place, video="face.png", script=script, preview=place / "a.png", method=method)
    pairs = pairs_of(cv2.imread(str(place / "a.png")))
    assert len(pairs) == 8
    assert all(np.array_equal(pairs[0][0], source) for source, _ in pairs)
    assert len({result.tobytes() for _, result in pairs}) >= 5  # not one moment eight times
    assert method.seen > 8  # a method with a memory had a run-up


def test_preview_shows_faces_that_are_seen_together_in_rows_of_their_own(place: Path) -> None:
    import cv2

    def two(i: int) -> list[Actor]:
        return [Actor(0, 4, 20, 80), Actor(1, 104, 40, 70)]

    run(place, script=two, face="all", preview=place / "both.png")
    run(place, script=two, face="1", preview=place / "one.png")
    both, one = (cv2.imread(str(place / f"{name}.png")) for name in ("both", "one"))
    assert both.shape[0] - one.shape[0] == 2 * cs.SIDE + cs.GAP + cs.CAPTION + cs.BETWEEN
    second = both[one.shape[0] - both.shape[0] :]
    assert second.shape[0] > 0


def test_preview_shows_nothing_beyond_the_edge_of_the_video(place: Path) -> None:
    import cv2

    low = SIZE[1] - 100  # the crop, a quarter larger, reaches below the picture
    run(place, script=lambda i: [Actor(0, 30, low, 110)], preview=place / "sheet.png")
    source, result = pairs_of(cv2.imread(str(place / "sheet.png")))[0]
    assert (source[-1] == cs.EMPTY[::-1]).all()
    assert (result[-1] == cs.EMPTY[::-1]).all()
    assert not (source[: cs.SIDE // 2] == cs.EMPTY[::-1]).all(axis=2).any()


def test_an_output_that_exists_is_replaced_with_a_line_or_left_alone(place: Path) -> None:
    (place / "out.mkv").write_bytes(b"older")
    with pytest.raises(LipwrightError, match="exists already"):
        run(place, overwrite=False)
    assert (place / "out.mkv").read_bytes() == b"older"
    told: list[str] = []
    watcher = Watcher()
    watcher.notice = told.append  # type: ignore[attr-defined]
    report = run(place, observer=watcher, overwrite=True)
    assert report.replaced
    assert [line for line in told if "will be replaced" in line]
    told.clear()
    run(place, observer=QuietWatcher(told))
    assert not [line for line in told if "will be replaced" in line]


def test_stages_are_told_of_before_they_begin(place: Path) -> None:
    watcher = Watcher()
    run(place, observer=watcher)
    stages = list(dict.fromkeys(call[0] for call in watcher.calls))
    assert stages == ["load", "plan", "listen", "render", "join"]
    assert watcher.calls[0] == ("load", 0, None, 0.0)


@pytest.mark.parametrize(
    ("rate", "frames"),
    [(25, 96), (24, 96), (Fraction(30000, 1001), 120), (50, 200), (60, 240), (240, 248), (1, 24)],
)
def test_a_segment_lasts_about_four_seconds(rate: Fraction | int, frames: int) -> None:
    from types import SimpleNamespace

    info: Any = SimpleNamespace(average_rate=Fraction(rate))
    assert jobs.segment_frames(info) == frames


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "same"])
@pytest.mark.parametrize("which", ["v.mp4", "s.wav"])
def test_inputs_are_never_overwritten(place: Path, kind: str, which: str) -> None:
    out = place / ("link" + Path(which).suffix)
    if kind == "symlink":
        out.symlink_to(place / which)
    elif kind == "hardlink":
        os.link(place / which, out)
    else:
        out = place / which
    before = (place / which).read_bytes()
    with pytest.raises(LipwrightError, match="itself"):
        run(place, out.name, lossless=False)
    assert (place / which).read_bytes() == before


def test_bad_input_is_one_sentence(place: Path, tmp_path: Path) -> None:
    (place / "text.mp4").write_text("this is no video\n" * 100)
    (place / "empty.wav").write_bytes(b"")
    silent = clips.write_video(place / "mute.mp4", 5, SIZE)
    before = listing(place)
    cases: list[tuple[str, dict[str, Any]]] = [
        ("does not exist", {"video": "none.mp4"}),
        ("does not exist", {"speech": "none.wav"}),
        ("does not exist", {"speech": "no\0ne.wav"}),
        ("null character", {"out": "o\0.mp4", "lossless": False}),
        ("null character", {"report": place / "r\0.json"}),
        ("too long for this file system", {"out": "o" * 252 + ".mp4"}),
        ("too long for this file system", {"report": place / ("r" * 251 + ".json")}),
        ("File name too long", {"video": "v" * 300 + ".mp4"}),
        ("folder", {"video": "."}),
        ("not a media file", {"video": "text.mp4"}),
        ("empty", {"speech": "empty.wav"}),
        ("no audio stream", {"speech": silent.name}),
        ("suffix", {"out": "out.txt", "lossless": False}),
        ("suffix", {"out": "out", "lossless": False}),
        ("is a folder", {"out": "."}),
        ("does not exist", {"out": "no/out.mp4", "lossless": False}),
        ("lossless", {"out": "out.mp4", "lossless": True}),
        ("face", {"face": "tall"}),
        ("no usable face 9", {"face": "9"}),
        ("No usable face", {"script": lambda i: [], "plan_cache": False}),
        ("length", {"length": "long"}),
        ("batch", {"batch_size": 0}),
        ("enhance", {"enhance": "magic"}),
        ("is the output too", {"report": place / "out.mkv"}),
        ("is the video itself", {"report": place / "v.mp4"}),
        ("does not exist", {"report": place / "no" / "r.json"}),
    ]
    for words, how in cases:
        with pytest.raises(LipwrightError, match=words) as caught:
            run(place, **how)
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert sentence.endswith(".")
        assert listing(place) == before, words


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_write_protected_folder(place: Path) -> None:
    place.chmod(0o500)
    try:
        with pytest.raises(LipwrightError, match="cannot be written"):
            run(place)
    finally:
        place.chmod(0o700)


def test_two_jobs_on_one_output(place: Path) -> None:
    from lipwright.lock import OutputLock

    with OutputLock(place / "out.mkv"), pytest.raises(LipwrightError, match="Another job"):
        run(place)


def test_odd_and_tiny_pictures(place: Path) -> None:
    clips.write_video(place / "odd.mkv", 5, (101, 77), codec="ffv1", pix_fmt="yuv420p")
    for out in ("o.mp4", "o.mkv", "o.webm"):
        report = run(
            place,
            out,
            video="odd.mkv",
            script=lambda i: [Actor(0, 5, 0, 75)],
            length="video",
        )
        assert report.counts()["passed_through"] == 0
        assert len(frames(place / out)) == 5
