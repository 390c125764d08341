"""Which source frame is shown when: the output's frames and their exact timestamps.

A lip-sync model thinks in 25 frames per second, a video in its own rhythm. The output keeps the
rhythm of the source, variable frame rates included: every output frame is a source frame with a
timestamp in integer ticks of the source's time base, and nothing here is ever a float. Where the
ticks are too coarse for a steady rate (milliseconds for 59.94 frames per second), the steady rate
that they were rounded from is taken (``media.rates``).

When the speech outlasts the video, the video continues backward and then forward again
("ping-pong"), every frame being shown for as long as it was shown the first time. The first and
the last frame are not doubled at the turns, so that the motion does not stop there. Other ways,
see :func:`build`: from its start again, its last frame held, or the whole video slowed down.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.options import STILL_RATE, Length
from lipwright.errors import LipwrightError
from lipwright.media import limits
from lipwright.media.rates import nominal_rate, steady_rate

MOST_STRETCH = 4
"""``remap`` shows a video no slower and no faster than by this factor."""
FINE_TICK = Fraction(1, 90_000)


@dataclass(frozen=True)
class Timeline:
    """The plan of the output in time.

    Attributes:
        time_base: seconds per tick.
        source: (n,) int64, index of the source frame shown as output frame k.
        pts: (n,) int64, strictly increasing ticks, the first is 0.
        durations: (n,) int64, ticks for which output frame k is shown.
        notices: sentences about what was not taken from the source as it is.
    """

    time_base: Fraction
    source: NDArray[np.int64]
    pts: NDArray[np.int64]
    durations: NDArray[np.int64]
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.pts.size)

    def time(self, k: int) -> Fraction:
        """Seconds from the start of the output at which frame ``k`` appears."""
        return int(self.pts[k]) * self.time_base

    def seconds(self) -> NDArray[np.float64]:
        """(n,) :meth:`time` of every frame, rounded to a double each."""
        base = self.time_base
        found: NDArray[np.float64] = self.pts * base.numerator / base.denominator
        return found

    def shows_again(self, k: int) -> bool:
        """Whether output frame ``k`` shows a source frame not later than one shown before it."""
        return k > 0 and bool(self.source[k] <= self._newest[k - 1])

    @cached_property
    def _newest(self) -> NDArray[np.int64]:
        return np.maximum.accumulate(self.source)

    @property
    def is_steady(self) -> bool:
        """Whether every frame is shown equally long."""
        return bool((self.durations == self.durations[0]).all())

    @property
    def rate(self) -> Fraction:
        """Frames per second: exact where that is steady, else one that describes the mean."""
        if self.is_steady:
            return 1 / (int(self.durations[0]) * self.time_base)
        return nominal_rate(len(self), self.end)

    @property
    def end(self) -> Fraction:
        """Seconds from the start of the output at which the last frame ends."""
        return (int(self.pts[-1]) + int(self.durations[-1])) * self.time_base


def ping_pong(count: int) -> NDArray[np.int64]:
    """One lap of ``count`` frames that run to and fro; of 4 frames 0 1 2 3 2 1."""
    return np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)]).astype(np.int64)


def shown_ticks(pts: Sequence[int], last: int, time_base: Fraction) -> NDArray[np.int64]:
    """Ticks for which every source frame is shown.

    Args:
        pts: ticks of the source frames, strictly increasing.
        last: ticks of the last frame as its container gives them, 0 when unknown. Then the median
            of the other frames is taken, and for a single frame 1/25 s.
        time_base: seconds per tick.
    """
    ticks = np.diff(np.asarray(pts, dtype=np.int64))
    if last <= 0:
        usual = float(np.median(ticks)) if ticks.size else float(1 / (STILL_RATE * time_base))
        last = max(1, round(usual))
    return np.append(ticks, np.int64(last))


def increasing(pts: Sequence[int]) -> list[int]:
    """Damaged timestamps made strictly increasing: an offender comes one tick after the one before.

    Every decoded frame has its own place in the output; none is dropped.
    """
    out: list[int] = []
    for value in pts:
        out.append(value if not out or value > out[-1] else out[-1] + 1)
    return out


def still(speech: Fraction, rate: Fraction = STILL_RATE) -> Timeline:
    """A single picture shown at ``rate`` frames per second for as long as the speech lasts."""
    count = max(1, ceil(speech * rate))
    _check(count)
    ticks = np.arange(count, dtype=np.int64)
    return Timeline(1 / rate, np.zeros_like(ticks), ticks, np.ones_like(ticks))


def build(
    pts: Sequence[int],
    last: int,
    time_base: Fraction,
    speech: Fraction,
    length: Length,
    declared: Fraction | None = None,
    padding: Fraction = Fraction(0),
) -> Timeline:
    """Lay the source frames out in time.

    Args:
        pts: ticks of the N >= 1 source frames; the output starts at 0 whatever the first one is.
        last: ticks of the last frame, 0 when unknown.
        time_base: seconds per tick.
        speech: seconds of speech.
        length: how long the output lasts, and what a video does that is too short for it.
            ``video`` shows every source frame once, ``speech`` lasts as long as the speech,
            ``cut_off`` as long as the shorter and all others as long as the longer of the two. A
            short video continues to and fro (``auto``, ``bounce``, ``speech``), from its start
            again (``loop``), or holds its last frame (``silence``). ``remap`` shows every frame
            once, faster or slower, in the time of the speech.
        declared: frames per second by the container, to decide between rates that fit equally.
        padding: seconds at the end of the speech that may be nothing but an encoder's padding. A
            video is not continued for them.

    Raises:
        LipwrightError: if the timestamps would need an absurd number of frames, or ``remap`` an
            absurd speed.
    """
    _check(len(pts))
    clean = increasing(pts)
    shown = shown_ticks(clean, last, time_base)
    count = len(clean)
    if (shown[:-1] != shown[0]).any():
        steady = steady_rate(clean, time_base, declared)
        if steady is not None:
            time_base, clean, shown = 1 / steady, list(range(count)), np.ones(count, np.int64)
    wanted = ceil(speech / time_base)  # ticks: frame k is needed if it appears before this one
    once = np.asarray(clean, dtype=np.int64) - clean[0]
    video_ticks = int(once[-1] + shown[-1])
    if length not in ("speech", "remap") and wanted - ceil(padding / time_base) <= video_ticks:
        wanted = min(wanted, video_ticks)
    forward = np.arange(count, dtype=np.int64)
    if length == "remap":
        return _remapped(once, video_ticks, time_base, speech)
    if length in ("video", "cut_off") and (length == "video" or wanted >= video_ticks):
        return Timeline(time_base, forward, once, shown)
    if wanted <= video_ticks and length not in ("speech", "cut_off"):
        return Timeline(time_base, forward, once, shown)
    if wanted <= video_ticks:
        keep = max(1, int(np.searchsorted(once, wanted, side="left")))
        return Timeline(time_base, forward[:keep], once[:keep], shown[:keep])
    notices: tuple[str, ...] = ()
    if length == "silence":
        usual = max(1, round(float(np.median(shown))))
        more = ceil(Fraction(wanted - video_ticks, usual))
        _check(count + more)
        source = np.append(forward, np.full(more, count - 1, np.int64))
        durations = np.append(shown, np.full(more, usual, np.int64))
    else:
        lap = forward if length == "loop" else ping_pong(count)
        shown, notices = _slowed(shown, lap, time_base)
        laps = ceil(Fraction(wanted, int(shown[lap].sum())))
        _check(laps * lap.size)
        source = np.tile(lap, laps)
        durations = shown[source]
    ticks = np.concatenate(([0], np.cumsum(durations[:-1])))
    keep = int(np.searchsorted(ticks, wanted, side="left"))
    return Timeline(time_base, source[:keep], ticks[:keep], durations[:keep], notices)


def _slowed(
    shown: NDArray[np.int64], lap: NDArray[np.int64], time_base: Fraction
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Durations of the frames, longer where a lap of them would pass the limit ``frame_rate``."""
    fastest = limits.active().frame_rate
    seconds = int(shown[lap].sum()) * time_base
    if lap.size <= fastest * seconds:
        return shown, ()
    slower = ceil(lap.size / (fastest * seconds))
    return shown * slower, (
        f"The timestamps of the video give more than {fastest} frames per second, which is "
        f"probably damage; it is shown {slower} times slower.",
    )


