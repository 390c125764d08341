"""Seam step: is there an edge where the drawn face was set in?

The edit is the difference between result and real video in the aligned crop. A soft edge lets it
die away; a hard one leaves a step. Along the rim of the lower-face mask of the real face, the mean
edit just inside (mask 0.5 to 0.9) is compared with that just outside (0.02 to 0.1), per sector of
the rim: the mean absolute difference of their mean colours, in 8-bit steps. 0 has no seam.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.metrics.base import MeanMetric, MetricInfo, Moment, same_images
from lipwright.faces.paste import lower_face_mask

SECTORS = 12
INFO = MetricInfo(
    "seam_step",
    "seam step",
    "this project",
    "own",
    "low",
    "mean colour step of (result - real) across the rim of the lower-face mask, 12 sectors, 8-bit",
    protocols=("reconstruction", "unpaired", "silent"),
)


def seam_step(
    real: NDArray[np.uint8], result: NDArray[np.uint8], mask: NDArray[np.float32]
) -> float:
    """Step of the edit across the rim of a soft mask; NaN when the mask has no rim.

    Args:
        real: (S, S, 3) uint8 aligned crop of the real video.
        result: the same crop of the result.
        mask: (S, S) in [0, 1], where a drawn face would be set in.

    Raises:
        LipwrightError: other shapes.
    """
    same_images(real, result)
    edit = result.astype(np.float64) - real.astype(np.float64)
    inner = (mask >= 0.5) & (mask < 0.9)
    outer = (mask > 0.02) & (mask < 0.1)
    if not inner.any() or not outer.any():
        return float("nan")
    rows, columns = np.indices(mask.shape)
    weight = float(mask.sum())
    cy, cx = float((rows * mask).sum() / weight), float((columns * mask).sum() / weight)
    sector = (np.arctan2(rows - cy, columns - cx) / (2 * np.pi) % 1.0 * SECTORS).astype(int)
    steps = []
    for s in range(SECTORS):
        a, b = inner & (sector == s), outer & (sector == s)
        if a.any() and b.any():
            steps.append(np.abs(edit[a].mean(axis=0) - edit[b].mean(axis=0)).mean())
    return float(np.mean(steps)) if steps else float("nan")


class SeamStep(MeanMetric):
    """Step of the edit across the rim of the lower-face mask, every fifth frame."""

    infos = (INFO,)
    every = 5

    def value(self, moment: Moment) -> float:
        """See :func:`seam_step`."""
        crops = moment.crops
        points = self.clip.real.series.landmarks[crops.index]
        mask = lower_face_mask(points, crops.transform, crops.real.shape[0])
        return seam_step(crops.real, crops.result, mask)
