"""Hands before faces, from frame to frame: what a plan keeps of them.

:mod:`lipwright.faces.hands` follows the hands near the faces of a film. Where one lies before a
lower face, the mouth is drawn beside it and the hand stays as it is; a mouth that is hidden almost
wholly is left alone, since its landmarks are guesses. A frame with a hand before the face is a
reference only if there is nothing better.
"""

from __future__ import annotations

import math
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.faces import alignment
from lipwright.faces.hands import SEARCH_EVERY, Hand, hand_cover
from lipwright.faces.measure import OUTER_LIPS
from lipwright.faces.paste import outline_mask

MAP_SIDE = 128
"""Side of the maps, of the aligned crop."""
LEAST_SHARE = 0.01
"""A hand that covers less of what may be drawn is beside the face."""
SHORTEST_SECONDS = 0.12
"""A hand that is seen for less than this is none."""
GAP_SECONDS = 0.2
"""A hand that is lost for no longer than this is where it was."""
AFTER_SECONDS = 0.08
"""A hand may stay for so long after it was seen last: it is lost while it is still there."""
HIDDEN_LIPS = 0.7
"""A mouth of which more is hidden is left alone."""
NEAR_SECONDS = 0.4
"""Frames nearer than this to one with a hand before the face are no references."""
RIM, SOFT = 2, 1.5
"""Places of a map by which a hand is made larger, for its edge is not known better, and the
standard deviation of the soft edge beyond."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Hidden:
    """What lies before a face in one frame.

    Attributes:
        packed: the map, see :func:`unpack`; empty where nothing lies before the face.
        lips: how much of the lips is hidden, in [0, 1].
    """

    packed: bytes = b""
    lips: float = 0.0


NOTHING = Hidden()


def hidden_by(
    hands: Sequence[Hand], crop: alignment.Affine, points: NDArray[np.floating]
) -> Hidden:
    """What hands hide of one face.

    Args:
        hands: of the frame.
        crop: (2, 3) similarity from the unit square to display pixels.
        points: (K, 2) outline of the face (``paste.OUTLINE_POINTS``) in display pixels.
    """
    if not hands:
        return NOTHING
    to_map = alignment.invert(alignment.to_pixels(crop, MAP_SIDE))
    cover = np.zeros((MAP_SIDE, MAP_SIDE), np.bool_)
    for hand in hands:
        cover |= hand_cover(alignment.apply(to_map, hand.points), MAP_SIDE)
    places = alignment.apply(to_map, points)
    drawn = outline_mask(places, MAP_SIDE) > 0.1
    if (cover & drawn).sum() < LEAST_SHARE * max(1, drawn.sum()):
        return NOTHING
    lips = np.zeros((MAP_SIDE, MAP_SIDE), np.uint8)
    ring = np.round(places[-len(OUTER_LIPS) :]).astype(np.int32)
    cv2.fillConvexPoly(lips, cv2.convexHull(ring[:, None]), 1)
    return Hidden(pack(cover), float(cover[lips > 0].mean()) if lips.any() else 0.0)


def pack(cover: NDArray[np.bool_]) -> bytes:
    """(MAP_SIDE, MAP_SIDE), as a plan keeps it: about a hundred bytes."""
    return zlib.compress(np.packbits(cover).tobytes(), 6)


@lru_cache(maxsize=64)
def unpack(packed: bytes) -> NDArray[np.bool_]:
    """The inverse of :func:`pack`; not to be written to.

    Raises:
        ValueError: it is none.
    """
    try:
        data = zlib.decompressobj().decompress(packed, MAP_SIDE**2 // 8)
    except zlib.error as error:
        raise ValueError("no map of what lies before a face") from error
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(MAP_SIDE, MAP_SIDE)
    cover = bits.astype(np.bool_)
    cover.setflags(write=False)
    return cover


def lasting(seen: Sequence[Hidden | None], rate: float) -> dict[int, Hidden]:
    """Of successive frames those with something before the face, short gaps and ends filled.

    A hand is searched for every few frames only, so it was there before it is seen first.

    Args:
        seen: per frame; None where the face was not found.
        rate: frames per second.
    """
    runs: list[tuple[int, int]] = []
    for k, each in enumerate(seen):
        if each is None or not each.packed:
            continue
        if runs and k - runs[-1][1] <= 1 + GAP_SECONDS * rate:
            runs[-1] = (runs[-1][0], k)
        else:
            runs.append((k, k))
    found: dict[int, Hidden] = {}
    for first, last in runs:
        if last - first + 1 < SHORTEST_SECONDS * rate:
            continue
        there = seen[first] or NOTHING
        stop = min(len(seen), last + 1 + round(AFTER_SECONDS * rate))
        for k in range(max(0, first - SEARCH_EVERY + 1), stop):
            now = seen[k]
            there = now if now is not None and now.packed else there
            found[k] = there
    return found


def frames_near(frames: Sequence[int], rate: Fraction | float) -> set[int]:
    """Frames in which, or shortly before or after which, a hand lies before a face.

    A hand that comes may not be seen at once.

    Args:
        frames: those in which it was seen.
        rate: frames per second.
    """
    near = math.ceil(NEAR_SECONDS * rate)
    rows = np.array(sorted(frames), np.int64)[:, None] + np.arange(-near, near + 1)
    return set(rows.ravel().tolist())


def visible(packed: bytes, side: int) -> Array:
    """(side, side) in [0, 1]: where a face may be changed, 0 where something lies before it."""
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM + 1, 2 * RIM + 1))
    grown = cv2.dilate(unpack(packed).astype(np.float32), reach)
    # The edge is soft towards the face only: on the hand itself nothing is drawn.
    soft = np.maximum(grown, cv2.GaussianBlur(grown, (0, 0), SOFT))
    large = cv2.resize(soft, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(1 - large, np.float32)


def as_text(maps: Mapping[int, bytes]) -> dict[str, str]:
    """Maps by row, for JSON."""
    return {str(row): b64encode(packed).decode() for row, packed in maps.items()}


def from_text(texts: Mapping[str, str]) -> dict[int, bytes]:
    """The inverse of :func:`as_text`.

    Raises:
        ValueError: it is none.
    """
    return {int(row): b64decode(text, validate=True) for row, text in texts.items()}
