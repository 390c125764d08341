"""Hinge losses of the PatchGAN discriminator, and VQGAN's adaptive generator weight.

Source: Esser et al., "Taming Transformers" (CVPR 2021), equation 7 and the published constants
(0.8, 1e-4, 1e4).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """0.5 * (mean relu(1 - D(real)) + mean relu(1 + D(fake)))."""
    return 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean())


def generator_hinge(fake: Tensor) -> Tensor:
    """-mean D(fake)."""
    return -fake.mean()


def adaptive_weight(
    reconstruction: Tensor, adversarial: Tensor, last: Tensor, factor: float = 0.8
) -> Tensor:
    """Ratio of the gradients of reconstruction and adversary at the decoder's last weight.

    Both gradients are taken with respect to ``last``; the ratio is clamped to [0, 1e4] and carries
    no gradient.
    """
    g_rec = torch.autograd.grad(reconstruction, last, retain_graph=True)[0]
    g_adv = torch.autograd.grad(adversarial, last, retain_graph=True)[0]
    ratio = g_rec.norm() / (g_adv.norm() + 1e-4)
    weight: Tensor = factor * ratio.clamp(0.0, 1e4).detach()
    return weight