@dataclass(frozen=True)
class Passage:
    """Consecutive source frames.

    Attributes:
        first: number of the first one.
        pts: ticks of all.
        last_duration: ticks of the last one, 0 when unknown.
    """

    first: int
    pts: Sequence[int]
    last_duration: int


def passage(
    pts: Sequence[int], last: int, time_base: Fraction, start: Fraction, end: Fraction | None
) -> Passage:
    """The frames that appear from ``start`` on and before ``end``, in seconds of the video.

    Raises:
        LipwrightError: there is none.
    """
    if not start and end is None:
        return Passage(0, pts, last)
    clean = increasing(pts)
    first = bisect_left(clean, ceil(start / time_base) + clean[0])
    stop = len(clean) if end is None else bisect_left(clean, ceil(end / time_base) + clean[0])
    if first >= stop:
        whole = float((clean[-1] - clean[0]) * time_base)
        raise LipwrightError(
            f"No frame of the video lies in the passage that --start and --end ask for; its frames "
            f"appear from 0 to {whole:.2f} s."
        )
    ticks = last if stop == len(clean) else clean[stop] - clean[stop - 1]
    return Passage(first, clean[first:stop], ticks)


def longer_than_passage(line: Timeline, frames: int) -> list[str]:
    """A sentence where the output goes on behind a passage, for the speech is longer.

    Args:
        line: the output, from ``build``.
        frames: of the passage.
    """
    if len(line) <= frames:
        return []
    return [
        f"The speech is longer than the passage of --start and --end: the output lasts "
        f"{float(line.end):.2f} s, of which the passage has {float(line.time(frames)):.2f} s; the "
        "rest shows it backward and forward again. --length cut_off ends with the passage, and "
        "--length video keeps its length whatever the speech is."
    ]


def _remapped(
    once: NDArray[np.int64], video_ticks: int, time_base: Fraction, speech: Fraction
) -> Timeline:
    """Every frame once, in ticks of 1/90000 s, the time between them stretched alike."""
    ratio = speech / (video_ticks * time_base)
    if not 1 / MOST_STRETCH <= ratio <= MOST_STRETCH:
        raise LipwrightError(
            f"--length remap would show the video at {float(1 / ratio):.2f} of its speed; give a "
            "speech of more similar length, or use another --length."
        )
    ends = [*once.tolist(), video_ticks]
    stretched = [round(tick * time_base * ratio / FINE_TICK) for tick in ends]
    ticks = np.asarray(increasing(stretched), np.int64)
    return Timeline(FINE_TICK, np.arange(once.size, dtype=np.int64), ticks[:-1], np.diff(ticks))


def _check(frames: int) -> None:
    if frames > limits.active().frames:
        raise LipwrightError(
            f"The output would need {frames:,} frames: either the frame rate of the video is "
            "damaged, then re-encode it first; or raise the limit with --limit frames=N."
        )
