"""Losses on code grids: L1 between code vectors, cross-entropy over codebook entries.

Gupta et al. (WACV 2023, section 3.1) train the generator with L1 in code space. Averaging codes is
what L1 rewards when the sound leaves the mouth open to doubt, and an average of codes is no code;
cross-entropy over the entries keeps the alternatives apart. Both may be used together.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lipwright.face_regions import CODE_CELLS, MOUTH_BOX, pixel_box


def cell_weights(
    mouth: float, lower: float, upper: float, device: torch.device | str = "cpu"
) -> Tensor:
    """(16, 16) weights of code cells: mouth box, rest of the lower half, upper half; mean 1."""
    w = torch.full((CODE_CELLS, CODE_CELLS), upper, device=device)
    w[CODE_CELLS // 2 :] = lower
    left, top, right, bottom = pixel_box(MOUTH_BOX, CODE_CELLS)
    w[top:bottom, left:right] = mouth
    return w / w.mean()


def code_l1(codes: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """mean(weight * |codes - target|) over (B, D, 16, 16) codes of unit component variance."""
    return ((codes - target).abs().mean(1) * weight).mean()


def code_cross_entropy(logits: Tensor, indices: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean cross-entropy of (B, N, 16, 16) logits against (B, 16, 16) indices."""
    each = F.cross_entropy(logits.float(), indices, reduction="none")
    return (each * weight).mean()
