"""The last pixel step of every output: the watermark goes into the frame, in place.

Two regions are offered. ``face`` marks the surroundings of every face that is handed over, at
least 256 pixels wide and high where the picture has them, and leaves the rest of the frame as it
is, bit for bit. ``frame`` marks the whole picture. Both use one grid (``grid``), so the whole
frame contains what the face would have got: ``both`` is another word for ``frame``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import av

from lipwright.errors import LipwrightError
from lipwright.media.info import VideoInfo
from lipwright.media.reader import Frame
from lipwright.media.region import storage_box
from lipwright.provenance.watermark.chroma import Box, add_to_half_plane, half_plane, has_colour
from lipwright.provenance.watermark.grid import TILE_PIXELS, chips, code_word
from lipwright.provenance.watermark.scheme import BLOCK, mark_plane

Region = Literal["face", "frame", "both"]
REGIONS: tuple[Region, ...] = ("face", "frame", "both")
DEFAULT_REGION: Region = "face"

GROWTH = 1.3
"""The marked region is so many times as wide and high as the face."""
SMALLEST = TILE_PIXELS
"""It has at least this side where the picture is large enough: every bit occurs in it."""

FaceBox = Sequence[float]
FaceFinder = Callable[[Frame], list[tuple[float, float, float, float]]]
"""Boxes x0, y0, x1, y1 of the faces of the next frame, in display pixels."""
_THUMBNAIL_SIDE = 640


class Marker:
    """Writes one id into frames.

    Attributes:
        mark_id: the 32-bit id.
        region: ``face`` or ``frame``.
        marked: frames that carry the id now.
        unmarked: frames that do not, for want of a face or of colour.
    """

    def __init__(self, mark_id: int, region: Region = DEFAULT_REGION) -> None:
        """Prepare an id.

        Raises:
            LipwrightError: an id beyond 32 bits, an unknown region.
        """
        if region not in REGIONS:
            raise LipwrightError(
                f"There is no watermark region {region!r}; choose {', '.join(REGIONS)}."
            )
        self.mark_id = mark_id
        self.region: Literal["face", "frame"] = "face" if region == "face" else "frame"
        self.marked = 0
        self.unmarked = 0
        self._word = code_word(mark_id)

    def mark(
        self, frame: av.VideoFrame, info: VideoInfo, face_boxes_display: Iterable[FaceBox]
    ) -> None:
        """Mark a frame in place. Nothing that changes pixels may come after it.

        Args:
            frame: a plain planar frame, as ``media.reader`` gives it. Its memory is made private
                first, should the decoder still refer to it.
            info: of the video.
            face_boxes_display: x0, y0, x1, y1 in display pixels, one per face; not used for the
                region ``frame``.
        """
        boxes = [] if not has_colour(frame) else self.regions(info, face_boxes_display)
        for box in boxes:
            self._mark_box(frame, info, box)
        if boxes:
            self.marked += 1
        else:
            self.unmarked += 1

    def regions(self, info: VideoInfo, face_boxes_display: Iterable[FaceBox]) -> list[Box]:
        """Boxes x0, y0, x1, y1 in stored pixels, multiples of 8, that :meth:`mark` marks."""
        if self.region == "frame":
            whole = (0, 0, info.width // BLOCK * BLOCK, info.height // BLOCK * BLOCK)
            return [whole] if whole[2] and whole[3] else []
        boxes = (face_region(info, box) for box in face_boxes_display)
        return [box for box in boxes if box is not None]

    def _mark_box(self, frame: av.VideoFrame, info: VideoInfo, box: Box) -> None:
        x0, y0, x1, y1 = box
        half = half_plane(frame, info, (x0 // 2, y0 // 2, x1 // 2, y1 // 2))
        rows, columns = (y1 - y0) // BLOCK, (x1 - x0) // BLOCK
        bits = self._word[chips(y0 // BLOCK, x0 // BLOCK, rows, columns)]
        add_to_half_plane(frame, info, x0 // 2, y0 // 2, mark_plane(half, bits))


def face_region(info: VideoInfo, face_box_display: FaceBox) -> Box | None:
    """What is marked around a face: x0, y0, x1, y1 in stored pixels, or None.

    The box is grown, moved back into the picture where it stands out, and rounded outwards to
    multiples of 8. None for a face outside the picture and for pictures below 8x8.
    """
    x0, y0, x1, y1 = (float(v) for v in face_box_display)
    left, top, right, bottom = storage_box(info, (x0, y0, x1, y1))
    if left >= right or top >= bottom:
        return None
    columns = _span(left, right, info.width)
    rows = _span(top, bottom, info.height)
    if columns[0] >= columns[1] or rows[0] >= rows[1]:
        return None
    return columns[0], rows[0], columns[1], rows[1]


def _span(low: int, high: int, length: int) -> tuple[int, int]:
    usable = length // BLOCK * BLOCK
    start, end = grown_span(low, high, 0, usable)
    return math.floor(start / BLOCK) * BLOCK, min(usable, math.ceil(end / BLOCK) * BLOCK)


def grown_span(low: float, high: float, first: float, last: float) -> tuple[float, float]:
    """Grow an interval as the marked region is grown, and keep it inside first..last.

    All in pixels of the marked picture.
    """
    side = min(max(GROWTH * (high - low), float(SMALLEST)), last - first)
    start = min(max((low + high - side) / 2, first), last - side)
    return start, start + side


def face_finder() -> FaceFinder:
    """The face tracker of the product, reset at scene cuts and at the first frame of a video.

    Raises:
        LipwrightError: its network files cannot be had.
    """
    from lipwright.faces.cuts import CutDetector
    from lipwright.faces.tracker import FaceTracker

    tracker, cuts = FaceTracker(), CutDetector()

    def find(frame: Frame) -> list[tuple[float, float, float, float]]:
        nonlocal cuts
        image, scale = frame.thumbnail(_THUMBNAIL_SIDE)
        if frame.index == 0:
            cuts = CutDetector()
        if cuts.is_cut(image) or frame.index == 0:
            tracker.reset()
        boxes = [face.box for face in tracker.update(image, scale)]
        return [(float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in boxes]

    return find
