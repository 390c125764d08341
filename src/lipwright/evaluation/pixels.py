"""Pixel measures on aligned face crops: PSNR, SSIM, flicker, lip colour.

SSIM is scikit-image's with Gaussian weights (sigma 1.5), ``use_sample_covariance=False``, data
range 255, mean over the three channels: the settings of Wang et al. (2004).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.faces.measure import INNER_LIPS, OUTER_LIPS

Image = NDArray[np.uint8]


def psnr(a: Image, b: Image) -> float:
    """Peak signal-to-noise ratio in dB over all channels; infinite for equal pictures."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def ssim(a: Image, b: Image) -> float:
    """Structural similarity in [-1, 1].

    Raises:
        LipwrightError: scikit-image is not installed.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise LipwrightError(
            "SSIM needs scikit-image; install lipwright[dev] or leave the metric out."
        ) from error
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


def lip_colour(image: Image, lips: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean CIELAB colour of the lips, the open mouth left out.

    Args:
        image: (S, S, 3) RGB.
        lips: (40, 2) contours in parts of S: inner ring, then outer.

    Returns:
        (3,) L in [0, 100], a, b; NaN when the lips cover no pixel.
    """
    size = image.shape[0]
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
    """CIE 1976 difference of two CIELAB colours."""
    return float(np.linalg.norm(a - b))


def flicker(frames: NDArray[np.uint8]) -> float:
    """Mean absolute second difference in time of (T, h, w, 3) frames; NaN with fewer than 3."""
    if len(frames) < 3:
        return float("nan")
    x = frames.astype(np.int16)
    return float(np.abs(x[2:] - 2 * x[1:-1] + x[:-2]).mean())
