"""Layers that GFPGAN and GPEN share: convolutions steered by a style vector (StyleGAN2).

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020), section 2.2: the
weights of a convolution are scaled by a style per input channel and brought back to unit norm per
output channel. Here the *input* is scaled and the *output* normalised, which is the same number and
lets every picture of a batch use the same weights.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-8
SLOPE = 0.2


def normed(style: Tensor) -> Tensor:
    """(B, D) of root mean square 1."""
    return style * torch.rsqrt(style.square().mean(1, keepdim=True) + EPSILON)


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """(B, O, 1, 1): one over the norm of each output channel's modulated weights.

    Args:
        weight: (O, I, k, k).
        style: (B, I).
    """
    energy = style.square() @ weight.square().sum((2, 3)).T
    return torch.rsqrt(energy + EPSILON)[:, :, None, None]


def modulated(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool = True) -> Tensor:
    """A modulated convolution that keeps the size.

    Args:
        x: (B, I, H, W).
        weight: (O, I, k, k), k odd.
        style: (B, I).
        demodulate: whether the output is normalised; not for the layers that give colours.

    Returns:
        (B, O, H, W).
    """
    made = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
    return made * demodulation(weight, style) if demodulate else made
