"""SSIM: structural similarity (Wang et al., IEEE TIP 2004).

scikit-image's implementation with the paper's settings: Gaussian weights of sigma 1.5 (11 x 11
window), K1 = 0.01, K2 = 0.03, population covariance, data range 255; mean over the three channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError, missing_extra
from lipwright.evaluation.metrics.base import MeanMetric, MetricInfo, Moment, same_images

WINDOW = 11
SETTINGS = "gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, RGB mean"
INFO = MetricInfo(
    "ssim",
    "SSIM",
    "Wang et al., IEEE TIP 2004",
    "adapted",
    "high",
    f"scikit-image: {SETTINGS}; on the aligned 224 px face crop, every fifth frame",
    digits=3,
    protocols=("reconstruction",),
)


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Structural similarity in [-1, 1] of two (H, W, 3) uint8 pictures.

    Raises:
        LipwrightError: other shapes, smaller than the window, or scikit-image is not installed.
    """
    same_images(a, b)
    if min(a.shape[:2]) < WINDOW:
        raise LipwrightError(f"SSIM needs pictures of at least {WINDOW} px, not {a.shape[:2]}.")
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise missing_extra("SSIM", "evaluate") from error
    return float(
        structural_similarity(
            a,
            b,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


class Ssim(MeanMetric):
    """SSIM of the aligned crops of every fifth frame."""

    infos = (INFO,)
    every = 5

    def value(self, moment: Moment) -> float:
        """See :func:`ssim`."""
        return ssim(moment.crops.real, moment.crops.result)
