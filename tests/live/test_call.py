"""When the tracks of a call are sent, by a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("aiortc", reason="needs the extra 'live'")

from lipwright.live import call
from lipwright.live.call import LEAD_SHARE, LEAD_STEP, OPUS_DELAY, Lead, PictureTrack, SoundTrack
from lipwright.live.engine import DrawnFrame
from lipwright.live.playout import RATE, Playout
from lipwright.media.sound import Sound

DELAY = 0.4
OVERSLEPT = 0.002


class Machine:
    """Time passes while somebody sleeps, a little longer than asked for, or encodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = 0.0
        self.meanwhile: Callable[[], None] = lambda: None
        monkeypatch.setattr(call.asyncio, "sleep", self.sleep)

    def now(self) -> float:
        return self.time

    def pass_(self, seconds: float) -> None:
        self.time += seconds
        self.meanwhile()

    async def sleep(self, seconds: float) -> None:
        self.pass_(seconds + OVERSLEPT)

    def sent(
        self, track: Any, count: int, encoding: Callable[[int], float]
    ) -> list[tuple[float, float]]:
        """As aiortc does it: ask, encode, send. (When it was sent, time stamp in seconds)."""

        async def run() -> list[tuple[float, float]]:
            found = []
            for number in range(count):
                frame = await track.recv()
                self.pass_(encoding(number))
                found.append((self.time, float(frame.pts * frame.time_base)))
            return found

        return asyncio.run(run())


def sound_track(machine: Machine) -> SoundTrack:
    playout = Playout(DELAY)
    playout.begin(0.0)
    playout.sound(Sound(np.zeros((1, 10 * RATE), np.float32), RATE, ("FC",), None))
    return SoundTrack(playout, machine)


def picture_track(machine: Machine, drawn_after: float) -> PictureTrack:
    """Frames are there so many seconds after their sound came in."""
    playout = Playout(DELAY)
    playout.begin(0.0)
    given = [0]

    def draw() -> None:
        while given[0] / 25 + drawn_after <= machine.time:
            time = Fraction(given[0], 25)
            playout.picture(DrawnFrame(given[0], time, av.VideoFrame(16, 16, "yuv420p")))
            given[0] += 1

    machine.meanwhile = draw
    return PictureTrack(playout, machine, lambda name: None)


@pytest.mark.parametrize("encoding", [0.001, 0.012])
def test_sound_is_sent_at_its_time_whatever_its_encoding_takes(
    monkeypatch: pytest.MonkeyPatch, encoding: float
) -> None:
    machine = Machine(monkeypatch)
    found = machine.sent(sound_track(machine), 200, lambda number: encoding)
    late = np.array([sent - (DELAY + stamp) for sent, stamp in found])
    assert late[0] == pytest.approx(OVERSLEPT + encoding)
    assert np.abs(late[50:]).max() < 1e-3


@pytest.mark.parametrize("encoding", [0.003, 0.015])
def test_frames_are_sent_with_what_a_browser_decodes_of_their_sound(
    monkeypatch: pytest.MonkeyPatch, encoding: float
) -> None:
    machine = Machine(monkeypatch)
    # Some frames, such as key frames, take twice as long.
    track = picture_track(machine, drawn_after=0.25)
    found = machine.sent(track, 200, lambda number: encoding * (2 if number % 50 == 0 else 1))
    late = np.array([sent - (DELAY + stamp + OPUS_DELAY) for sent, stamp in found])
    assert late[0] > encoding - 0.01
    usual = late[60:][np.arange(60, 200) % 50 != 0]
    assert np.abs(usual).max() < 0.004
    assert abs(usual.mean()) < 0.002


def test_frames_that_were_drawn_too_late_say_nothing_about_the_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    track = picture_track(machine, drawn_after=DELAY + 0.1)
    machine.sent(track, 50, lambda number: 0.005)
    assert track._lead.seconds == 0.0


def test_a_hiccup_moves_the_lead_by_little() -> None:
    lead = Lead()
    lead.handed(1.0)
    lead.sent(2.0)
    assert lead.seconds == pytest.approx(LEAD_SHARE * LEAD_STEP)
    lead.sent(3.0)  # nothing was handed over meanwhile
    assert lead.seconds == pytest.approx(LEAD_SHARE * LEAD_STEP)
