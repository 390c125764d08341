"""Which way up a detected face is.

The short-range detector finds the box of a face that hangs upside down or lies on its side, but
gives its eyes and mouth as if it were upright; and the landmark network fits a mesh to it all the
same, with its mouth on the forehead, at times with a presence of 1. So a newly found face is looked
at again in eight directions, and the detector's own score tells: near the right one it is about
0.9, elsewhere hardly ever above 0.8. (One frame each of 40 real clips, turned by six angles all
around: 105 of 156 faces turned by more than 60 degrees had been missed or got a wrong mesh, none
does now; all 110 that were turned less are right with and without.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipwright.faces.landmarks import Region, sample_patch

if TYPE_CHECKING:
    from lipwright.faces.detector import Detection

TURNS = 8
AGREES = np.radians(30)
"""Directions that differ by less say the same; the landmarks find the rest."""
PATCH = 128
"""Side of the turned pictures: the input of the short-range network."""
REACH = 1.6
"""Side of what is looked at over that of the box; with more of it other faces come into view."""
SURE = 0.6
"""A turn whose score is lower is not believed ..."""
CLEARLY = 0.05
"""... nor one that is no better than the detection as it came."""

Proposals = tuple[NDArray[np.float64], NDArray[np.float64]]


def upright(
    detection: Detection,
    image: NDArray[np.uint8],
    propose: Callable[[NDArray[np.uint8]], Proposals],
) -> Detection:
    """The detection with eyes and mouth where they are.

    Args:
        detection: of a face in ``image``, in its pixels.
        image: (H, W, 3) RGB.
        propose: finds faces in a (PATCH, PATCH, 3) picture: box and six key points (N, 16) in its
            pixels, and scores (N,).
    """
    x0, y0, x1, y1 = (float(value) for value in detection.box)
    middle, side = ((x0 + x1) / 2, (y0 + y1) / 2), REACH * max(x1 - x0, y1 - y0)
    level = _angle(detection.keypoints)
    best, best_score, as_it_came = detection, SURE, 0.0
    for turn in range(TURNS):
        angle = level + turn * 2 * np.pi / TURNS
        to_image = Region(middle, side, angle).to_display(PATCH)
        values, scores = propose(sample_patch(image, to_image, (PATCH, PATCH)))
        # A neighbour that looks in from the side is not the face in question.
        centre = (values[:, :2] + values[:, 2:4]) / 2
        near = np.abs(centre - (PATCH - 1) / 2).max(axis=1, initial=0.0) < PATCH / 4
        values, scores = values[near], scores[near]
        if not scores.size:
            continue
        place = int(scores.argmax())
        score, found = float(scores[place]), _moved(detection, values[place], to_image)
        off = abs(np.remainder(_angle(found.keypoints) - level + np.pi, 2 * np.pi) - np.pi)
        if off < AGREES:
            as_it_came = max(as_it_came, score)
        elif score > best_score:
            best, best_score = found, score
    return best if best_score > as_it_came + CLEARLY else detection


def _angle(keypoints: NDArray[np.float64]) -> float:
    """Of the line from the person's right eye to the left one, radians, clockwise on the screen."""
    x, y = keypoints[1] - keypoints[0]
    return float(np.arctan2(y, x))


def _moved(
    detection: Detection, value: NDArray[np.float64], to_image: NDArray[np.float64]
) -> Detection:
    """A proposal of a turned picture in the pixels of the whole one; its box stays a square."""
    points = value.reshape(8, 2)
    corners, keypoints = points[:2], points[2:]
    scale = float(np.hypot(to_image[0, 0], to_image[1, 0]))
    x, y = to_image[:, :2] @ corners.mean(axis=0) + to_image[:, 2]
    half = float((corners[1] - corners[0]).max()) * scale / 2
    box = np.array([x - half, y - half, x + half, y + half])
    keypoints = keypoints @ to_image[:, :2].T + to_image[:, 2]
    return replace(detection, box=box, keypoints=keypoints)
