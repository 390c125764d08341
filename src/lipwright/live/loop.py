"""The picture beneath a speaking face: a stretch of a recorded video, run to and fro.

The video is analysed once, as for a dub. Of the longest stretch in which one face can be used, so
much is kept in memory as the limit allows. It turns around at the two places near its ends where
the picture moves least, so that the turn is not seen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.analysis import Tracker
from lipwright.dubbing.frames import FrameStore
from lipwright.dubbing.plan import Plan
from lipwright.dubbing.planning import planned
from lipwright.dubbing.schedule import Schedule, select
from lipwright.dubbing.timeline import Timeline, increasing, ping_pong
from lipwright.errors import LipwrightError
from lipwright.live.upright import upright, upright_info
from lipwright.media.info import VideoInfo, probe
from lipwright.media.planes import private_copy
from lipwright.runs import runs_of

MOST_BYTES = 384 << 20
"""Memory for the frames of a loop: 25 s of 480p, 11 s of 720p, 5 s of 1080p."""
MOST_RATE = 30
"""Faster videos show every second frame, or fewer."""
TURN_SHARE = 0.2
"""The loop may turn inside this share of the stretch at either end."""
LEAST_TURN = 50
"""Frames below which a stretch is used whole."""


@dataclass
class FaceLoop:
    """A loop that is ready.

    Attributes:
        info: of its frames: upright, 8 bit 4:2:0.
        plan: of the video.
        schedule: of one lap, to and fro; its activity is set frame by frame.
        rate: frames per second.
        turns: the source frames at which it turns.
    """

    info: VideoInfo
    plan: Plan
    schedule: Schedule
    rate: Fraction
    turns: tuple[int, int]
    _frames: dict[int, av.VideoFrame]

    def index(self, k: int) -> int:
        """Where in the lap output frame ``k`` lies."""
        return k % len(self.schedule)

    def frame(self, k: int) -> av.VideoFrame:
        """The picture of output frame ``k``, with pixels of its own."""
        source = int(self.schedule.timeline.source[self.index(k)])
        return private_copy(self._frames[source])


@contextmanager
def face_loop(
    video: Path,
    face: str = "largest",
    tracker: Tracker | None = None,
    *,
    keep_plan: bool = True,
    rate: Fraction | None = None,
) -> Iterator[FaceLoop]:
    """Analyse a video and prepare its loop; the plan's file is let go of at the end.

    Args:
        video: the file.
        face: whose mouth moves, as ``DubOptions.face``.
        tracker: another face tracker than the default.
        keep_plan: keep the plan in the user's cache.
        rate: frames per second; None: those of the video, at most ``MOST_RATE``.

    Raises:
        LipwrightError: unreadable video, no usable face.
    """
    with planned(video, tracker=tracker, keep=keep_plan) as plan:
        yield _loop(probe(video), plan, select(plan, face, video), rate)


def _loop(info: VideoInfo, plan: Plan, speaking: frozenset[int], rate: Fraction | None) -> FaceLoop:
    first, stop = _stretch(plan, speaking)
    pts = increasing(plan.pts)
    if rate is None:
        rate = info.average_rate if len(pts) > 1 else Fraction(25)
        rate = rate / -(-rate // MOST_RATE)
    small = upright_info(info)
    room = max(2, int(MOST_BYTES // (small.width * small.height * 1.5)))
    wanted = _at_rate(pts, plan.time_base, first, stop, rate)[:room]
    frames: dict[int, av.VideoFrame] = {}
    thumbs = []
    keep = set(wanted)
    store = FrameStore(info, plan.pts, plan.source)
    for number, frame in enumerate(store.forward(first, max(wanted) + 1), first):
        if number in keep:
            frames[number] = upright(frame.native, info)
            luma = frame.thumbnail(96)[0]
            thumbs.append(cv2.cvtColor(luma, cv2.COLOR_RGB2GRAY).astype(np.float32))
    a, b = turning_points(motion(thumbs))
    unused = set(wanted) - set(wanted[a : b + 1])
    wanted = wanted[a : b + 1]
    for number in unused - set(wanted):
        del frames[number]
    lap = ping_pong(len(wanted))
    ticks = np.arange(lap.size, dtype=np.int64)
    source = np.asarray(wanted, np.int64)[lap]
    line = Timeline(1 / rate, source, ticks, np.ones_like(ticks))
    schedule = Schedule(plan, line, speaking, np.zeros(lap.size, np.float32))
    small = replace(small, average_rate=rate)
    return FaceLoop(small, plan, schedule, rate, (wanted[0], wanted[-1]), frames)


def _stretch(plan: Plan, speaking: frozenset[int]) -> tuple[int, int]:
    """The longest run of frames in which one of the faces can be used: first, and one past."""
    best = (0, 0)
    for track in plan.tracks:
        if track.number not in speaking:
            continue
        for start, stop in runs_of(track.usable).tolist():
            if stop - start > best[1] - best[0]:
                best = (track.first + start, track.first + stop)
    if best[1] <= best[0]:
        raise LipwrightError(
            "The video shows no face that can be used for two frames on end; give one that shows "
            "a person's face from the front."
        )
    return best


def _at_rate(pts: list[int], base: Fraction, first: int, stop: int, rate: Fraction) -> list[int]:
    """The frames of a stretch that are shown at the ticks of a steady rate; repeats are left out
    where the video is slower.
    """
    found: list[int] = []
    k = 0
    while True:
        tick = pts[first] + Fraction(k) / rate / base
        number = bisect_right(pts, tick) - 1
        if number >= stop or tick > pts[stop - 1]:
            break
        if not found or number != found[-1]:
            found.append(number)
        k += 1
    return found or [first]


def motion(thumbs: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """(n - 1,) how much each small picture differs from the next, mean of absolute values."""
    return np.array([np.abs(b - a).mean() for a, b in pairwise(thumbs)])


def turning_points(moved: NDArray[np.float64]) -> tuple[int, int]:
    """First and last of n frames between which a loop runs to and fro.

    Args:
        moved: (n - 1,) as :func:`motion` gives it.
    """
    count = moved.size + 1
    if count < LEAST_TURN:
        return 0, count - 1
    reach = int(TURN_SHARE * count)
    # What turns back is the motion of the two steps before it.
    near = moved[:-1] + moved[1:]
    start = int(np.argmin(near[:reach]))
    end = count - 1 - int(np.argmin(near[::-1][:reach]))
    return start, end
