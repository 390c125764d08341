"""The demo's sample: portrait, motion, video, contact sheet."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from lipwright import demo
from lipwright.dubbing import contact_sheet as cs
from lipwright.dubbing.report import Report, Run
from lipwright.errors import LipwrightError
from lipwright.methods.copy import CopyMethod
from tests.dubbing.clips import Actor, ScriptedTracker


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_assets_are_small_and_readable() -> None:
    folder = Path(demo.__file__).parent / "assets"
    for name in ("portrait.jpg", "speech.ogg"):
        assert (folder / name).stat().st_size <= 80_000
    assert demo.load_portrait().shape == (240, 360, 3)
    samples, rate = demo.speech_samples()
    assert 5.0 <= len(samples) / rate <= 8.0
    assert np.abs(samples).max() <= 1.0


def test_speech_ends_in_silence_and_pauses_between_the_sentences() -> None:
    samples, rate = demo.speech_samples()
    tenths = np.abs(samples[: len(samples) // (rate // 10) * (rate // 10)])
    loud = tenths.reshape(-1, rate // 10).max(axis=1) > 0.02
    assert not loud[-5:].any()
    inner = loud[loud.argmax() : len(loud) - loud[::-1].argmax()]
    longest_pause = max(len(run) for run in "".join("01"[int(x)] for x in inner).split("1"))
    assert longest_pause >= 5  # tenths of a second


def test_portrait_at_rest_is_the_enlarged_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "head_pose", lambda time, rows: (np.eye(2), np.zeros(2)))
    portrait = demo.load_portrait()
    still = next(demo.moving_portrait(portrait, 1.0, (720, 480), Fraction(25)))
    enlarged = cv2.resize(portrait, (720, 480), interpolation=cv2.INTER_CUBIC)
    difference = np.abs(still.astype(int) - enlarged.astype(int))
    assert difference.mean() < 0.5  # remap rounds its weights, resize does not


def test_head_moves_as_asked_and_corners_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    shift = np.array([6.0, 4.0])
    monkeypatch.setattr(
        demo, "head_pose", lambda time, rows: (np.eye(2), shift if time > 0 else np.zeros(2))
    )
    portrait = demo.load_portrait()
    before, after = islice(demo.moving_portrait(portrait, 1.0, (360, 240), Fraction(25)), 2)
    head = (slice(60, 150), slice(150, 220))
    moved = (slice(64, 154), slice(156, 226))
    assert np.abs(after[moved].astype(int) - before[head].astype(int)).mean() < 0.5
    assert np.abs(after[head].astype(int) - before[head].astype(int)).mean() > 3
    for corner in (np.s_[:40, :40], np.s_[-40:, :40], np.s_[:40, -40:], np.s_[-40:, -40:]):
        np.testing.assert_array_equal(after[corner], before[corner])


def test_head_pose_stays_gentle() -> None:
    for time in np.linspace(0, 60, 601):
        linear, shift = demo.head_pose(float(time), 240)
        scale = np.sqrt(np.linalg.det(linear))
        assert abs(scale - 1) <= 0.03
        assert abs(np.degrees(np.arctan2(linear[1, 0], linear[0, 0]))) <= 3
        assert np.abs(shift).max() <= 0.03 * 240


def test_make_video_has_the_frames_the_rate_and_the_colour_tags(tmp_path: Path) -> None:
    out = tmp_path / "sample.mp4"
    demo.make_video(out, 0.39, (96, 64), 25)
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (96, 64)
        assert stream.average_rate == 25
        assert stream.codec_context.colorspace == 1
        assert stream.codec_context.color_range == 1
        assert sum(1 for _ in container.decode(stream)) == 10
    colours = np.mean(frames_of(out)[0].reshape(-1, 3), axis=0)
    expected = np.mean(demo.load_portrait().reshape(-1, 3), axis=0)
    np.testing.assert_allclose(colours, expected, atol=3)
    assert [path.name for path in tmp_path.iterdir()] == ["sample.mp4"]


def test_make_video_leaves_nothing_behind_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "head_pose", broken)
    with pytest.raises(KeyboardInterrupt):
        demo.make_video(tmp_path / "sample.mp4", 1.0, (96, 64))
    assert list(tmp_path.iterdir()) == []


def plain_video(path: Path, colour: tuple[int, int, int], frames: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        picture = np.full((64, 96, 3), colour, np.uint8)
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_contact_sheet_has_the_source_above_the_result(tmp_path: Path) -> None:
    files = demo.DemoFiles(
        source=plain_video(tmp_path / "a.mp4", (200, 40, 40), 25),
        speech=tmp_path / "s.ogg",
        result=plain_video(tmp_path / "b.mp4", (40, 40, 200), 25),
        comparison=tmp_path / "c.mp4",
        sheet=tmp_path / "sheet.png",
        report=tmp_path / "r.json",
    )
    files.speech.write_bytes(demo._asset("speech.ogg"))
    runs = [Run(0, 19, "synced", ""), Run(20, 24, "silent", "no speech")]
    report = Report("a", "s", "b", runs=runs, seconds=1.0, model={"name": "copy", "id": "copy"})
    demo.write_contact_sheet(files, report)
    sheet = cv2.cvtColor(cv2.imread(str(files.sheet)), cv2.COLOR_BGR2RGB)
    top, left = cs.MARGIN + 34, cs.MARGIN + cs.LABELS
    np.testing.assert_allclose(sheet[top + 20, left + 20], (200, 40, 40), atol=6)
    np.testing.assert_allclose(sheet[top + cs.SIDE + cs.GAP + 20, left + 20], (40, 40, 200), atol=6)
    assert sheet.shape[1] == left + 8 * (cs.SIDE + cs.GAP) - cs.GAP + cs.MARGIN


def test_demo_writes_everything_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    # A third of the size: every frame is still drawn, sharpened, marked and compared.
    monkeypatch.setattr(demo, "make_video", partial(demo.make_video, size=(360, 240)))
    head = Actor(track=0, x=115, y=43, side=140)
    folder = tmp_path / "new" / "demo"
    files, report = demo.run_demo(
        folder, method=CopyMethod(), tracker=ScriptedTracker(lambda call: [head])
    )
    named = sorted(vars(files).values())
    assert sorted(folder.iterdir()) == named
    assert all(path.stat().st_size > 1000 for path in named)
    samples, rate = demo.speech_samples()
    assert report.frames == len(frames_of(files.result)) == -(-len(samples) * 25 // rate)
    counts = report.counts()
    assert counts["synced"] > 100
    assert counts["silent"] >= 10  # the pause and the end
    assert counts["passed_through"] == 0


def test_demo_into_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LipwrightError, match="file"):
        demo.run_demo(tmp_path / "file" / "demo")
