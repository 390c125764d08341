"""Pass 1 on the machines of a Ray cluster: a task is a few shots.

Nothing is carried across a cut, so shots can be looked at anywhere. This machine decodes the video
once and looks for cuts only; as soon as some shots are known to be complete they are handed out.
What comes back is put together in the order of the shots, so that tracks have the numbers, and the
plan the bytes, that one machine would have given them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lipwright.dubbing.analysis import THUMBNAIL_SIDE, Analyser
from lipwright.dubbing.frames import FrameStore
from lipwright.dubbing.plan import Plan, Source, Track
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.dubbing.references import Reference
from lipwright.faces.cuts import CutDetector
from lipwright.faces.hands import HandTracker
from lipwright.faces.tracker import FaceTracker, TrackerOptions
from lipwright.media import limits
from lipwright.media.info import VideoInfo
from lipwright.media.reader import VideoReader
from lipwright.ray_cluster import RayCluster

LEAST_FRAMES = 250
"""Shots are handed out together until they have so many frames: a task costs a jump in the file."""


@dataclass(frozen=True)
class Shots:
    """What a worker is given.

    Attributes:
        info: of the video.
        source: the file as it was.
        pts: ticks of all frames up to the last of these shots.
        shots: (first, last) frame of each.
        number: of the first of them.
        options: of the tracker.
        hands: whether hands are looked for.
        limits: on what a file may ask for.
    """

    info: VideoInfo
    source: Source
    pts: list[int]
    shots: list[tuple[int, int]]
    number: int
    options: TrackerOptions
    hands: bool
    limits: tuple[str, ...]


Found = list[tuple[Track, list[Reference]]]


def analyse_on(
    cluster: RayCluster,
    info: VideoInfo,
    writer: PlanWriter,
    tracker: FaceTracker,
    hands: bool,
    limit: tuple[str, ...] = (),
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Plan:
    """Make the plan of a video; the arguments are those of ``analysis.analyse`` where they agree.

    Args:
        cluster: with workers that can read the video.
        info: of the stream that is wanted.
        writer: takes the tracks.
        tracker: as the workers are to have one.
        hands: whether hands are looked for.
        limit: see ``DubOptions.limit``.
        progress: called after every frame with the number done and an estimate of all.

    Raises:
        LipwrightError: nothing of the video can be decoded; workers were lost too often.
    """
    submit = cluster.task(analyse_shots)
    source = Source.of(Path(info.path))
    running: deque[Any] = deque()
    pts: list[int] = []
    shots: list[tuple[int, int]] = []
    handed = [0]
    tracks = [0]

    def hand_out() -> None:
        given = shots[handed[0] :]
        if given:
            work = Shots(info, source, list(pts), given, handed[0], tracker.options, hands, limit)
            running.append(submit(work))
            handed[0] = len(shots)

    def take() -> None:
        found: Found = cluster.result(running.popleft())
        for track, references in found:
            writer.add(replace(track, number=tracks[0]), references)
            tracks[0] += 1

    with VideoReader(info.path, stream=info.stream_index, deinterlace=info.deinterlaced) as reader:
        cuts = CutDetector()
        first = last_duration = 0
        for frame in reader:
            if cuts.is_cut(frame.thumbnail(THUMBNAIL_SIDE)[0]):
                shots.append((first, frame.index - 1))
                first = frame.index
                if first - shots[handed[0]][0] >= LEAST_FRAMES:
                    hand_out()
                while len(running) > 2 * cluster.cpus:
                    take()
            pts.append(frame.pts)
            last_duration = frame.duration
            progress(len(pts), reader.info.frame_count)
        shots.append((first, len(pts) - 1))
        hand_out()
        while running:
            take()
        return writer.finish(reader.info.time_base, pts, last_duration, shots, reader.warnings)


# In a worker -------------------------------------------------------------------------------------


class Collected:
    """Takes tracks as a plan's writer does, and keeps them."""

    def __init__(self) -> None:
        self.found: Found = []

    def add(self, track: Track, references: list[Reference]) -> None:
        """Keep a track with its reference pictures."""
        self.found.append((track, references))


def analyse_shots(work: Shots) -> Found:
    """What a worker does: the tracks of some shots, numbered from 0."""
    with limits.applied(limits.parse(work.limits)):
        sink = Collected()
        tracker = FaceTracker(work.options)
        begin = work.shots[0][0]
        hands = HandTracker() if work.hands else None
        analyser = Analyser(work.info, sink, tracker, hands, shot=work.number, first=begin)
        store = FrameStore(work.info, work.pts, work.source)
        ends = {last for _, last in work.shots}
        for frame in store.forward(begin, work.shots[-1][1] + 1):
            image, scale = frame.thumbnail(THUMBNAIL_SIDE)
            analyser.take(frame, image, scale)
            if frame.index in ends:
                analyser.end_shot(frame.index)
                tracker.reset()
        return sink.found
