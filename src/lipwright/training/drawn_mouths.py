"""What the first stage makes of a mouth: the degradations that the restorer learns to undo.

Not blur and noise in general, but what VQ lip-sync really does: the crop goes through the
Face-VQGAN; what the VQGAN lost comes back as a mean of that of other frames of the person, weighted
by how alike their lips are (the kernel mixture of the gallery generator, without its alignment);
the result is laid into the frame with a soft mask and encoded.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lipwright.face_regions import MOUTH_ELLIPSE, MOUTH_WINDOW
from lipwright.geometry import smoothstep

KERNEL = 0.012
"""Distance of lip points, in parts of the crop, at which a frame's weight has fallen to exp(-1/2).
"""
CODEC = (60, 96)
"""Range of the JPEG quality that stands for the codec."""


def kernel_weights(lips: Tensor, others: Tensor) -> Tensor:
    """Weights of other frames by how alike their lips are.

    Args:
        lips: (B, P, 2) of the frame.
        others: (B, M, P, 2).

    Returns:
        (B, M), sum 1.
    """
    apart = (others - lips.unsqueeze(1)).square().sum(3).mean(2)
    return (-0.5 * apart / KERNEL**2).softmax(1)


def copy_side(size: int) -> int:
    """F: pixels a side of a mouth window as it is mixed, for crops of ``size`` pixels."""
    return 2 * round(size * (MOUTH_WINDOW[2] - MOUTH_WINDOW[0]))


@torch.no_grad()
def drawn_mouths(
    copies: Tensor,
    of_others: Tensor,
    weights: Tensor,
    windows: Tensor,
    other_windows: Tensor,
    size: int,
) -> Tensor:
    """Mouth windows as the first stage draws them, with the source around the lips.

    Args:
        copies: (B, 3, F, F) in [-1, 1], the mouth windows after the Face-VQGAN.
        of_others: (B, M, 3, F, F) those of other frames of the same people.
        weights: (B, M) of :func:`kernel_weights`.
        windows: (B, 3, W, W) the mouth windows of the crops, sharp.
        other_windows: (B, M, 3, W, W) those of the others.
        size: S, side of the result.

    Returns:
        (B, 3, S, S) in [-1, 1].
    """
    fine = copies.shape[-1]
    sharp = resized(other_windows.flatten(0, 1), fine).reshape(of_others.shape)
    residual = (weights[:, :, None, None, None] * (sharp - of_others)).sum(1)
    made = resized((copies + residual).clamp(-1, 1), size)
    mask = lip_mask(size, copies.device)
    return mask * made + (1 - mask) * resized(windows, size)


def lip_mask(size: int, device: torch.device | str = "cpu") -> Tensor:
    """(1, 1, S, S) in [0, 1]: where the first stage replaces the source."""
    left, top, right, bottom = MOUTH_WINDOW
    x = left + (torch.arange(size, device=device) + 0.5) / size * (right - left)
    y = top + (torch.arange(size, device=device) + 0.5) / size * (bottom - top)
    cx, cy, across, down = MOUTH_ELLIPSE
    distance = torch.hypot((x[None, :] - cx) / across, (y[:, None] - cy) / down)
    return smoothstep(((1.15 - distance) / 0.3).clamp(0.0, 1.0))[None, None]


def encoded(pictures: Tensor, rng: np.random.Generator, share: float) -> Tensor:
    """(B, 3, S, S) in [-1, 1], a share of them through a codec of random quality."""
    made = []
    for picture in pictures:
        if rng.random() >= share:
            made.append(picture)
            continue
        quality = int(rng.integers(*CODEC))
        eight: NDArray[np.uint8] = (
            ((picture.permute(1, 2, 0).cpu().numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)
        )
        _, data = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, quality])
        back = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32) / 127.5 - 1
        made.append(torch.from_numpy(back).permute(2, 0, 1).to(picture))
    return torch.stack(made)


def resized(pictures: Tensor, side: int) -> Tensor:
    """(B, C, h, h) -> (B, C, side, side), smoothed where it becomes smaller."""
    if pictures.shape[-1] == side:
        return pictures
    smaller = side < pictures.shape[-1]
    return F.interpolate(
        pictures, size=(side, side), mode="bilinear", align_corners=False, antialias=smaller
    )
