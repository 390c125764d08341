"""Jitter of aligned crops: shift, scale, turn, mirror, light and colour, on any device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Jitter:
    """Half-ranges of the random changes; all zero gives the plain centre crop.

    Attributes:
        shift: in parts of the crop side.
        scale: relative.
        turn: in degrees.
        flip: probability of mirroring.
        brightness, contrast, saturation: relative.
    """

    shift: float = 0.03
    scale: float = 0.05
    turn: float = 3.0
    flip: float = 0.5
    brightness: float = 0.12
    contrast: float = 0.12
    saturation: float = 0.2


NONE = Jitter(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def crop_batch(
    frames: Tensor,
    size: int,
    jitter: Jitter = NONE,
    rng: np.random.Generator | None = None,
    group: int = 1,
    lower: bool = False,
) -> Tensor:
    """Cut (B, 3, size, size) float crops in [-1, 1] out of (B, C, C, 3) uint8 frames.

    Args:
        frames: with a margin round the crop, on any device.
        size: side of the crop; the centre crop when ``jitter`` is none.
        jitter: the ranges.
        rng: randomness; needed unless jitter is none.
        group: that many consecutive frames get the same change (frames of one window).
        lower: cut the lower half only, (B, 3, size - size // 2, size), for half the work.
    """
    b, c = frames.shape[0], frames.shape[1]
    x = frames.permute(0, 3, 1, 2).float() / 127.5 - 1.0
    if jitter == NONE or rng is None:
        m = (c - size) // 2
        first = m + size // 2 if lower else m
        return x[:, :, first : m + size, m : m + size].contiguous()
    n = b // group

    def draw(half: float) -> Tensor:
        v = torch.from_numpy(rng.uniform(-half, half, n).astype(np.float32))
        return v.repeat_interleave(group).to(frames.device)

    scale = (1.0 + draw(jitter.scale)) * size / c
    angle = draw(jitter.turn * math.pi / 180.0)
    mirror = torch.from_numpy(np.where(rng.random(n) < jitter.flip, -1.0, 1.0).astype(np.float32))
    mirror = mirror.repeat_interleave(group).to(frames.device)
    theta = torch.zeros(b, 2, 3, device=frames.device)
    theta[:, 0, 0] = scale * angle.cos() * mirror
    theta[:, 0, 1] = -scale * angle.sin()
    theta[:, 1, 0] = scale * angle.sin() * mirror
    theta[:, 1, 1] = scale * angle.cos()
    theta[:, 0, 2] = 2.0 * draw(jitter.shift) * size / c
    theta[:, 1, 2] = 2.0 * draw(jitter.shift) * size / c
    height = size
    if lower:  # the part [1 - share, 1] of each column, in units that run from -1 to 1
        height = size - size // 2
        share = height / size
        theta[:, :, 2] += theta[:, :, 1] * (1.0 - share)
        theta[:, :, 1] *= share
    grid = F.affine_grid(theta, [b, 3, height, size], align_corners=False)
    y = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return recolour(y, *(draw(v) for v in (jitter.brightness, jitter.contrast, jitter.saturation)))


def recolour(x: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Change light and colour of (B, 3, S, S) images in [-1, 1]; each change is (B,), relative."""
    v = (slice(None), None, None, None)
    x = (x + 1.0) * 0.5 * (1.0 + brightness[v])
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = mean + (x - mean) * (1.0 + contrast[v])
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * (1.0 + saturation[v])
    return (x.clamp(0.0, 1.0) * 2.0 - 1.0).contiguous()
