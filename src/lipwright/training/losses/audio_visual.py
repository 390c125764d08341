"""Audio-visual sync: a frozen expert should take the drawn mouth for that of the speech.

Park et al. (AAAI 2022): ``L_av = -mean log d(F_a(audio), F_v(frames))`` with the cosine d of a
pretrained expert of five frames (Wav2Lip's), whose vectors are not negative. With labels all 1 this
is the binary cross-entropy of :mod:`~lipwright.training.losses.sync`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lipwright.training.losses.sync import sync_loss


def audio_visual_loss(cosine: Tensor) -> Tensor:
    """-mean log of (B,) cosines in [0, 1]; finite at 0."""
    return sync_loss(cosine, torch.ones_like(cosine))
