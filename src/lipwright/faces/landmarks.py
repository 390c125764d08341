"""Dense face landmarks: MediaPipe's face mesh on a rotated square region.

Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs" (2019):
a detector or the previous frame's landmarks give a square region, turned so that the line between
the eyes is level and 1.5 times as large as the face; the network returns the mesh inside it and
whether there is a face at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.faces.network import Network
from lipwright.weights.fetch import resolve

if TYPE_CHECKING:
    from lipwright.faces.detector import Detection

REGION_SCALE = 1.5  # side of the region over the longer side of the face, as in training
EYE_RIGHT, EYE_LEFT = 33, 263  # outer corners; right is the person's right, left in the picture

PatchSampler = Callable[[NDArray[np.float64], tuple[int, int]], NDArray[np.generic]]
"""Samples a region: ``(2x3 affine patch px -> display px, (width, height)) -> RGB (h, w, 3)``,
uint8, or float in [0, 1]."""


@dataclass(frozen=True)
class Region:
    """A rotated square in display pixels.

    Attributes:
        centre: (x, y).
        side: length of a side.
        angle: of its x axis against the picture's, radians, clockwise on the screen.
    """

    centre: tuple[float, float]
    side: float
    angle: float

    def to_display(self, size: int) -> NDArray[np.float64]:
        """2x3 affine from the pixels of a ``size`` x ``size`` patch to display pixels."""
        scale = self.side / size
        c, s = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        middle = (size - 1) / 2
        x, y = self.centre
        return np.array(
            [[c, -s, x - (c - s) * middle], [s, c, y - (s + c) * middle]], dtype=np.float64
        )


@dataclass(frozen=True)
class Mesh:
    """Landmarks of one face.

    Attributes:
        points: (478 or 468, 3) float32, x and y in display pixels, z in the same unit (smaller is
            nearer, zero at the head's centre).
        presence: probability in [0, 1] that the region holds a face.
    """

    points: NDArray[np.float32]
    presence: float


def region_of_detection(detection: Detection) -> Region:
    """Region for the first frame of a face."""
    x0, y0, x1, y1 = detection.box
    right, left = detection.keypoints[0], detection.keypoints[1]
    angle = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    side = REGION_SCALE * max(x1 - x0, y1 - y0)
    return Region(((x0 + x1) / 2, (y0 + y1) / 2), float(side), angle)


def region_of_points(points: NDArray[np.floating]) -> Region:
    """Region for the next frame from this one's landmarks (N, >=2)."""
    xy = np.asarray(points[:, :2], np.float64)
    eyes = xy[EYE_LEFT] - xy[EYE_RIGHT]
    angle = float(np.arctan2(eyes[1], eyes[0]))
    c, s = np.cos(angle), np.sin(angle)
    level = xy @ np.array([[c, -s], [s, c]])  # turned back by the angle
    low, high = level.min(axis=0), level.max(axis=0)
    middle = (low + high) / 2 @ np.array([[c, s], [-s, c]])
    side = REGION_SCALE * float((high - low).max())
    return Region((float(middle[0]), float(middle[1])), side, angle)


def sample_patch(
    image: NDArray[np.uint8], to_image: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Warp a patch out of an RGB picture; area averaging first where it shrinks a lot.

    Args:
        image: (H, W, 3) uint8.
        to_image: 2x3 affine from patch pixels to picture pixels.
        size: (width, height) of the patch.
    """
    matrix = np.asarray(to_image, np.float64)
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrink > 2.0:
        corners = np.array([[0, 0], [size[0], 0], [0, size[1]], [size[0], size[1]]], np.float64)
        reach = corners @ matrix[:, :2].T + matrix[:, 2]
        height, width = image.shape[:2]
        x0, y0 = np.clip(np.floor(reach.min(axis=0)) - 2, 0, (width - 1, height - 1)).astype(int)
        x1, y1 = np.clip(np.ceil(reach.max(axis=0)) + 3, (x0 + 1, y0 + 1), (width, height))
        part = image[y0 : int(y1), x0 : int(x1)]
        small = (max(1, round(part.shape[1] / shrink)), max(1, round(part.shape[0] / shrink)))
        fx, fy = part.shape[1] / small[0], part.shape[0] / small[1]
        image = np.asarray(cv2.resize(part, small, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix.copy()
        matrix[:, 2] -= (x0, y0)
        matrix[:, 2] += 0.5
        matrix /= np.array([[fx], [fy]])
        matrix[:, 2] -= 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(warped, np.uint8)


class LandmarkNetwork:
    """The face mesh network: 478 points where that file can be had, else 468.

    Attributes:
        name: registry name of the file in use.
        count: number of points.
        side: side of the input patch in pixels.
    """

    def __init__(self, *, threads: int = 1, name: str | None = None) -> None:
        """Load.

        Args:
            threads: CPU threads per call.
            name: ``landmarks-478``, ``landmarks-468`` or None for the better one at hand.

        Raises:
            LipwrightError: no such file can be had.
        """
        self.name, path = (name, resolve(name)) if name else best_network()
        self._network = Network(path, threads=threads)
        self.side = self._network.side
        self.count = 478 if self.name == "landmarks-478" else 468

    def __call__(self, region: Region, sample: PatchSampler) -> Mesh:
        """Landmarks inside a region.

        Args:
            region: where to look, in display pixels.
            sample: gives the pixels of the region.
        """
        to_display = region.to_display(self.side)
        patch = sample(to_display, (self.side, self.side))
        if patch.dtype == np.uint8:
            pixels = patch.astype(np.float32) * np.float32(1 / 255)
        else:
            pixels = np.asarray(patch, np.float32)
        outputs = list(self._network(pixels).values())
        raw = next(o for o in outputs if o.size == self.count * 3).reshape(self.count, 3)
        # The first scalar output is the presence; a second one (tongue) is of no use here.
        logit = float(next(o for o in outputs if o.size == 1).ravel()[0])
        presence = float(1.0 / (1.0 + np.exp(-np.clip(logit, -50.0, 50.0))))
        points = np.empty((self.count, 3), np.float32)
        # The network counts from the patch's corner, display from the first pixel's centre.
        points[:, :2] = (raw[:, :2] - 0.5) @ to_display[:, :2].T + to_display[:, 2]
        points[:, 2] = raw[:, 2] * (region.side / self.side)
        return Mesh(points, presence)


def best_network() -> tuple[str, Path]:
    """Registry name and file of the network with 478 points; of that with 468 where the first
    cannot be had. The latter follows the inner lips only coarsely.

    Raises:
        LipwrightError: neither can be had.
    """
    try:
        return "landmarks-478", resolve("landmarks-478")
    except LipwrightError as first:
        try:
            return "landmarks-468", resolve("landmarks-468")
        except LipwrightError:
            raise first from None
