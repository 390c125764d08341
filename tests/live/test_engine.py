"""Which frames are drawn and which are skipped, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from lipwright.dubbing.job import DubOptions, dub
from lipwright.live.drawing import LoopDrawer
from lipwright.live.engine import DrawnFrame, Engine
from lipwright.live.listener import Listener
from lipwright.live.loop import face_loop
from lipwright.live.report import LiveStatistics
from lipwright.media.audio import load_speech
from lipwright.media.planes import plane_views
from lipwright.media.reader import VideoReader
from lipwright.media.sound import Sound
from tests.dubbing import clips
from tests.dubbing.test_job import SIZE, Talker, face

PIECE = 320


class HandClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += max(0.0, seconds)


class SlowDrawer:
    """Takes a time that the test sets, and draws nothing."""

    def __init__(self, clock: HandClock, cost: Callable[[int], float]) -> None:
        self.clock, self.cost = clock, cost
        self.drawn: list[int] = []

    def frame(self, k: int, time: Fraction) -> av.VideoFrame:
        self.clock.time += self.cost(k)
        self.drawn.append(k)
        return av.VideoFrame(16, 16, "yuv420p")


def run(
    seconds: float, cost: Callable[[int], float], delay: float = 0.35
) -> tuple[SlowDrawer, LiveStatistics, list[DrawnFrame]]:
    """A session in which sound comes every 20 ms of the clock, whatever the drawing takes."""
    clock = HandClock()
    drawer = SlowDrawer(clock, cost)
    statistics = LiveStatistics()
    listener = Listener(Talker(), silence_gate=False)
    engine = Engine(drawer, listener, Fraction(25), delay, clock, statistics)
    frames, given, total = [], 0, round(50 * seconds)
    piece = Sound(np.zeros((1, PIECE), np.float32), 16_000, ("FC",), None)
    while True:
        while given < total and (given + 1) * 0.02 <= clock.time + 1e-9:
            given += 1
            engine.feed(piece, given * 0.02)
        if given == total:
            engine.end()
        made = engine.next_frame()
        if made is not None:
            frames.append(made)
        elif given == total:
            return drawer, statistics, frames
        else:
            clock.time = (given + 1) * 0.02


def test_a_fast_machine_draws_every_frame_once() -> None:
    drawer, statistics, frames = run(4.0, lambda k: 0.01)
    assert drawer.drawn == list(range(100))
    assert [f.time for f in frames] == [Fraction(k, 25) for k in range(100)]
    assert (statistics.frames, statistics.left_out, statistics.late) == (100, 0, 0)
    # The look-ahead of this method: 11 columns and 25 ms; sound comes in pieces of 20 ms.
    assert 0.135 <= statistics.latency(50) <= 0.135 + 0.02 + 0.01 + 1e-6
    assert statistics.latency(99) <= 0.135 + 0.02 + 0.01 + 1e-6


def test_a_slow_machine_shows_fewer_but_fresh_frames() -> None:
    drawer, statistics, frames = run(8.0, lambda k: 0.1)
    steps = np.diff(drawer.drawn)
    assert 2 <= np.median(steps) <= 3  # 100 ms are two and a half frames
    assert steps.max() <= 4
    assert statistics.frames + statistics.left_out == 200
    assert abs(statistics.frames - 80) <= 4
    # Two slow drawings in a row, the look-ahead, and no growth from the start to the end.
    assert statistics.latency(99) < 0.135 + 0.2 + 0.1 + 0.04
    assert frames[-1].k >= 197


def test_very_slow_drawing_still_shows_the_newest_frame() -> None:
    drawer, statistics, _ = run(8.0, lambda k: 0.5)
    assert len(drawer.drawn) >= 14
    assert statistics.latency(99) < 0.135 + 1.0 + 0.1


def test_one_hiccup_is_made_up_for_without_a_skip_when_the_delay_allows() -> None:
    drawer, statistics, _ = run(4.0, lambda k: 0.15 if k == 50 else 0.01)
    assert drawer.drawn == list(range(100))
    assert statistics.left_out == 0


def test_a_long_hiccup_costs_the_frames_that_were_late_and_no_more() -> None:
    drawer, statistics, _ = run(4.0, lambda k: 0.8 if k == 50 else 0.01)
    missing = sorted(set(range(100)) - set(drawer.drawn))
    assert missing
    assert missing == list(range(missing[0], missing[-1] + 1))
    assert missing[0] >= 51
    assert 10 <= len(missing) <= 20
    assert statistics.left_out == len(missing)
    assert drawer.drawn[-1] == 99


def test_frames_are_those_of_a_dub(tmp_path: Path) -> None:
    """The same pixels as offline, ping-pong included, up to the rounding of the spectrogram."""
    video = clips.write_video(tmp_path / "face.mp4", 30, SIZE)
    speech = clips.write_speech(tmp_path / "speech.wav", 2.0)
    out = tmp_path / "dubbed.mkv"
    options = DubOptions(
        lossless=True,
        watermark=False,
        manifest=False,
        silence_gate=False,
        plan_cache=False,
        enhance="none",  # live has no stage 2
    )
    dub(video, speech, out, options, method=Talker(), tracker=clips.ScriptedTracker(face))
    with VideoReader(out) as reader:
        dubbed = [[np.array(p, np.int16) for p in plane_views(f.native)] for f in reader]
    assert len(dubbed) == 50
    tracker = clips.ScriptedTracker(face)
    with face_loop(video, tracker=tracker, keep_plan=False) as loop:
        method = Talker()
        listener = Listener(method, silence_gate=False)
        drawer = LoopDrawer(loop, method, listener)
        drawer.warm_up()
        clock = HandClock()
        engine = Engine(drawer, listener, loop.rate, 1.0, clock, LiveStatistics())
        wave = load_speech(speech)
        made = []
        for first in range(0, wave.size, PIECE):
            part = np.ascontiguousarray(wave[None, first : first + PIECE])
            engine.feed(Sound(part, 16_000, ("FC",), None), clock.now())
            if first + PIECE >= wave.size:
                engine.end()
            while (frame := engine.next_frame()) is not None:
                made.append(frame)
    assert [f.k for f in made] == list(range(50))
    changed = 0.0
    # The last windows reach beyond the end, where a dub has no sound and a session has silence.
    for frame, planes in zip(made[:47], dubbed, strict=False):
        for mine, theirs in zip(plane_views(frame.native), planes, strict=True):
            assert np.abs(mine.astype(np.int16) - theirs).max() <= 1
    for planes, k in ((dubbed[10], 10), (dubbed[40], 40)):
        changed += float(np.abs(planes[0] - np.array(plane_views(loop.frame(k))[0])).max())
    assert changed > 20  # something was drawn at all
