"""Pass 2 on the machines of a Ray cluster: ``--ray ADDRESS``.

The plan, the speech features and the schedule are made once, here, and given to every worker; the
task is a segment of the output. A worker decodes, draws, marks and encodes its frames as this
machine would, and gives the encoded segment back. Here segments are taken in their order, noted
down, and joined as ever without encoding again: so an interrupted job resumes, and a lost worker
costs the segment that it was at. Workers read the video (and a checkpoint that was named) from the
same path as this machine; everything else is sent to them.
"""

from __future__ import annotations

import tempfile
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.enhancing import FaceEnhancer
from lipwright.dubbing.frames import FrameStore
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.plan import PortablePlan
from lipwright.dubbing.render import render
from lipwright.dubbing.render_job import Beyond, Job
from lipwright.dubbing.schedule import Schedule
from lipwright.dubbing.segments import PART, SegmentEncoder, Segments
from lipwright.dubbing.timeline import Timeline
from lipwright.enhance.registry import load_enhancer
from lipwright.media import limits
from lipwright.media.info import VideoInfo
from lipwright.media.writer import VideoWriter
from lipwright.ray_cluster import RayCluster

AHEAD = 2
"""Segments per processor that are handed out before the first of them is taken."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """All that a worker needs to draw any segment of a job.

    Attributes:
        key: tells jobs apart.
        info: of the video.
        plan: of the video, limited to those who speak.
        timeline: of the output.
        speaking, activity, activities: as in ``Schedule``.
        options: of the job.
        audio_features, adapted: as in ``render_job.Job``.
        mark: id and region of the watermark, or None.
        segment: frames per segment.
        encoder: how segments are encoded.
    """

    key: str
    info: VideoInfo
    plan: PortablePlan
    timeline: Timeline
    speaking: frozenset[int]
    activity: Array
    activities: Mapping[int, Array] | None
    options: DubOptions
    audio_features: Array | None
    adapted: Mapping[int, Array]
    mark: tuple[int, Any] | None
    segment: int
    encoder: SegmentEncoder


@dataclass(frozen=True)
class Part:
    """A segment that a worker has made.

    Attributes:
        data: its file.
        beyond: see ``render_job.Beyond``.
        marked, unmarked: frames with and without watermark.
        warnings: sentences of its writer and of the reader.
    """

    data: bytes
    beyond: Beyond
    marked: int
    unmarked: int
    warnings: list[str]


def render_on(
    cluster: RayCluster,
    job: Job,
    options: DubOptions,
    segments: Segments,
    mark: tuple[int, Any] | None,
    progress: Callable[[int], None],
    count: Callable[[int, int], None],
) -> Beyond:
    """Render what is missing of a job on a cluster.

    Args:
        cluster: with workers that can read the video.
        job: what to render.
        options: that the job was made from.
        segments: takes the segments.
        mark: id and region of the watermark, or None.
        progress: is told how many frames are done.
        count: is told of every segment how many frames were marked, and how many were not.

    Raises:
        LipwrightError: and whatever else a worker met.
    """
    schedule = job.schedule
    recipe = Recipe(
        uuid.uuid4().hex,
        job.info,
        schedule.plan.portable(),
        schedule.timeline,
        schedule.speaking,
        schedule.activity,
        schedule.activities,
        options,
        job.audio_features,
        dict(job.adapted),
        mark,
        job.segment,
        segments.encoder,
    )
    given = cluster.ray.put(recipe)
    submit = cluster.task(render_segment, gpus=1 if options.device == "cuda" else 0)
    total = -(-len(schedule) // job.segment)
    waiting = deque(range(segments.start // job.segment, total))
    running: deque[tuple[int, Any]] = deque()
    beyond = Beyond()
    progress(segments.start)
    while waiting or running:
        while waiting and len(running) < AHEAD * cluster.cpus:
            index = waiting.popleft()
            # In a list the recipe stays a reference: it is fetched once per process, not per task.
            running.append((index, submit([given], recipe.key, index)))
        index, reference = running.popleft()
        part: Part = cluster.result(reference)
        segments.take(index, part.data, part.warnings)
        count(part.marked, part.unmarked)
        beyond.faces += part.beyond.faces
        beyond.short += part.beyond.short
        progress(segments.start)
    return beyond


# In a worker -------------------------------------------------------------------------------------


class Bench:
    """One job as a worker process has it before it."""

    def __init__(self, recipe: Recipe) -> None:
        from lipwright.methods.registry import load_method
        from lipwright.provenance.watermark.marker import Marker

        self._stack = ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="lipwright-"))
        self._folder, self._recipe = Path(folder), recipe
        self.options = options = recipe.options
        info = recipe.info
        plan = self._stack.enter_context(recipe.plan.unpack(self._folder / "plan.jsonl"))
        schedule = Schedule(
            plan, recipe.timeline, recipe.speaking, recipe.activity, recipe.activities
        )
        method = load_method(options.method, options.device, options.backend, options.weights)
        self._stack.callback(method.close)
        if options.reference != "auto":
            method = method.with_reference(options.reference)
        enhancer = load_enhancer(options.enhance, options.enhance_weights)
        self._marker = Marker(*recipe.mark) if recipe.mark else None
        self._store = FrameStore(info, plan.pts, plan.source)
        drawn = method.info.reference_size
        self._job = Job(
            info=info,
            store=self._store,
            schedule=schedule,
            method=method,
            audio_features=recipe.audio_features,
            adapted=recipe.adapted,
            expressiveness=options.expressiveness,
            enhancer=None if enhancer is None else FaceEnhancer(enhancer, info, schedule, drawn),
            marker=self._marker,
            batch_size=options.batch_size,
            segment=recipe.segment,
            detail=options.detail,
        )

    def make(self, index: int) -> Part:
        """Draw and encode a segment."""
        marker = self._marker
        before = (marker.marked, marker.unmarked) if marker else (0, 0)
        path = self._folder / f"part{self._recipe.encoder.suffix}"
        sink = OneSegment(path, self._recipe)
        start = index * self._recipe.segment
        try:
            beyond = render(self._job, sink, start, stop=start + self._recipe.segment)
        except BaseException:
            sink.abort()
            raise
        data = path.read_bytes()
        path.unlink()
        marked = marker.marked - before[0] if marker else 0
        unmarked = marker.unmarked - before[1] if marker else 0
        return Part(data, beyond, marked, unmarked, [*sink.warnings, *self._store.warnings])

    def close(self) -> None:
        """Remove its files."""
        self._stack.close()


class OneSegment:
    """Takes the frames of one segment; see ``render.Sink``."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self._path, self._recipe = path, recipe
        self._writer: VideoWriter | None = None
        self.warnings: list[str] = []

    def write(self, k: int, native: av.VideoFrame) -> None:
        """Encode output frame ``k``."""
        if self._writer is None:
            self._writer = self._recipe.encoder.open(self._path, self._recipe.info)
            self.warnings = [s.replace(str(self._path), PART) for s in self._writer.warnings]
        self._writer.write(native, k, 1)

    def end_segment(self) -> None:
        """Finish the file."""
        assert self._writer is not None
        self._writer.close()
        self._writer = None

    def abort(self) -> None:
        """Give up what is unfinished."""
        if self._writer is not None:
            self._writer.abort()


_bench: list[tuple[str, Bench]] = []


def render_segment(given: list[Any], key: str, index: int) -> Part:
    """What a worker does: one segment of a job.

    Args:
        given: reference to the recipe.
        key: of the recipe.
        index: of the segment.
    """
    if not _bench or _bench[0][0] != key:
        import ray

        while _bench:
            _bench.pop()[1].close()
        recipe: Recipe = ray.get(given[0])
        with limits.applied(limits.parse(recipe.options.limit)):
            _bench.append((key, Bench(recipe)))
    bench = _bench[0][1]
    with limits.applied(limits.parse(bench.options.limit)):
        return bench.make(index)
