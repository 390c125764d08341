"""Pass 2: draw the mouths, frame after frame, in bounded memory.

Four threads hand each other frames through queues that count bytes:

    decode and sample crops  ->  method  ->  composite and mark  ->  encode

Frames travel in windows of at most ``batch_size`` frames; a window never crosses the end of a
segment, and its size depends on nothing but the settings. So a resumed job calls the method with
the very batches of an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av

from lipwright.dubbing.compositing import composite_faces
from lipwright.dubbing.face_renderer import FaceRenderer
from lipwright.dubbing.frames import frame_bytes
from lipwright.dubbing.queues import ThreadGroup
from lipwright.dubbing.render_job import Beyond, Face, Job, PendingFrame, Sink
from lipwright.faces import alignment
from lipwright.media.planes import private_copy
from lipwright.media.region import sample_crop

QUEUE_BYTES = 32 << 20
"""Bound of each of the three queues: 10 frames of 1080p, 2 of 4K."""
WINDOW_BYTES = 96 << 20
"""A window of frames holds no more than this, or a single frame."""


def render(
    job: Job,
    sink: Sink,
    start: int = 0,
    progress: Callable[[int], None] = lambda done: None,
    stop: int | None = None,
) -> Beyond:
    """Render output frames into ``sink``.

    Args:
        job: what to render.
        sink: takes the frames.
        start: the first one, which begins a segment.
        progress: is told how many frames are done.
        stop: the one behind the last, at the end of a segment; None: all that follow.

    Returns:
        How often the speech asked for mouths that the reference frames do not show.

    Raises:
        LipwrightError: and whatever else any of the threads met; all have ended by then.
    """
    threads = ThreadGroup()
    decoded, drawn, finished = (threads.queue(QUEUE_BYTES) for _ in range(3))
    face_renderer = FaceRenderer(job)
    begin = start
    if start < len(job.schedule) and not job.method.info.stateless:
        # A recurrent method has to see the shot from its beginning again, in the same windows.
        begin = job.schedule.shot_pass(start) // job.segment * job.segment
    written = [start]
    frame_size, crop_size = frame_bytes(job.info), 12 * job.method.size**2

    def size(work: PendingFrame) -> int:
        return frame_size + 3 * crop_size * len(work.faces)

    def decode() -> None:
        for work in _decoded(job, begin, stop):
            decoded.put(work, size(work))
        decoded.finish()

    def draw() -> None:
        for window in _windows(decoded, job):
            face_renderer.draw(window)
            for work in window:
                if work.k >= start:  # before that, only a recurrent method's memory is rebuilt
                    drawn.put(work, size(work))
        drawn.finish()

    def compose() -> None:
        for item in drawn:
            assert isinstance(item, PendingFrame)
            composite_faces(item, job)
            item.faces.clear()
            finished.put(item, frame_size)
        finished.finish()

    def encode() -> None:
        for item in finished:
            assert isinstance(item, PendingFrame)
            sink.write(item.k, item.native)
            if (item.k + 1) % job.segment == 0 or item.k + 1 == len(job.schedule):
                sink.end_segment()
            written[0] = item.k + 1

    for work in (decode, draw, compose, encode):
        threads.start(work.__name__, work)
    threads.wait(lambda: progress(written[0]))
    progress(written[0])
    return face_renderer.beyond


RUN_UP = 25
"""Frames that a method with a memory sees before a single frame of a preview."""


def preview(job: Job, frames: list[int]) -> Iterator[tuple[av.VideoFrame, av.VideoFrame]]:
    """Single output frames, before and after.

    A method with a memory begins up to ``RUN_UP`` frames before each, inside the same shot.
    """
    assert job.store is not None
    stateless = job.method.info.stateless
    face_renderer = FaceRenderer(job)
    for k in frames:
        begin = k
        if not stateless:
            begin = max(job.schedule.shot_pass(k), k - RUN_UP)
            face_renderer = FaceRenderer(job)
        order = job.schedule.timeline.source[begin : k + 1]
        for place, frame in enumerate(job.store.follow(order), begin):
            work = face_work(job, place, frame.native)
            before = private_copy(work.native) if place == k else work.native
            face_renderer.draw([work])
        composite_faces(work, job)
        yield before, work.native


def _decoded(job: Job, begin: int, stop: int | None) -> Iterator[PendingFrame]:
    assert job.store is not None
    timeline = job.schedule.timeline
    for k, frame in enumerate(job.store.follow(timeline.source[begin:stop]), begin):
        # Captions are a stream of bytes spread over the frames: read to and fro they are nonsense.
        again = job.info.captions and timeline.shows_again(k)
        yield face_work(job, k, private_copy(frame.native) if again else frame.native)


def face_work(job: Job, k: int, native: av.VideoFrame) -> PendingFrame:
    """Output frame ``k`` on its way, with the crops of its faces."""
    work = PendingFrame(k, native)
    side = job.method.size
    for planned in job.schedule.faces(k):
        to_display = alignment.to_pixels(planned.crop, side)
        work.faces.append(Face(planned, sample_crop(native, job.info, to_display, (side, side))))
    return work


def _windows(queue: Any, job: Job) -> Iterator[list[PendingFrame]]:
    most = max(1, min(job.batch_size, WINDOW_BYTES // frame_bytes(job.info)))
    window: list[PendingFrame] = []
    for work in queue:
        window.append(work)
        if len(window) == most or (work.k + 1) % job.segment == 0:
            yield window
            window = []
    if window:
        yield window
