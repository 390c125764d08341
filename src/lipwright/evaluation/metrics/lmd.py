"""LMD: landmark distance of the mouth (Chen et al., ECCV 2018; ATVGnet, CVPR 2019).

Twenty mouth points on both sides, each set centred by its own mean; Euclidean distance per point,
**summed** over the points and averaged over frames in ATVGnet's script. Both the sum and the mean
per point are given, since papers use either without saying which.

Deviations: points of our face mesh that lie where dlib's points 48..67 do (no dlib), in pixels of
the aligned crop at 256 px (ATVGnet resizes its pictures to 256 x 256), so that the head's size and
turn do not enter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.base import ClipResult, Metric, MetricInfo
from lipwright.faces.measure import LIP_POINTS

DLIB_MOUTH = (
    *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91),  # outer contour, 48..59
    *(78, 81, 13, 311, 308, 402, 14, 178),  # inner contour, 60..67
)
"""Mesh points in the order of dlib's points 48..67."""
COLUMNS = tuple(LIP_POINTS.index(p) for p in DLIB_MOUTH)
SIDE = 256
_HOW = "20 points of our mesh at the places of dlib's 48..67, px of the aligned crop at 256"
SUM = MetricInfo(
    "lmd",
    "LMD sum",
    "Chen et al., CVPR 2019 (published script)",
    "adapted",
    "low",
    f"{_HOW}; summed over points",
    "px",
    1,
    protocols=("reconstruction", "noise"),
)
POINT = MetricInfo(
    "lmd_point",
    "LMD / point",
    "Chen et al., CVPR 2019",
    "adapted",
    "low",
    f"{_HOW}; mean over points",
    "px",
    protocols=("reconstruction", "noise"),
)


def mouth_points(lips: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 40, 2) lip contours of the aligned crop -> (T, 20, 2) in px of a 256 px crop."""
    return np.asarray(lips[:, COLUMNS] * SIDE)


def lmd(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float]:
    """Landmark distance of two (T, 20, 2) series.

    Returns:
        Sum over the points and mean per point, averaged over the frames where both are known;
        NaN when there is none.

    Raises:
        LipwrightError: the series have different shapes.
    """
    if a.shape != b.shape:
        raise LipwrightError(
            f"landmarks of {a.shape} and {b.shape} cannot be compared; match their times first."
        )
    known = np.isfinite(a).all(axis=(1, 2)) & np.isfinite(b).all(axis=(1, 2))
    if not known.any():
        return float("nan"), float("nan")
    x, y = (v[known] - v[known].mean(axis=1, keepdims=True) for v in (a, b))
    distance = np.linalg.norm(x - y, axis=2)
    return float(distance.sum(axis=1).mean()), float(distance.mean())


class Lmd(Metric):
    """LMD of the mouth on matched frames."""

    infos = (SUM, POINT)

    def finish(self, out: ClipResult) -> None:
        """Sum and mean per point."""
        result, real = self.clip.matched("lips")
        total, point = lmd(mouth_points(real), mouth_points(result))
        out.result |= {SUM.name: total, POINT.name: point}
