"""CPBD: cumulative probability of blur detection (Narvekar and Karam, IEEE TIP 2011).

A picture is cut into 64 x 64 blocks. In blocks where more than 0.2 % of the pixels are edges, every
edge pixel's width is measured along the row (Marziliano et al., 2004): the distance between the
local extremes of brightness left and right of it. The probability that such an edge looks blurred
is ``1 - exp(-(width / w_JNB)^3.6)``, with the just noticeable width 5 px in blocks of contrast up
to 50 and 3 px above. CPBD is the share of edges with a probability of at most 0.63: 1 is sharp.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.base import (
    ClipPair,
    ClipResult,
    Metric,
    MetricInfo,
    Moment,
    mean,
)

BLOCK = 64
EDGE_SHARE = 0.002
BETA = 3.6
DETECTED = 0.63
INFO = MetricInfo(
    "cpbd",
    "CPBD",
    "Narvekar and Karam, IEEE TIP 2011",
    "adapted",
    "real",
    "edges by OpenCV's Canny (100, 200) with a mainly horizontal gradient; on the aligned 224 px "
    "crop, every fifth frame. The crop is resampled, so values compare within one table only",
    digits=3,
    paired=False,
)


def edge_widths(grey: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edge pixels and their widths.

    Args:
        grey: (H, W) uint8.

    Returns:
        (E, 2) row and column of each measured edge pixel, and (E,) its width in px.
    """
    gx = cv2.Sobel(grey, cv2.CV_64F, 1, 0)
    gy = cv2.Sobel(grey, cv2.CV_64F, 0, 1)
    edges = (cv2.Canny(grey, 100, 200) > 0) & (np.abs(gx) >= np.abs(gy)) & (gx != 0)
    where = np.argwhere(edges)
    values = grey.astype(np.int64)
    widths = np.zeros(len(where), np.int64)
    for n, (y, x) in enumerate(where):
        row, sign = values[y], 1 if gx[y, x] > 0 else -1
        left, right = int(x), int(x)
        # Outwards as long as brightness keeps falling on one side and rising on the other.
        while left > 0 and sign * (row[left] - row[left - 1]) > 0:
            left -= 1
        while right < len(row) - 1 and sign * (row[right + 1] - row[right]) > 0:
            right += 1
        widths[n] = right - left
    return where, widths


def cpbd(grey: NDArray[np.uint8]) -> float:
    """Sharpness in [0, 1]; NaN where no block has enough edges.

    Args:
        grey: (H, W) uint8 brightness, at least one block of 64 x 64.

    Raises:
        LipwrightError: smaller than a block or not 8-bit grey.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8:
        raise LipwrightError(f"CPBD wants an 8-bit grey picture, not {grey.dtype} {grey.shape}.")
    if min(grey.shape) < BLOCK:
        raise LipwrightError(f"CPBD needs a picture of at least {BLOCK} px, not {grey.shape}.")
    where, widths = edge_widths(grey)
    sharp = total = 0
    for top in range(0, grey.shape[0] - BLOCK + 1, BLOCK):
        for left in range(0, grey.shape[1] - BLOCK + 1, BLOCK):
            inside = (
                (where[:, 0] >= top)
                & (where[:, 0] < top + BLOCK)
                & (where[:, 1] >= left)
                & (where[:, 1] < left + BLOCK)
            )
            if int(inside.sum()) <= EDGE_SHARE * BLOCK * BLOCK:
                continue
            block = grey[top : top + BLOCK, left : left + BLOCK]
            noticeable = 5.0 if int(block.max()) - int(block.min()) <= 50 else 3.0
            blurred = 1.0 - np.exp(-((widths[inside] / noticeable) ** BETA))
            sharp += int((blurred <= DETECTED).sum())
            total += int(inside.sum())
    return sharp / total if total else float("nan")


class Cpbd(Metric):
    """CPBD of both sides, every fifth frame."""

    infos = (INFO,)
    every = 5

    def __init__(self, clip: ClipPair) -> None:
        super().__init__(clip)
        self._values: list[tuple[float, float]] = []

    def add(self, moment: Moment) -> None:
        """Measure both crops."""
        grey = [
            np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)
            for crop in (moment.crops.real, moment.crops.result)
        ]
        self._values.append((cpbd(grey[0]), cpbd(grey[1])))

    def finish(self, out: ClipResult) -> None:
        """Means of both sides."""
        out.real[INFO.name] = mean([real for real, _ in self._values])
        out.result[INFO.name] = mean([result for _, result in self._values])
