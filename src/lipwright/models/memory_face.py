"""Identity encoder and decoder of the Audio-Lip Memory: who speaks, and how the mouth is drawn.

Park et al. (AAAI 2022): a full reference face and the target face with the mouth hidden, stacked,
go through an encoder whose maps of every size meet the decoder's (U-Net), so that identity and
pose stay; the lip feature and the audio feature, concatenated, enter at the bottleneck. Layers and
widths are ours: no source reached gives them. Three options of ours, off in the configuration
``paper``:

* ``modulate``: lip and audio features also scale and shift the normalised maps of every level. With
  little training, what enters at the bottleneck alone drowns in the skips.
* ``lower``: the decoder draws the lower half only. The upper half is the target's own, which is an
  input, so that drawing it is copying it; half of the cost is saved.
* ``residual``: what is drawn is a change of the reference. Skin, beard and light are there from the
  first step on, and so is a mouth: see docs/methods/memory.md for why it is not the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.face_regions import (
    HIDDEN_MOUTH_BOX,
    blank_lower_half,
    lower_half,
    pixel_box,
)
from lipwright.models.layers import Downsample, FiLM, ResidualBlock, norm


class IdentityEncoder(nn.Module):
    """Reference and masked target to maps of every size.

    Args:
        size: side S of the crop.
        channels: widths of the levels, finest first; each further one halves the side.
        patch: side of the squares folded into channels first.
        blocks: residual blocks per level.
        groups: of the normalisation.
        blind: ours; the reference's mouth is hidden too, so that there is none to copy.
    """

    def __init__(
        self,
        size: int = 128,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        patch: int = 1,
        blocks: int = 1,
        groups: int = 8,
        blind: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.patch, self.blind = size, patch, blind
        self.stem = nn.Conv2d(6 * patch * patch, channels[0], 3, padding=1)
        self.levels = nn.ModuleList()
        for i, c in enumerate(channels):
            parts: list[nn.Module] = []
            if i:
                parts += [Downsample(channels[i - 1])]
                if channels[i - 1] != c:
                    parts += [nn.Conv2d(channels[i - 1], c, 1)]
            parts += [ResidualBlock(c, c, groups) for _ in range(blocks)]
            self.levels.append(nn.Sequential(*parts))

    def forward(self, target: Tensor, reference: Tensor) -> list[Tensor]:
        """Encode.

        Args:
            target: (B, 3, S, S) in [-1, 1]; its lower half is blanked here and never seen.
            reference: (B, 3, S, S) in [-1, 1], another moment of this face, whole.

        Returns:
            Maps of S/patch, S/(2 patch), ... cells, finest first.
        """
        if self.blind:
            left, top, right, bottom = pixel_box(HIDDEN_MOUTH_BOX, self.size)
            seen = torch.ones_like(reference)
            seen[:, :, top:bottom, left:right] = 0.0
            reference = reference * seen + seen - 1.0
        x = torch.cat([reference, blank_lower_half(target)], dim=1)
        x = self.stem(F.pixel_unshuffle(x, self.patch) if self.patch > 1 else x)
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps


class Modulated(nn.Module):
    """Residual block whose normalised maps are scaled and shifted by a condition (or not).

    Shapes: (B, c_in, h, w) and (B, D) -> (B, c_out, h, w).
    """

    def __init__(self, c_in: int, c_out: int, condition: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm = norm(c_out, groups)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.skip = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)
        self.affine = FiLM(condition, c_out) if condition else None
        if self.affine is not None:
            nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return the block's output, same height and width."""
        h = self.norm(self.conv1(F.silu(x)))
        if self.affine is not None:
            h = self.affine.modulate(h, condition)
        out: Tensor = self.skip(x) + self.conv2(F.silu(h))
        return out


class FaceDecoder(nn.Module):
    """Lip feature, audio feature and identity maps to a face.

    Args:
        size: side S of the crop.
        lip_dim, audio_dim: lengths of the two features.
        encoder: widths of the identity encoder's levels, finest first.
        channels: widths of the decoder's levels, finest first, as many.
        patch: as in the encoder.
        blocks: modulated blocks per level.
        groups: of the normalisation.
        modulate, lower, residual: see above.
    """

    def __init__(
        self,
        size: int = 128,
        lip_dim: int = 512,
        audio_dim: int = 512,
        encoder: Sequence[int] = (16, 32, 64, 128, 256, 512),
        channels: Sequence[int] = (64, 64, 128, 256, 384, 512),
        patch: int = 1,
        blocks: int = 1,
        groups: int = 8,
        modulate: bool = False,
        lower: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if len(encoder) != len(channels):
            raise ValueError("encoder and decoder need equally many levels")
        side = size // patch >> (len(channels) - 1)
        if side << (len(channels) - 1) != size // patch or side % 2:
            raise ValueError(f"a crop of {size} px cannot be halved so often")
        self.size, self.patch, self.lower, self.residual = size, patch, lower, residual
        self.cells = (side // 2 if lower else side, side)
        condition = lip_dim + audio_dim
        self.spread = nn.Linear(condition, channels[-1] * self.cells[0] * self.cells[1])
        predicted = condition if modulate else 0
        self.levels = nn.ModuleList()
        below = channels[-1]
        for e, c in zip(reversed(encoder), reversed(channels), strict=True):
            sizes = [below + e, *[c] * (blocks - 1)]
            self.levels.append(nn.ModuleList(Modulated(n, c, predicted, groups) for n in sizes))
            below = c
        self.head = nn.Conv2d(below, 3 * patch * patch, 3, padding=1)
        if residual:  # begin with the reference itself
            nn.init.normal_(self.head.weight, 0.0, 1e-3)
            nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(
        self, lips: Tensor, audio: Tensor, maps: Sequence[Tensor], reference: Tensor
    ) -> Tensor:
        """Draw.

        Args:
            lips: (B, C) lip feature, recalled or true.
            audio: (B, C_aud) audio feature.
            maps: what :class:`IdentityEncoder` gives.
            reference: (B, 3, S, S) in [-1, 1], which it was given.

        Returns:
            (B, 3, S/2, S) with ``lower``, else (B, 3, S, S), in [-1, 1].
        """
        condition = torch.cat([lips, audio], dim=1)
        x: Tensor = self.spread(condition).unflatten(1, (-1, *self.cells))
        for i, there in enumerate(reversed(maps)):
            if i:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            half = lower_half(there) if self.lower else there
            x = torch.cat([x, half], dim=1)
            for block in cast(nn.ModuleList, self.levels[i]):
                x = block(x, condition)
        x = torch.tanh(self.head(F.silu(x)))
        x = F.pixel_shuffle(x, self.patch) if self.patch > 1 else x
        if self.residual:
            start = lower_half(reference) if self.lower else reference
            x = (start + 2.0 * x).clamp(-1.0, 1.0)
        return x
