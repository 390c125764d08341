"""Hands near faces, followed from frame to frame: MediaPipe's hand landmarks.

As in "MediaPipe Hands" (Zhang et al., CVPR workshops 2020): a palm detector says where to look, a
landmark network places 21 points and says whether there is a hand at all, and the points say where
to look in the next frame. Here only the surroundings of faces are searched, every few frames, and
where no palm is seen, fingers before the face itself. While there is no hand, surroundings in which
nothing has changed since they were searched in vain are left alone for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.faces.alignment import Affine, apply
from lipwright.faces.landmarks import Region, sample_patch
from lipwright.faces.network import Network
from lipwright.faces.palms import MIDDLE, WRIST, Palm, PalmDetector
from lipwright.faces.stillness import LEVELS, PART, SHARE, Look, changed, look
from lipwright.weights.fetch import resolve

SEARCH_EVERY = 5
"""Frames between two searches."""
PASSED_OVER = 4
"""So many searches in succession are left out at most where nothing has changed."""
REACH = 2.2
"""Side of the part that is searched, in sides of a face's crop; the face lies above its middle."""
LOWER = 0.25
"""How far below, in sides of the crop."""
SURE, STILL_THERE = 0.9, 0.6
"""Least probability of a hand that is found by its palm, and of one that is followed."""
BEFORE, BEFORE_LOWER = 1.6, 0.5
"""A hand whose palm is not in the picture is looked for before the face itself: side of that region
in sides of the crop, and how far its middle lies below that of the crop."""
PERHAPS = 0.3
"""There the landmark network is asked again where it sees a hand with this probability; where there
is none it says less than a tenth."""
SAME = 0.5
"""Hands whose middles are nearer than this part of their size are one."""
FROM_PALM, UP_FROM_PALM = 2.6, 0.5
"""Side of the region about a palm in sides of its box, and how far it is moved to the fingers."""
FROM_POINTS, UP_FROM_POINTS = 2.0, 0.1
STABLE = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
"""Points that say where the hand is in the next frame: tips of fingers move too much."""
KNUCKLES = (6, 10, 14)
"""Middle joints of index, middle and ring finger: from the wrist to them a hand points."""


@dataclass(frozen=True)
class Hand:
    """One hand.

    Attributes:
        points: (21, 2) in display pixels: wrist, then thumb and fingers, four each.
        presence: probability in [0, 1].
    """

    points: NDArray[np.float64]
    presence: float


class HandTracker:
    """Follows hands near faces.

    Attributes:
        name: networks and settings; equal for trackers that find the same.
    """

    name = (
        f"hands {SEARCH_EVERY} {REACH} {LOWER} {SURE} {STILL_THERE} "
        f"{PASSED_OVER} {LEVELS} {PART} {SHARE}"
    )

    def __init__(self) -> None:
        """Find the networks; they are loaded when there is a face.

        Raises:
            LipwrightError: they cannot be had.
        """
        self._files = resolve("palm-detector"), resolve("hand-landmarks")
        self.reset()

    @cached_property
    def _palms(self) -> PalmDetector:
        return PalmDetector(self._files[0])

    @cached_property
    def _network(self) -> Network:
        return Network(self._files[1])

    def reset(self) -> None:
        """Forget all hands: the next frame belongs to another shot."""
        self._hands: list[Hand] = []
        self._count = 0
        self._vain: list[tuple[Look, int]] = []  # of every face, and searches left out since

    def update(self, image: NDArray[np.uint8], scale: float, crops: Sequence[Affine]) -> list[Hand]:
        """Take the next frame.

        Args:
            image: (H, W, 3) uint8 RGB, the frame or a thumbnail of it.
            scale: display pixels per pixel of ``image``.
            crops: (2, 3) similarities from the unit square to display pixels, one per face.
        """
        places = [_place(crop, REACH, LOWER) for crop in crops]
        kept = [self.seen(image, scale, region_of_points(h.points)) for h in self._hands]
        hands = [h for h in kept if h.presence >= STILL_THERE and _is_near(h, places)]
        if len(hands) < len(self._hands):
            self._count = 0  # one is lost, and may be seen again at once
        if self._hands:
            self._vain = []  # where a hand is, or just was, everything is searched
        if self._count % SEARCH_EVERY == 0:
            for crop in self._unknown(image, scale, crops):
                for hand in self.search(image, scale, crop):
                    if not any(_is_same(hand, h) for h in hands):
                        hands.append(hand)
        self._count += 1
        self._hands = hands
        return hands

    def _unknown(
        self, image: NDArray[np.uint8], scale: float, crops: Sequence[Affine]
    ) -> list[Affine]:
        """Those faces near which something may have come since they were searched in vain."""
        unknown: list[Affine] = []
        kept: list[tuple[Look, int]] = []
        for crop in crops:
            now = look(image, scale, _place(crop, REACH, LOWER))
            before, passed = min(
                self._vain, key=lambda known: _apart(known[0].place, now.place), default=(None, 0)
            )
            if (
                before is not None
                and passed < PASSED_OVER
                and _apart(before.place, now.place) < now.place.side / 2
                and changed(before, now) <= SHARE
            ):
                kept.append((before, passed + 1))
            else:
                unknown.append(crop)
                kept.append((now, 0))
        self._vain = kept
        return unknown

    def search(self, image: NDArray[np.uint8], scale: float, crop: Affine) -> list[Hand]:
        """The hands near one face; arguments as of :meth:`update`."""
        place, side = _place(crop, REACH, LOWER), self._palms.side
        patch = sample_patch(image, _to_image(place, scale, side), (side, side))
        regions = [region_of_palm(palm, place.to_display(side)) for palm in self._palms(patch)]
        found = [self.seen(image, scale, region) for region in regions]
        hands = [hand for hand in found if hand.presence >= SURE]
        if hands:
            return hands
        first = self.seen(image, scale, _place(crop, BEFORE, BEFORE_LOWER))
        if first.presence < PERHAPS:
            return []
        again = self.seen(image, scale, region_of_points(first.points))
        return [again] if again.presence >= STILL_THERE else []

    def seen(self, image: NDArray[np.uint8], scale: float, region: Region) -> Hand:
        """The hand of a region, or what is taken for one; arguments as of :meth:`update`."""
        side = self._network.side
        patch = sample_patch(image, _to_image(region, scale, side), (side, side))
        outputs = self._network(patch.astype(np.float32) * np.float32(1 / 255))
        # Points in the patch, in metres, probability of a hand, of a right one: in this order.
        points, presence = outputs["Identity"].reshape(21, 3), outputs["Identity_1"]
        placed = apply(region.to_display(side), points[:, :2].astype(np.float64) - 0.5)
        return Hand(placed, float(presence.ravel()[0]))


