"""Any frame rate to 25 fps: for each 25th of a second the frame that is shown nearest to it.

Frames that are nearest to no grid time are left out (50 and 60 fps), others serve twice (below
25 fps). Where a source shows nothing new for long, the grid has a hole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from lipwright.media.mel import MODEL_FPS
from lipwright.media.reader import Frame

HOLE = Fraction(1, 10)
"""A grid time further than this (seconds) from every frame has no picture."""


def on_grid(frames: Iterable[Frame]) -> Iterator[tuple[int, Frame]]:
    """Pairs (n, frame): the frame shown nearest to n/25 s; n increases, with holes."""
    n = 0
    last: Frame | None = None
    for frame in frames:
        if last is not None:
            middle = (last.time + frame.time) / 2
            while Fraction(n, MODEL_FPS) <= middle:
                if abs(Fraction(n, MODEL_FPS) - last.time) <= HOLE:
                    yield n, last
                n += 1
        last = frame
    if last is not None:
        end = last.time + min(last.duration * last.time_base, HOLE) / 2
        while Fraction(n, MODEL_FPS) < end:
            yield n, last
            n += 1
