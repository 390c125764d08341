"""Black bars of a letterboxed or pillarboxed frame, which no edit may reach over.

A bar is a run of at least two black rows or columns at an edge of the picture, beside which most of
the next row or column is not black: a head before a black background ends in a curve, a bar ends
in a line.
"""

from __future__ import annotations

import av

from lipwright.media.colour import colour_code
from lipwright.media.info import VideoInfo
from lipwright.media.planes import Plane, layout_of, plane_views

BLACK = 10 / 255
"""Of the way from black to white: what a codec makes of a black bar stays below."""
LEAST = 2
BESIDE = 0.5
"""Share of the line beside a bar that is not black."""
_STEP = 16

Box = tuple[int, int, int, int]


def without_bars(frame: av.VideoFrame, info: VideoInfo) -> Box:
    """The part of a frame between its bars.

    Args:
        frame: a plain planar frame, as the reader gives it.
        info: of its video.

    Returns:
        (x0, y0, x1, y1) in stored pixels, x1 and y1 exclusive, whole chroma samples where there is
        a bar; the whole frame where there is none.
    """
    layout = layout_of(frame.format.name)
    if layout is None:
        return 0, 0, frame.width, frame.height
    code = colour_code(info.colour.name, info.colour.full_range, layout.depth)
    brightness = plane_views(frame)[layout.planes[0]]
    dark = float(code.offset[0] + BLACK * code.to_codes[0].sum())
    runs = [_dark_lines(_from_edge(brightness, edge), dark) for edge in _EDGES]
    if max(runs) < LEAST or runs[0] == len(brightness):
        return 0, 0, frame.width, frame.height
    left, right, top, bottom = runs
    inner = brightness[top : len(brightness) - bottom, left : brightness.shape[1] - right]
    left, right, top, bottom = (
        lines if lines >= LEAST and _ends_in_a_line(_from_edge(inner, edge), dark) else 0
        for lines, edge in zip(runs, _EDGES, strict=True)
    )
    across, down = layout.chroma_x, layout.chroma_y
    x1, y1 = frame.width - right, frame.height - bottom
    return (
        -(-left // across) * across,
        -(-top // down) * down,
        x1 // across * across if right else x1,
        y1 // down * down if bottom else y1,
    )


def overlap(box: Box, other: Box) -> Box:
    """What two boxes share; x1 <= x0 or y1 <= y0 if that is nothing."""
    return (
        max(box[0], other[0]),
        max(box[1], other[1]),
        min(box[2], other[2]),
        min(box[3], other[3]),
    )


_EDGES = ("left", "right", "top", "bottom")


def _from_edge(plane: Plane, edge: str) -> Plane:
    """A view of a plane whose first line is the one at an edge."""
    lines = plane.T if edge in ("left", "right") else plane
    return lines[::-1] if edge in ("right", "bottom") else lines


def _dark_lines(lines: Plane, dark: float) -> int:
    """How many lines from the first on are black throughout."""
    for start in range(0, len(lines), _STEP):
        lit = (lines[start : start + _STEP] > dark).any(axis=1)
        if lit.any():
            return start + int(lit.argmax())
    return len(lines)


def _ends_in_a_line(inside: Plane, dark: float) -> bool:
    """Whether most of the line beside a bar is lit, or of the next: one may be a blend."""
    return max((float((line > dark).mean()) for line in inside[:2]), default=0.0) >= BESIDE
