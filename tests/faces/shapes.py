"""Made-up faces and people for the tests: no network, no pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lipwright.faces.detector import Detection
from lipwright.faces.landmarks import Mesh

# An average frontal face: landmark -> x, y (down), z (away), in units of the distance between the
# outer eye corners, origin midway between them. Points that no code looks at are left out.
# fmt: off
AVERAGE = {
    0: (0.00, 0.69, -0.31), 1: (0.00, 0.43, -0.49), 4: (0.00, 0.36, -0.51),
    6: (0.00, 0.04, -0.30), 10: (0.00, -0.62, -0.19), 13: (0.00, 0.76, -0.25),
    14: (0.00, 0.83, -0.23), 17: (0.00, 0.95, -0.24), 33: (-0.50, 0.00, 0.00),
    37: (-0.09, 0.68, -0.30), 39: (-0.17, 0.70, -0.26), 40: (-0.22, 0.73, -0.21),
    50: (-0.55, 0.38, -0.07), 58: (-0.70, 0.77, 0.52), 61: (-0.28, 0.79, -0.09),
    78: (-0.26, 0.79, -0.11), 80: (-0.18, 0.77, -0.18), 81: (-0.13, 0.76, -0.21),
    82: (-0.07, 0.76, -0.24), 84: (-0.09, 0.94, -0.23), 87: (-0.07, 0.82, -0.22),
    88: (-0.18, 0.81, -0.17), 91: (-0.22, 0.87, -0.17), 93: (-0.79, 0.39, 0.62),
    95: (-0.21, 0.80, -0.13), 132: (-0.75, 0.57, 0.59), 133: (-0.19, 0.02, -0.06),
    136: (-0.55, 1.04, 0.28), 145: (-0.36, 0.04, -0.08), 146: (-0.26, 0.83, -0.12),
    148: (-0.15, 1.32, -0.03), 149: (-0.36, 1.21, 0.11), 150: (-0.44, 1.14, 0.18),
    152: (0.00, 1.33, -0.05), 159: (-0.37, -0.06, -0.10), 168: (0.00, -0.05, -0.25),
    172: (-0.63, 0.93, 0.40), 176: (-0.26, 1.27, 0.03), 178: (-0.13, 0.81, -0.20),
    181: (-0.17, 0.91, -0.20), 185: (-0.26, 0.76, -0.15), 191: (-0.22, 0.78, -0.14),
    195: (0.00, 0.19, -0.42), 197: (0.00, 0.12, -0.36), 234: (-0.80, 0.21, 0.62),
    263: (0.50, 0.00, 0.00), 267: (0.08, 0.68, -0.30), 269: (0.16, 0.70, -0.26),
    270: (0.22, 0.73, -0.21), 280: (0.56, 0.38, -0.07), 288: (0.70, 0.78, 0.52),
    291: (0.28, 0.79, -0.08), 308: (0.25, 0.79, -0.11), 310: (0.17, 0.77, -0.18),
    311: (0.13, 0.76, -0.21), 312: (0.07, 0.76, -0.24), 314: (0.09, 0.94, -0.23),
    317: (0.07, 0.83, -0.22), 318: (0.17, 0.81, -0.16), 321: (0.22, 0.87, -0.17),
    323: (0.78, 0.39, 0.63), 324: (0.21, 0.80, -0.13), 361: (0.75, 0.58, 0.59),
    362: (0.19, 0.02, -0.06), 365: (0.54, 1.04, 0.29), 374: (0.36, 0.04, -0.08),
    375: (0.26, 0.83, -0.12), 377: (0.14, 1.32, -0.03), 378: (0.35, 1.21, 0.11),
    379: (0.44, 1.14, 0.19), 386: (0.38, -0.06, -0.09), 397: (0.63, 0.93, 0.41),
    400: (0.26, 1.27, 0.03), 402: (0.13, 0.82, -0.20), 405: (0.16, 0.91, -0.20),
    409: (0.26, 0.76, -0.15), 415: (0.21, 0.78, -0.14), 454: (0.79, 0.22, 0.62),
}
# fmt: on


def face(
    centre: tuple[float, float] = (0.0, 0.0),
    size: float = 100.0,
    *,
    roll: float = 0.0,
    yaw: float = 0.0,
    opening: float = 0.0,
) -> np.ndarray:
    """(478, 3) float32 landmarks.

    ``centre``: midway between the eyes; ``size``: distance of the outer eye corners, px; ``roll``
    and ``yaw`` in degrees, positive clockwise and towards the right of the picture; ``opening``:
    extra drop of lower lip and chin in units of the size.
    """
    points = np.tile(np.array([0.0, 0.4, -0.4]), (478, 1))
    for index, place in AVERAGE.items():
        points[index] = place
    for index in (14, 87, 178, 88, 317, 402, 318, 17, 84, 181, 91, 314, 405, 321, 152):
        points[index, 1] += opening
    t = np.radians(yaw)
    x = points[:, 0] * np.cos(t) - points[:, 2] * np.sin(t)
    z = points[:, 0] * np.sin(t) + points[:, 2] * np.cos(t)
    r = np.radians(roll)
    flat = np.stack([x, points[:, 1]], axis=1)
    turn = np.array([[np.cos(r), -np.sin(r)], [np.sin(r), np.cos(r)]])
    out = np.column_stack([flat @ turn.T * size + np.asarray(centre), z * size])
    return out.astype(np.float32)


@dataclass
class Person:
    """Somebody in the made-up world: ``path[i]`` is the place between the eyes in frame i."""

    path: list[tuple[float, float] | None]
    size: float = 60.0


@dataclass
class World:
    """Stands for pictures, detector and landmark network at once; set ``frame`` and ask.

    A person nearer to the end of the list hides those behind: where two faces overlap by more than
    half, only the last one is seen.
    """

    people: list[Person]
    frame: int = 0
    side: int = 256
    detections: int = 0
    efforts: list[str] = field(default_factory=list)

    def visible(self) -> list[np.ndarray]:
        shown: list[np.ndarray] = []
        for person in reversed(self.people):
            place = person.path[self.frame]
            if place is None:
                continue
            points = face(place, person.size)
            middle = points[:, :2].mean(axis=0)
            if all(
                np.linalg.norm(middle - other[:, :2].mean(axis=0)) > 0.8 * person.size
                for other in shown
            ):
                shown.append(points)
        return shown

    def upright(self, detection: Detection, image: np.ndarray) -> Detection:
        return detection

    def detect(self, image: np.ndarray, effort: str = "normal") -> list[Detection]:
        self.detections += 1
        self.efforts.append(effort)
        found = []
        for points in self.visible():
            used = points[list(AVERAGE), :2].astype(float)
            box = np.concatenate([used.min(axis=0), used.max(axis=0)])
            keypoints = np.array([points[i, :2] for i in (33, 263, 1, 13, 234, 454)], float)
            found.append(Detection(box, keypoints, 0.9))
        return found

    def __call__(self, region, sample) -> Mesh:
        best, distance = None, np.inf
        for points in self.visible():
            used = points[list(AVERAGE), :2]
            middle = (used.min(axis=0) + used.max(axis=0)) / 2
            away = float(np.linalg.norm(middle - np.array(region.centre)))
            if away < distance:
                best, distance = points, away
        if best is None or distance > region.side / 3:
            return Mesh(face(region.centre, region.side / 4), 0.02)
        return Mesh(best, 0.99)
