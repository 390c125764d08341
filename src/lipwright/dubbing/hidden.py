"""Things before faces, from frame to frame: what a plan keeps of them.

:mod:`lipwright.faces.occlusion` says of one crop what lies before the face. Here that is asked of
the frames of a film. A thing that is seen for a moment only is a mistake of the network; a mouth
that is hidden almost wholly is left alone, since its landmarks are guesses; every other mouth is
drawn beside the thing.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.faces import alignment
from lipwright.faces.measure import OUTER_LIPS
from lipwright.faces.occlusion import MAP_SIDE, SIDE, OcclusionFinder, things
from lipwright.faces.paste import outline_mask
from lipwright.faces.tracker import from_thumbnail
from lipwright.runs import runs_of

SEED, LEAST, AREA = 0.8, 0.4, 12
"""Of a thing in a map, see :func:`lipwright.faces.occlusion.things`."""
SHORTEST_SECONDS = 0.12
"""Things that are seen for less than this are none."""
HIDDEN_LIPS = 0.7
"""A mouth of which more is hidden is left alone."""
RIM = 3
"""Places of a map by which a thing is made larger: its edge is not known better than that."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Hidden:
    """What lies before a face in one frame.

    Attributes:
        packed: the map, see :func:`unpack`; empty where nothing lies before the face.
        face: how much of the lower face is hidden, in [0, 1].
        lips: how much of the lips.
    """

    packed: bytes = b""
    face: float = 0.0
    lips: float = 0.0


NOTHING = Hidden()


def look(
    finder: OcclusionFinder,
    image: NDArray[np.uint8],
    scale: float,
    crop: alignment.Affine,
    points: NDArray[np.floating],
    size: tuple[float, float],
) -> Hidden:
    """Look at one face.

    Args:
        finder: the network.
        image: (h, w, 3) RGB, a thumbnail of the frame.
        scale: display pixels per pixel of it.
        crop: (2, 3) similarity from the unit square to display pixels.
        points: (K, 2) outline of the face (``paste.OUTLINE_POINTS``) in display pixels.
        size: (width, height) of the display.
    """
    to_display = alignment.to_pixels(crop, SIDE)
    likely = finder(from_thumbnail(image, scale, to_display, (SIDE, SIDE)))
    if float(likely.max()) < SEED:
        return NOTHING
    places = alignment.apply(alignment.invert(crop), points) * MAP_SIDE - 0.5
    where = (outline_mask(places, MAP_SIDE, opening=0.0) > 0.5) & _inside(crop, size)
    found = things(likely, where, SEED, LEAST, AREA)
    seen = found > 0.5
    if not seen.any():
        return NOTHING
    lips = np.zeros((MAP_SIDE, MAP_SIDE), np.uint8)
    ring = np.round(places[-len(OUTER_LIPS) :]).astype(np.int32)
    cv2.fillConvexPoly(lips, cv2.convexHull(ring[:, None]), 1)
    return Hidden(pack(found), _share(seen, where), _share(seen, lips > 0))


def pack(found: Array) -> bytes:
    """(MAP_SIDE, MAP_SIDE) in [0, 1], as a plan keeps it."""
    return zlib.compress(np.rint(found * 255).astype(np.uint8).tobytes(), 6)


@lru_cache(maxsize=64)
def unpack(packed: bytes) -> Array:
    """The inverse of :func:`pack`; not to be written to.

    Raises:
        ValueError: it is none.
    """
    try:
        data = zlib.decompressobj().decompress(packed, MAP_SIDE**2)
    except zlib.error as error:
        raise ValueError("no map of things before a face") from error
    levels = np.frombuffer(data, np.uint8).reshape(MAP_SIDE, MAP_SIDE)
    found = np.asarray(levels / np.float32(255), np.float32)
    found.setflags(write=False)
    return found


def lasting(seen: Sequence[Hidden | None], rate: float) -> dict[int, Hidden]:
    """Of successive frames those with something before the face that stays for a while.

    Args:
        seen: per frame; None where the face was not found, which takes what the frame before has.
        rate: frames per second.
    """
    filled: list[Hidden] = []
    for hidden in seen:
        filled.append(hidden or (filled[-1] if filled else NOTHING))
    found: dict[int, Hidden] = {}
    for start, stop in runs_of(np.array([bool(each.packed) for each in filled])).tolist():
        if stop - start >= SHORTEST_SECONDS * rate:
            found |= {k: filled[k] for k in range(start, stop)}
    return found


def visible(packed: bytes, side: int) -> Array:
    """(side, side) in [0, 1]: where a face may be changed, 0 where something lies before it."""
    reach = np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)
    grown = cv2.dilate((unpack(packed) > 0.5).astype(np.float32), reach)
    soft = cv2.GaussianBlur(grown, (0, 0), RIM / 2)
    large = cv2.resize(soft, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(1 - np.clip(large / np.float32(0.9), 0, 1), np.float32)


def as_text(maps: Mapping[int, bytes]) -> dict[str, str]:
    """Maps by row, for JSON."""
    from base64 import b64encode

    return {str(row): b64encode(packed).decode() for row, packed in maps.items()}


def from_text(texts: Mapping[str, str]) -> dict[int, bytes]:
    """The inverse of :func:`as_text`.

    Raises:
        ValueError: it is none.
    """
    from base64 import b64decode

    return {int(row): b64decode(text, validate=True) for row, text in texts.items()}


def _inside(crop: alignment.Affine, size: tuple[float, float]) -> NDArray[np.bool_]:
    """Which places of a map lie inside the picture."""
    y, x = (np.mgrid[:MAP_SIDE, :MAP_SIDE] + 0.5) / MAP_SIDE
    column, row = (crop[i, 0] * x + crop[i, 1] * y + crop[i, 2] for i in range(2))
    return np.asarray((column >= 0) & (column < size[0]) & (row >= 0) & (row < size[1]), np.bool_)


def _share(seen: NDArray[np.bool_], where: NDArray[np.bool_]) -> float:
    return float((seen & where).sum() / max(1, where.sum()))
