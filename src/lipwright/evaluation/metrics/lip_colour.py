"""Lip colour: does the person keep the colour of their lips?

Mean CIELAB colour between the outer and the inner lip contour, real against result, as the CIE
1976 difference (about 2 is just visible). Frames where a mouth was not found are left out.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.metrics.base import MeanMetric, MetricInfo, Moment
from lipwright.faces.measure import INNER_LIPS, OUTER_LIPS

INFO = MetricInfo(
    "lip_colour",
    "lip colour",
    "CIE 1976 colour difference of mean lip colours",
    "own",
    "low",
    "a measure of this project",
    "dE",
    1,
)


def lip_colour(image: NDArray[np.uint8], lips: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean CIELAB colour of the lips, the open mouth left out.

    Args:
        image: (S, S, 3) RGB.
        lips: (40, 2) contours in parts of S: inner ring, then outer.

    Returns:
        (3,) L in [0, 100], a, b; NaN when the lips cover no pixel.
    """
    size = image.shape[0]
    if not np.isfinite(lips).all():
        return np.full(3, np.nan)
    points = np.round(lips * size - 0.5).astype(np.int32)
    inner, outer = points[: len(INNER_LIPS)], points[len(INNER_LIPS) :][: len(OUTER_LIPS)]
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [outer], 1)
    cv2.fillPoly(mask, [inner], 0)
    if not mask.any():
        return np.full(3, np.nan)
    lab = cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return np.asarray(lab[mask > 0].mean(axis=0), dtype=np.float64)


def colour_difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """CIE 1976 difference of two CIELAB colours; NaN when one is unknown."""
    return float(np.linalg.norm(a - b))


class LipColour(MeanMetric):
    """Colour difference of the lips, frames where both mouths were found."""

    infos = (INFO,)

    def value(self, moment: Moment) -> float:
        """See :func:`colour_difference`."""
        crops, ours, theirs = moment.crops, self.clip.result.series, self.clip.real.series
        if not ours.found[crops.partner]:
            return float("nan")
        return colour_difference(
            lip_colour(crops.real, theirs.lips[crops.index]),
            lip_colour(crops.result, ours.lips[crops.partner]),
        )
