"""Which way up a photograph is, from its EXIF tags (CIPA DC-008, tag 0x0112, "Orientation")."""

from __future__ import annotations

import io
from pathlib import Path

from lipwright.media.tiff_tags import ORIENTATION, short_tag

_SEARCHED = 1 << 20  # EXIF lies near the start
_ONE = 1 << 16

# Orientation -> (a, b, c, d): x' = a x + c y, y' = b x + d y turns the picture upright.
_TURNS = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def exif_matrix(path: Path) -> tuple[int, ...] | None:
    """Libav's display matrix for the orientation tag of a picture; None if there is no such tag."""
    with path.open("rb") as file:
        head = file.read(_SEARCHED)
    start = head.find(b"Exif\0\0") + 6
    if start < 6:
        # WebP and PNG keep the bare TIFF structure in a chunk of its own.
        start = max(head.find(b"EXIF") + 8, head.find(b"eXIf") + 4)
    orientation = short_tag(io.BytesIO(head[start:]), ORIENTATION)
    if orientation not in _TURNS:
        return None
    a, b, c, d = (_ONE * v for v in _TURNS[orientation])
    return a, b, 0, c, d, 0, 0, 0, 1 << 30
