"""Tags of a TIFF structure (TIFF 6.0, section 2), a file of its own or the EXIF part of another."""

from __future__ import annotations

import struct
from typing import BinaryIO

ORIENTATION = 274
COMPRESSION = 259

_MOST_ENTRIES = 200


def short_tag(file: BinaryIO, tag: int) -> int | None:
    """The 16-bit value of a tag in the first directory; None if there is none, or no TIFF.

    Args:
        file: at the start of the structure, and seekable.
        tag: its number.
    """
    start = file.tell()
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return None
    try:
        file.seek(start + struct.unpack(f"{order}I", head[4:])[0])
        (count,) = struct.unpack(f"{order}H", file.read(2))
        for _ in range(min(count, _MOST_ENTRIES)):
            number, _, _, value = struct.unpack(f"{order}HHIH2x", file.read(12))
            if number == tag:
                return int(value)
    except struct.error:
        return None
    return None
