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


def balanced(
    made: Tensor, last: Tensor, reconstruction: Tensor, adversarial: Tensor, factor: float = 0.8
) -> tuple[Tensor, Tensor]:
    """Reconstruction plus weighted adversary, each network passed backwards once.

    The weight is the ratio of the norms of both losses' gradients at ``last``, clamped to [0, 1e4]
    and without a gradient. The norms would ask for a pass of their own through everything behind
    the picture; here the gradients with respect to the picture are taken first, and the norms and
    the gradients of the generator follow from them.

    Args:
        made: the generator's picture, which both losses come from.
        last: the weight at which gradients are compared; part of what ``made`` comes from.
        reconstruction: sum of the other losses; they may depend on the generator by ``made`` alone.
        adversarial: the generator's loss.
        factor: of the weight.

    Returns:
        The loss to be minimised, and the weight.
    """
    at_made = [torch.autograd.grad(loss, made)[0] for loss in (reconstruction, adversarial)]
    g_rec, g_adv = (torch.autograd.grad(made, last, g, retain_graph=True)[0] for g in at_made)
    weight = _weight(g_rec, g_adv, factor)
    value = (reconstruction + weight * adversarial).detach()
    # Of no value, but with the gradient that is wanted.
    carrier = ((made - made.detach()) * (at_made[0] + weight * at_made[1])).sum()
    return value + carrier, weight


def _weight(reconstruction: Tensor, adversarial: Tensor, factor: float) -> Tensor:
    """From the gradients of both at one weight."""
    ratio = reconstruction.norm() / (adversarial.norm() + 1e-4)
    weight: Tensor = factor * ratio.clamp(0.0, 1e4).detach()
    return weight
