"""Visual-visual sync: drawn mouths should mean to the lip encoder what the true ones mean.

Park et al. (AAAI 2022): ``L_vv = mean |E_lip(drawn) - E_lip(true)|_1``, the lip encoder doubling as
visual sync module. It is only a yardstick here: were it trained by this loss, it could lower it by
telling all mouths alike.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call


def visual_visual_loss(encoder: nn.Module, drawn: Tensor, true: Tensor) -> Tensor:
    """Mean absolute difference of features.

    Args:
        encoder: the lip encoder; its parameters get no gradient.
        drawn: (B, 5, 3, S, S) in [-1, 1].
        true: (B, C) features of the true windows; no gradient either.
    """
    fixed = {name: value.detach() for name, value in encoder.named_parameters()}
    # Copies: what the encoder follows during training is not to follow drawn mouths.
    fixed |= {name: value.clone() for name, value in encoder.named_buffers()}
    found: Tensor = functional_call(encoder, fixed, (drawn,))
    return (found.float() - true.detach().float()).abs().mean()
