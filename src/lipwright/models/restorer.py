"""The restorer: a drawn mouth and aligned frames of the person to a sharp mouth.

The second stage of Gupta et al. (WACV 2023, section 3.2) is GPEN (Yang et al., CVPR 2021): an
encoder of the degraded face whose features steer a pretrained generator of faces. At a size that
two cores run there is no such generator; what it would know of faces in general, the person's own
frames know better. So the decoder is conditioned on reference windows that have been brought onto
the drawn lips: an encoder of the degraded window asks, at every place, how much of each reference
to take (or of none), as GFPGAN (Wang et al., CVPR 2021) modulates its decoder by features at the
same place. The network works at the size of the degraded window and ends with a pixel shuffle.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.layers import ResidualBlock, norm


class Restorer(nn.Module):
    """Degraded window and references to a window with ``scale`` times the pixels.

    Args:
        scale: k.
        width: channels at the size of the input; twice as many at half of it.
        blocks: residual blocks of the encoder and, as many, of the decoder.
        groups: of the normalisations.
    """

    def __init__(self, scale: int = 3, width: int = 48, blocks: int = 3, groups: int = 8) -> None:
        super().__init__()
        self.scale = scale
        fine = 3 * scale**2
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.reference_stem = nn.Conv2d(fine, width, 3, padding=1)
        self.reference_block = ResidualBlock(width, width, groups)
        self.query = nn.Conv2d(width, width, 1)
        self.key = nn.Conv2d(width, width, 1)
        self.nothing = nn.Parameter(torch.zeros(1, 1, 1, 1))
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.encoder = nn.Sequential(
            *(ResidualBlock(2 * width, 2 * width, groups) for _ in range(blocks))
        )
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.merge = nn.Conv2d(3 * width, width, 1)
        self.decoder = nn.Sequential(*(ResidualBlock(width, width, groups) for _ in range(blocks)))
        self.norm = norm(width, groups)
        self.last = nn.Conv2d(width, fine, 3, padding=1)
        # Before its first step the network enlarges and changes nothing.
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, drawn: Tensor, references: Tensor) -> Tensor:
        """Restore.

        Args:
            drawn: (B, 3, S, S) in [-1, 1], S even.
            references: (B, R, 3, kS, kS) in [-1, 1], aligned; R may be 0.

        Returns:
            (B, 3, kS, kS), not clamped.
        """
        size = (drawn.shape[-2] * self.scale, drawn.shape[-1] * self.scale)
        large = F.interpolate(drawn, size=size, mode="bicubic", align_corners=False)
        near = self.stem(drawn)
        coarse = self.encoder(self.down(near))
        seen = near + self.up(F.interpolate(coarse, scale_factor=2.0))
        x = self.merge(torch.cat([near, seen, self._taken(seen, references)], dim=1))
        fine: Tensor = self.last(F.silu(self.norm(self.decoder(x))))
        return large + F.pixel_shuffle(fine, self.scale)

    def _taken(self, seen: Tensor, references: Tensor) -> Tensor:
        """(B, C, S, S): features of the references, by how they answer the drawn window."""
        b, r = references.shape[:2]
        if r == 0:
            return torch.zeros_like(seen)
        packed = F.pixel_unshuffle(references.flatten(0, 1), self.scale)
        features = self.reference_block(self.reference_stem(packed))
        keys = self.key(features).reshape(b, r, *seen.shape[1:])
        score = (self.query(seen).unsqueeze(1) * keys).sum(2) * seen.shape[1] ** -0.5
        none = self.nothing.expand(b, 1, *seen.shape[2:])
        weight = torch.cat([none, score], dim=1).softmax(1)[:, 1:]
        taken: Tensor = (weight.unsqueeze(2) * features.reshape(b, r, *seen.shape[1:])).sum(1)
        return taken
