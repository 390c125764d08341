"""PSNR: peak signal-to-noise ratio of two 8-bit pictures.

``10 log10(255^2 / mean((a - b)^2))`` over all pixels and channels. The difference is taken in
float64: subtracting 8-bit arrays wraps round, which the evaluation script of ATVGnet does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.metrics.base import MeanMetric, MetricInfo, Moment, same_images

CEILING = 60.0
"""What a clip's mean counts for identical pictures, whose PSNR is infinite."""
INFO = MetricInfo(
    "psnr",
    "PSNR",
    "standard definition, RGB, peak 255",
    "adapted",
    "high",
    "on the aligned 224 px face crop; mean over frames of min(PSNR, 60 dB)",
    "dB",
    1,
    protocols=("reconstruction",),
)


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """PSNR in dB of two uint8 pictures of equal shape; infinite for equal pictures.

    Raises:
        LipwrightError: other shapes or no pixels.
    """
    same_images(a, b)
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


class Psnr(MeanMetric):
    """PSNR of the aligned crops, mean over frames of min(PSNR, 60 dB)."""

    infos = (INFO,)

    def value(self, moment: Moment) -> float:
        """See :func:`psnr`."""
        return min(psnr(moment.crops.real, moment.crops.result), CEILING)
