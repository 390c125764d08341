"""Pixel reconstruction: L1 with a weight map, and L1 of image gradients.

VQGAN uses plain L1 (the loss ``|x - x^|`` of the published code). Lips, teeth and chin are a small
part of a face crop and the part that lip-sync must get right, so the small configurations weight
the mouth box (``mouth_weight``, 1 gives the plain loss) and add an L1 of finite differences, which
asks for edges instead of their average.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lipwright.face_regions import LOWER_FACE, MOUTH_BOX, pixel_box
from lipwright.geometry import smoothstep

# The weight of the lower face falls between these two multiples of its ellipse.
LOWER_FACE_BEGIN, LOWER_FACE_END = 0.7, 1.2


def mouth_weight_map(size: int, weight: float, device: torch.device | str = "cpu") -> Tensor:
    """(1, 1, S, S) map: ``weight`` inside the mouth box, 1 outside, scaled to mean 1."""
    left, top, right, bottom = pixel_box(MOUTH_BOX, size)
    m = torch.ones(1, 1, size, size, device=device)
    m[..., top:bottom, left:right] = weight
    return m / m.mean()


def lower_face_map(size: int, weight: float, device: torch.device | str = "cpu") -> Tensor:
    """(1, 1, S, S) map: ``weight`` on lips, cheeks and chin, falling smoothly to 1 around them,
    scaled to mean 1. Unlike the box it has no outline that a network could learn to draw.
    """
    place = (torch.arange(size, device=device) + 0.5) / size
    across, down = (place - LOWER_FACE[0]) / LOWER_FACE[2], (place - LOWER_FACE[1]) / LOWER_FACE[3]
    distance = torch.hypot(across[None, :], down[:, None])
    ramp = ((LOWER_FACE_END - distance) / (LOWER_FACE_END - LOWER_FACE_BEGIN)).clamp(0.0, 1.0)
    m = 1.0 + (weight - 1.0) * smoothstep(ramp)
    return (m / m.mean())[None, None]


def weighted_l1(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """mean(weight * |x - y|); ``weight`` broadcasts over (B, 3, S, S)."""
    return ((x - y).abs() * weight).mean()


def gradient_l1(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Weighted L1 between horizontal and vertical finite differences of (B, 3, S, S) images."""
    d = x - y
    dx = (d[..., :, 1:] - d[..., :, :-1]).abs() * weight[..., :, 1:]
    dy = (d[..., 1:, :] - d[..., :-1, :]).abs() * weight[..., 1:, :]
    return dx.mean() + dy.mean()
