"""Telling an encoder that frames consist of two fields each."""

from __future__ import annotations

import av
import av.filter

from lipwright.media.deinterlace import one_filter
from lipwright.media.info import FieldOrder


class FieldMarker:
    """Sets the field flags of frames.

    x264 asks every frame for its field order, edits make frames without flags, and PyAV cannot set
    them; libavfilter's ``setfield`` can, and copies no pixels.
    """

    def __init__(self, order: FieldOrder) -> None:
        """``order``: ``tff`` or ``bff``."""
        self._order = order
        self._graph: av.filter.Graph | None = None

    def mark(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same picture, flagged."""
        if self._graph is None:
            self._graph = one_filter(frame, frame.time_base, "setfield", self._order)
        self._graph.vpush(frame)
        marked = self._graph.vpull()
        marked.pts, marked.time_base = frame.pts, frame.time_base
        return marked
