"""The dynamic pixel-wise loss.

Chen et al. (CVPR 2019): pixels where the network draws count more than those it copies,

    L_pix = mean(|v_t - v_t*| (sg(alpha_t) + beta)),        beta = 0.5.

The attention enters as a weight only (sg: no gradient), or else it could lower the loss by
shrinking.
"""

from __future__ import annotations

from torch import Tensor

BETA = 0.5


def dynamic_pixel_loss(frames: Tensor, target: Tensor, alpha: Tensor, beta: float = BETA) -> Tensor:
    """The loss as a scalar.

    Args:
        frames: (..., 3, S, S) drawn.
        target: the same shape.
        alpha: (..., 1, S, S) in [0, 1]; its gradient is cut here.
        beta: weight of what is only copied.
    """
    return ((frames - target).abs() * (alpha.detach() + beta)).mean()