def region_of_palm(palm: Palm, to_display: Affine) -> Region:
    """Where to look for the hand of a palm that was found in a patch."""
    points = apply(to_display, palm.points)
    corners = apply(to_display, palm.box.reshape(2, 2))
    side = float(np.abs(corners[1] - corners[0]).max())
    angle = _upright(points[MIDDLE] - points[WRIST])
    return _region(corners.mean(axis=0), side, angle, FROM_PALM, UP_FROM_PALM)


def region_of_points(points: NDArray[np.float64]) -> Region:
    """Where to look in the next frame."""
    a, b, c = points[list(KNUCKLES)]
    angle = _upright(((a + c) / 2 + b) / 2 - points[0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    level = points[list(STABLE)] @ turn.T
    low, high = level.min(axis=0), level.max(axis=0)
    side = float((high - low).max())
    return _region((low + high) / 2 @ turn, side, angle, FROM_POINTS, UP_FROM_POINTS)


def _region(
    middle: NDArray[np.float64], side: float, angle: float, times: float, up: float
) -> Region:
    shift = np.array([np.sin(angle), -np.cos(angle)]) * up * side
    x, y = middle + shift
    return Region((float(x), float(y)), times * max(side, 1.0), angle)


def _upright(way: NDArray[np.float64]) -> float:
    """By how much a hand is turned that points this way; 0: upwards, clockwise on the screen."""
    return float(np.arctan2(way[0], -way[1]))


def _to_image(region: Region, scale: float, side: int) -> Affine:
    """From the pixels of a patch to those of the picture that is ``scale`` times smaller."""
    matrix = region.to_display(side)
    matrix[:, 2] += 0.5
    matrix /= scale
    matrix[:, 2] -= 0.5
    return matrix


def _place(crop: Affine, reach: float, lower: float) -> Region:
    """The surroundings of a face: an upright square, in sides of its crop."""
    side = float(np.hypot(crop[0, 0], crop[1, 0]))
    x, y = apply(crop, np.array([0.5, 0.5 + lower]))
    return Region((float(x), float(y)), reach * side, 0.0)


def _apart(a: Region, b: Region) -> float:
    """Display pixels between the middles of two regions."""
    return float(np.hypot(a.centre[0] - b.centre[0], a.centre[1] - b.centre[1]))


def _is_near(hand: Hand, places: Sequence[Region]) -> bool:
    middle = hand.points.mean(axis=0)
    return any(float(np.abs(middle - p.centre).max()) < p.side / 2 for p in places)


def _is_same(a: Hand, b: Hand) -> bool:
    apart = float(np.linalg.norm(a.points.mean(axis=0) - b.points.mean(axis=0)))
    return apart < SAME * max(float(np.ptp(h.points, axis=0).max()) for h in (a, b))


PALM = (0, 1, 5, 9, 13, 17)
FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
THICK = 0.17
"""Half the width of a finger in parts of the breadth of the palm; the thumb's is a fifth more."""
EDGE = 0.22
"""How far the palm reaches beyond its points."""
ARM = 0.45
"""Half the width of the arm, which is drawn for as long as the palm."""


def hand_cover(points: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """The places that a hand covers.

    Args:
        points: (21, 2) in pixels of a square picture.
        size: side S of it.

    Returns:
        (S, S): the palm, the fingers as jointed sticks, and a piece of the arm.
    """
    breadth = float(np.linalg.norm(points[17] - points[5]))
    length = float(np.linalg.norm(points[9] - points[0]))
    unit = max(breadth, 0.6 * length)  # a palm that is seen from its edge is as thick
    cover = np.zeros((size, size), np.uint8)
    near = np.clip(points, -8.0 * size, 9.0 * size)

    def stick(a: NDArray[np.float64], b: NDArray[np.float64], half: float) -> None:
        ends = [tuple(int(v) for v in np.round(p * 16)) for p in (a, b)]
        cv2.line(cover, ends[0], ends[1], 1, max(1, round(2 * half)), cv2.LINE_8, 4)

    for number, finger in enumerate(FINGERS):
        half = THICK * unit * (1.2 if number == 0 else 1.0)
        for a, b in pairwise(finger):
            stick(near[a], near[b], half)
    palm = near[list(PALM)]
    cv2.fillConvexPoly(cover, cv2.convexHull(np.round(palm).astype(np.int32)[:, None]), 1)
    for a, b in zip(palm, np.roll(palm, -1, axis=0), strict=True):
        stick(a, b, EDGE * unit)
    stick(near[0], near[0] + (near[0] - near[9]), ARM * unit)
    return cover > 0
