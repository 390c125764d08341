"""A camera whose frames stop: what is shown, what is logged, what is marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.live.camera import Camera
from lipwright.live.engine import DrawnFrame, Engine
from lipwright.live.fill_in import FADE_FRAMES, FillInDrawer
from lipwright.live.job import LiveOptions, live
from lipwright.live.listener import Listener
from lipwright.live.report import LiveStatistics
from lipwright.media.info import VideoInfo
from lipwright.media.planes import plane_views
from tests.conftest import write_video
from tests.dubbing import clips
from tests.dubbing.clips import Actor
from tests.dubbing.test_job import SIZE, Talker
from tests.live.test_engine import HandClock
from tests.live.test_listener import syllables

DROPS = ((2.0, 2.6), (4.8, 5.6))
FREEZE = (3.4, 4.0)
SECONDS = 7.0


@dataclass
class Marks:
    """A marker that counts, and changes nothing."""

    boxes: list[list[Sequence[float]]] = field(default_factory=list)

    def mark(
        self, frame: av.VideoFrame, info: VideoInfo, face_boxes_display: Iterable[Sequence[float]]
    ) -> None:
        self.boxes.append(list(face_boxes_display))


def shown_at(seconds: float) -> int:
    """The number of the picture that the camera made last, at 25 fps."""
    k = round(25 * seconds)
    return round(25 * FREEZE[0]) if FREEZE[0] <= seconds < FREEZE[1] else k


def paint(planes: list[np.ndarray], number: int) -> None:
    """A soft pattern that moves a little with every picture."""
    for index, plane in enumerate(planes):
        y, x = np.mgrid[: plane.shape[0], : plane.shape[1]]
        plane[:] = (128 + 40 * np.sin((x + 0.4 * number) / 20.0 + index + y / 31.0)).astype(
            np.uint8
        )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    numbers = [k for k in range(round(25 * SECONDS)) if not any(a <= k / 25 < b for a, b in DROPS)]

    def draw(index: int, planes: list[np.ndarray]) -> None:
        paint(planes, shown_at(numbers[index] / 25))

    return write_video(
        tmp_path_factory.mktemp("camera") / "camera.mkv",
        size=SIZE,
        pts=[40 * k for k in numbers],
        time_base=Fraction(1, 1000),
        paint=draw,
        audio=syllables(SECONDS),
        pix_fmt="yuv420p",
    )


def tracker() -> clips.ScriptedTracker:
    def script(i: int) -> list[Actor]:
        return [Actor(0, 30, 20, 110, opening=0.01 + 0.004 * (i % 25))]

    return clips.ScriptedTracker(script)


@dataclass
class Shown:
    frames: list[DrawnFrame]
    statistics: LiveStatistics
    marks: Marks

    def luma(self, k: int) -> np.ndarray:
        return np.array(plane_views(self.frames[k].native)[0], np.float64)


@pytest.fixture(scope="module")
def shown(clip: Path) -> Shown:
    clock, marks, statistics = HandClock(), Marks(), LiveStatistics()
    camera = Camera(str(clip), clock)
    method = Talker()
    listener = Listener(method, silence_gate=False)
    drawer = FillInDrawer(camera, method, listener, tracker(), statistics, marks)
    engine = Engine(drawer, listener, camera.rate, 10.0, clock, statistics)
    frames = []
    for sound, arrived in camera.pieces():
        engine.feed(sound, arrived)
        if float(engine.received) > 1.0:
            drawer.end()  # references are there before the first gap, however busy the machine is
        while (made := engine.next_frame()) is not None:
            frames.append(made)
    engine.end()
    while (made := engine.next_frame()) is not None:
        frames.append(made)
    return Shown(frames, statistics, marks)


def camera_luma(number: int) -> np.ndarray:
    plane = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    paint([plane], number)
    return plane.astype(np.float64)


def test_the_camera_is_shown_as_it_is_where_it_works(shown: Shown) -> None:
    assert [f.k for f in shown.frames] == list(range(round(25 * SECONDS)))
    for k in (0, 10, 49, 75, 84, 110, 119, 150, 174):
        assert np.array_equal(shown.luma(k), camera_luma(shown_at(k / 25))), k


def test_the_log_names_every_stretch(shown: Shown) -> None:
    found = shown.statistics.fill_ins
    assert [f.reason for f in found] == [
        "no frames came",
        "the picture froze",
        "no frames came",
    ]
    for fill, (start, end) in zip(found, (DROPS[0], FREEZE, DROPS[1]), strict=True):
        # What is 0.2 s old is not shown any longer; the look-ahead tells that 0.135 s before.
        assert start <= fill.start <= start + 0.2
        assert end + FADE_FRAMES / 25 - 0.05 <= fill.end <= end + FADE_FRAMES / 25 + 0.1
        assert fill.frames == pytest.approx(25 * (fill.end - fill.start), abs=1)
    assert shown.statistics.to_json()["fill_ins"][0]["reason"] == "no frames came"


def test_generated_frames_are_marked_and_no_others(shown: Shown) -> None:
    generated = sum(fill.frames for fill in shown.statistics.fill_ins)
    assert len(shown.marks.boxes) == generated
    assert shown.marks.boxes[0] == [(0.0, 0.0, *map(float, SIZE))]


def test_nothing_jumps_at_the_seams(shown: Shown) -> None:
    """Outside the mouth, two frames on end differ as the camera's own do; where the camera is back,
    by a small part of what a cut would show.
    """
    own = np.abs(camera_luma(11) - camera_luma(10)).mean()
    ends = [round(25 * fill.end) for fill in shown.statistics.fill_ins]
    for k in range(1, len(shown.frames)):
        step = np.abs(shown.luma(k) - shown.luma(k - 1))
        step[70:130, 50:120] = 0.0
        end = next((end for end in ends if end - FADE_FRAMES - 1 <= k <= end), None)
        most = 3.0 * own
        if end is not None:
            cut = np.abs(camera_luma(shown_at(end / 25)) - shown.luma(end - FADE_FRAMES - 2))
            most += 0.35 * cut.mean()
        assert step.mean() < most, k


def test_the_mouth_speaks_in_the_gap_and_its_edit_fades_in(shown: Shown) -> None:
    start = round(25 * shown.statistics.fill_ins[2].start)

    def edit(k: int) -> float:
        """How far the mouth is from the picture beneath, one of the last before the gap."""
        beneath = [camera_luma(n) for n in range(60, 120)]
        outside = [np.abs(shown.luma(k) - b)[:60].mean() for b in beneath]
        base = beneath[int(np.argmin(outside))]
        return float(np.abs(shown.luma(k) - base)[80:110, 70:95].max())

    assert edit(start) < 0.5 * edit(start + FADE_FRAMES + 1)
    assert edit(start + FADE_FRAMES + 1) > 20


def test_a_camera_that_never_stops_is_not_signed_as_synthetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    steady = write_video(
        tmp_path / "steady.mp4", size=SIZE, frames=20, audio=syllables(0.8), audio_seconds=0.8
    )
    out = tmp_path / "out.mp4"
    report, error = live(
        steady, None, [str(out)], LiveOptions(fill_in=True), method=Talker(), tracker=tracker()
    )
    assert error is None
    assert out.exists()
    assert report.statistics.fill_ins == []
    assert any("nothing in it was generated" in line for line in report.warnings)
    assert (tmp_path / "home" / "watermarks.jsonl").read_text("utf-8") == ""


def test_what_is_no_camera_is_said(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "silent.mp4", frames=5)
    with pytest.raises(LipwrightError, match="no sound"):
        Camera(str(silent), HandClock())
    with pytest.raises(LipwrightError, match="could not be opened"):
        Camera(str(tmp_path / "missing.mp4"), HandClock())
    with pytest.raises(LipwrightError, match="--fill-in"):
        live(silent, None, [str(tmp_path / "o.mp4")])
    with pytest.raises(LipwrightError, match="--fill-in"):
        live(silent, str(silent), [str(tmp_path / "o.mp4")], LiveOptions(fill_in=True))
