"""Which way up a photograph is, from its EXIF tags (CIPA DC-008, tag 0x0112, "Orientation")."""

from __future__ import annotations

import struct
from pathlib import Path

_SEARCHED = 1 << 20  # EXIF lies near the start
_ORIENTATION = 0x0112
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
    orientation = _orientation(head[start:])
    if orientation not in _TURNS:
        return None
    a, b, c, d = (_ONE * v for v in _TURNS[orientation])
    return a, b, 0, c, d, 0, 0, 0, 1 << 30


def _orientation(tiff: bytes) -> int | None:
    """The tag in the first directory of a TIFF structure."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (place,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, place)
        for entry in range(min(count, 200)):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, place + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:
        return None
    return None
