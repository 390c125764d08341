"""Aligning: audio should address the slots that the lips address.

Park et al. (AAAI 2022): ``L_align = KL(A_lip || A_aud) = sum_i A_lip,i log(A_lip,i / A_aud,i)``.
The direction matters: slots that the lips use and audio does not cost much, the other way round
little.
"""

from __future__ import annotations

from torch import Tensor

from lipwright.models.memory import SMALLEST


def align_loss(lips: Tensor, audio: Tensor) -> Tensor:
    """Mean over rows of KL(lips || audio) of (N, S) addresses, in nats; 0 only where they agree."""
    p, q = lips.float(), audio.float()
    return (p * ((p + SMALLEST).log() - (q + SMALLEST).log())).sum(-1).mean()
