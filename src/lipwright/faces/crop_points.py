"""The 68 points of faces in aligned crops.

An aligned crop has the face in a known place: no detector is needed. The first frame is looked at
twice, since its region is a guess; each further frame in the region of the one before.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.faces.landmarks import LandmarkNetwork, Region, region_of_points, sample_patch
from lipwright.faces.points68 import points_68

MIDDLE = 0.57  # height of the middle of the face in an aligned crop, as part of its side
REGION = 1.35  # side of the first region, likewise
PRESENT = 0.5


class CropPoints:
    """Reads points off crops of one size.

    Args:
        size: side of the crop without its margin, px.
        margin: px around it that belong to the picture.
        network: default: the best that is at hand.
    """

    def __init__(self, size: int, margin: int = 0, network: LandmarkNetwork | None = None) -> None:
        self.size, self.margin = size, margin
        self._network = network or LandmarkNetwork(threads=1)
        middle, height = margin + size / 2 - 0.5, margin + MIDDLE * size - 0.5
        self._first = Region((middle, height), REGION * size, 0.0)

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Points of consecutive frames.

        Args:
            frames: (T, C, C, 3) RGB, C = size + 2 margin.

        Returns:
            (T, 68, 2) in parts of the crop's side; the crop without margin is the unit square.
        """
        found = []
        region: Region | None = None
        for frame in frames:
            picture = np.ascontiguousarray(frame)
            if region is None:
                region = region_of_points(self._mesh(picture, self._first)[0])
            points, presence = self._mesh(picture, region)
            region = region_of_points(points) if presence > PRESENT else None
            found.append(points_68(points))
        return np.asarray((np.stack(found) + 0.5 - self.margin) / self.size)

    def _mesh(
        self, picture: NDArray[np.uint8], region: Region
    ) -> tuple[NDArray[np.float32], float]:
        mesh = self._network(region, lambda matrix, size: sample_patch(picture, matrix, size))
        return mesh.points, mesh.presence


class SingleCrop:
    """Reads points off single crops (S, S, 3); a margin is made by repeating the rim."""

    def __init__(self) -> None:
        self._network = LandmarkNetwork(threads=1)

    def __call__(self, crop: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Points (68, 2) in parts of the crop's side."""
        size = crop.shape[0]
        margin = size // 16
        wide = cv2.copyMakeBorder(crop, *(margin,) * 4, cv2.BORDER_REPLICATE)
        reader = CropPoints(size, margin, self._network)
        return np.asarray(reader(np.asarray(wide, np.uint8)[None])[0])
