"""A video's plan: from the cache where it is there, or made and kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from lipwright.dubbing.analysis import Tracker, analyse, settings
from lipwright.dubbing.cache import kept_plan, plan_for
from lipwright.dubbing.plan import Plan
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.errors import LipwrightError
from lipwright.faces import tracker as trackers
from lipwright.faces.hands import HandTracker
from lipwright.faces.tracker import FaceTracker
from lipwright.media.info import VideoInfo, probe

log = logging.getLogger("lipwright.dubbing")

Progress = Callable[[int, int | None], None]

BEYOND_PASSAGE = 30
MINUTE = 60
"""Seconds; see ``passage_until``."""


def plan_of(
    video: Path,
    info: VideoInfo,
    tracker: Tracker,
    progress: Progress,
    *,
    keep: bool,
    scratch: Path,
    make: Callable[[PlanWriter, bool], Plan] | None = None,
    until: Fraction | None = None,
) -> tuple[Plan, bool]:
    """The plan, and whether it came from the cache.

    Args:
        video: the file.
        info: of the stream that is wanted, deinterlaced or not.
        tracker: finds and follows faces.
        progress: see :func:`~lipwright.dubbing.analysis.analyse`.
        keep: use the cache.
        scratch: an existing folder of the job.
        make: makes the plan in another way, with the same result; is told whether hands are
            looked for.
        until: the frames before this time will do, in seconds (``passage_until``); a plan of all
            that is kept already is taken nevertheless.

    Raises:
        LipwrightError: nothing of the video can be decoded.
    """
    hands = hands_for(tracker)

    def made(writer: PlanWriter) -> Plan:
        if make is not None:
            return make(writer, hands is not None)
        return analyse(
            video,
            writer,
            tracker,
            progress,
            hands=hands,
            stream=info.stream_index,
            deinterlace=info.deinterlaced,
            until=until,
        )

    facts = settings(tracker, hands) | {"stream": info.stream_index, "whole": info.deinterlaced}
    if until is not None:
        found = kept_plan(video, facts) if keep else None
        if found is not None:
            return found, True
        facts["until"] = str(until)
    return plan_for(video, facts, made, keep=keep, scratch=scratch)


def passage_until(end: Fraction, info: VideoInfo) -> Fraction | None:
    """Up to where a video is looked at when only a passage of it is wanted.

    Beyond the passage, for reference frames and the person's articulation, as far as the end of the
    minute that is at least ``BEYOND_PASSAGE`` away, so that passages near each other share a plan.

    Args:
        end: of the passage, in seconds; 0: of the video.
        info: of the video.

    Returns:
        A time in seconds; None: the whole video is looked at.
    """
    if not end:
        return None
    until = Fraction(ceil((end + BEYOND_PASSAGE) / MINUTE) * MINUTE)
    if info.frame_count is not None and info.frame_count <= until * info.average_rate:
        return None
    return until


def hands_for(tracker: Tracker) -> HandTracker | None:
    """What follows the hands near the faces that a tracker follows.

    None for a tracker of no real faces, and where the networks cannot be had; the log says so once.
    """
    if not isinstance(tracker, FaceTracker):
        return None
    try:
        return HandTracker()
    except LipwrightError as error:
        _say_once(f"Hands before mouths are not looked for, and may be drawn over: {error}")
        return None


@cache
def _say_once(sentence: str) -> None:
    log.warning(sentence)


@contextmanager
def planned(
    video: Path,
    progress: Progress = lambda done, total: None,
    tracker: Tracker | None = None,
    *,
    keep: bool = True,
) -> Iterator[Plan]:
    """The plan of a video as a dub of it with the usual options finds it, open for reading.

    Args:
        video: the file.
        progress: called with the frames done and an estimate of all.
        tracker: another than the default.
        keep: use the cache.

    Raises:
        LipwrightError: nothing of the video can be decoded.
    """
    tracker = tracker or trackers.FaceTracker()
    with TemporaryDirectory(prefix="lipwright-") as scratch:
        plan, _ = plan_of(video, probe(video), tracker, progress, keep=keep, scratch=Path(scratch))
        with plan:
            yield plan
