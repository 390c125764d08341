"""Whole frames out of pairs of fields, by libavfilter's ``bwdif``.

The filter (Bob Weaver deinterlacing, after Martin Weston's three-field method and yadif) looks at
the frames before and after; it gives one frame for each that it takes, so that the video keeps its
rate and every frame its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import av.error
import av.filter


def deinterlaced(frames: Iterator[av.VideoFrame], time_base: Fraction) -> Iterator[av.VideoFrame]:
    """Deinterlace frames; timestamps, durations and tags stay those of the frames that came in.

    Args:
        frames: in display order, all of one size and format.
        time_base: of their timestamps.
    """
    graph: av.filter.Graph | None = None
    waiting: list[av.VideoFrame] = []
    shape: tuple[object, ...] = ()
    for frame in frames:
        now = (frame.width, frame.height, frame.format.name)
        if graph is not None and now != shape:
            yield from _finished(graph, waiting)
            graph = None
        if graph is None:
            how = "mode=send_frame:parity=auto:deint=all"
            graph, shape = one_filter(frame, time_base, "bwdif", how), now
        waiting.append(frame)
        # The filter goes by order alone here; its own times are not used.
        graph.vpush(frame)
        yield from _pulled(graph, waiting)
    if graph is not None:
        yield from _finished(graph, waiting)


def one_filter(
    frame: av.VideoFrame, time_base: Fraction | None, name: str, settings: str
) -> av.filter.Graph:
    """A graph of one filter of libavfilter, for frames like this one."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base
    )
    chosen, sink = graph.add(name, settings), graph.add("buffersink")
    source.link_to(chosen)
    chosen.link_to(sink)
    graph.configure()
    return graph


def _pulled(graph: av.filter.Graph, waiting: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    while waiting:
        try:
            made = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        source = waiting.pop(0)
        made.pts, made.duration = source.pts, source.duration
        if source.time_base is not None:
            made.time_base = source.time_base
        yield made


def _finished(graph: av.filter.Graph, waiting: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    graph.vpush(None)
    yield from _pulled(graph, waiting)
    yield from waiting  # what the filter kept for itself
    waiting.clear()
