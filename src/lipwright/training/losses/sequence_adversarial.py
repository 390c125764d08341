"""Binary cross-entropy on one probability per sequence (Goodfellow et al., NeurIPS 2014).

Chen et al. (CVPR 2019) average the scores of a sequence's frames before the sigmoid; the generator
maximises log D (the non-saturating form).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST = 1e-6


def sequence_bce(probability: Tensor, real: bool) -> Tensor:
    """-log p for real, -log(1 - p) for drawn sequences, mean over (B,); finite for 0 and 1."""
    p = probability.clamp(_LEAST, 1.0 - _LEAST)
    return F.binary_cross_entropy(p, torch.full_like(p, float(real)))
