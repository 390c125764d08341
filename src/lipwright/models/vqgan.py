"""VQGAN: encoder, codebook, decoder.

Gupta et al. (WACV 2023, section 3.1) train two of these: the Face-VQGAN on whole faces and the
Pose-VQGAN on faces whose lower half is blanked. At their size (base 128 channels, 256 px, f = 16)
the network has exactly 72,141,699 parameters. Smaller sizes change the channel list, the depth and
the stem, never the idea: an image becomes a 16 x 16 grid of codebook entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.cosine_quantiser import CosineQuantiser
from lipwright.models.layers import (
    Downsample,
    Normalise,
    ResidualBlock,
    SpatialAttention,
    Upsample,
    by_own_statistics,
    norm,
    through,
)
from lipwright.models.quantiser import Quantised, VectorQuantiser


def _middle(width: int, attention: bool, groups: int) -> nn.Sequential:
    """What lies between the two directions: a residual block, or two about an attention."""
    blocks: list[nn.Module] = [ResidualBlock(width, width, groups)]
    if attention:
        blocks += [SpatialAttention(width, groups), ResidualBlock(width, width, groups)]
    return nn.Sequential(*blocks)


class Encoder(nn.Module):
    """Image to latent grid.

    Args:
        channels: width of each level, finest first; every step to the next level halves the side.
        blocks: residual blocks per level.
        z_channels: channels of the latent grid.
        attention: self-attention after each block of the coarsest level and in the middle.
        groups: of the group normalisation.
        patch: side of the space-to-depth stem; 1 is the paper's (none), 2 halves the side before
            the first convolution, which costs little quality and saves most of the time on a CPU.
    """

    def __init__(
        self,
        channels: Sequence[int] = (128, 128, 256, 256, 512),
        blocks: int = 2,
        z_channels: int = 256,
        attention: bool = True,
        groups: int = 32,
        patch: int = 1,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.stem = nn.Conv2d(3 * patch * patch, channels[0], 3, padding=1)
        layers: list[nn.Module] = []
        width = channels[0]
        for level, c in enumerate(channels):
            last = level == len(channels) - 1
            for _ in range(blocks):
                layers.append(ResidualBlock(width, c, groups))
                width = c
                if attention and last:
                    layers.append(SpatialAttention(c, groups))
            if not last:
                layers.append(Downsample(c))
        self.down = nn.Sequential(*layers)
        self.middle = _middle(width, attention, groups)
        self.norm = norm(width, groups)
        self.head = nn.Conv2d(width, z_channels, 3, padding=1)

    def forward(self, x: Tensor, normalise: Normalise = by_own_statistics) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, z, S/f, S/f)."""
        if self.patch > 1:
            x = F.pixel_unshuffle(x, self.patch)
        return self.of_patches(x, normalise)

    def of_patches(self, x: Tensor, normalise: Normalise) -> Tensor:
        """What follows the space-to-depth stem, for the whole picture or a part of it."""
        h = through([self.stem, *self.down, *self.middle], x, normalise)
        out: Tensor = self.head(F.silu(normalise(self.norm, h)))
        return out


class Decoder(nn.Module):
    """Latent grid to image; the mirror of :class:`Encoder` with one more block per level."""

    def __init__(
        self,
        channels: Sequence[int] = (128, 128, 256, 256, 512),
        blocks: int = 3,
        z_channels: int = 256,
        attention: bool = True,
        groups: int = 32,
        patch: int = 1,
    ) -> None:
        super().__init__()
        self.patch = patch
        width = channels[-1]
        self.stem = nn.Conv2d(z_channels, width, 3, padding=1)
        self.middle = _middle(width, attention, groups)
        layers: list[nn.Module] = []
        for level, c in enumerate(reversed(channels)):
            for _ in range(blocks):
                layers.append(ResidualBlock(width, c, groups))
                width = c
                if attention and level == 0:
                    layers.append(SpatialAttention(c, groups))
            if level < len(channels) - 1:
                layers.append(Upsample(c))
        self.up = nn.Sequential(*layers)
        self.norm = norm(width, groups)
        self.head = nn.Conv2d(width, 3 * patch * patch, 3, padding=1)

    def forward(self, z: Tensor, normalise: Normalise = by_own_statistics) -> Tensor:
        """(B, z, h, w) -> (B, 3, h*f, w*f); not clamped."""
        h = through([self.stem, *self.middle, *self.up], z, normalise)
        return self.picture(h, normalise)

    def picture(self, h: Tensor, normalise: Normalise) -> Tensor:
        """Maps of the finest level, or a part of them, to pixels."""
        out: Tensor = self.head(F.silu(normalise(self.norm, h)))
        return F.pixel_shuffle(out, self.patch) if self.patch > 1 else out


class VQGAN(nn.Module):
    """Encoder, 1x1 convolution, codebook, 1x1 convolution, decoder.

    Args:
        channels, blocks, attention, groups, patch: see :class:`Encoder`; the decoder has
            ``decoder_blocks`` (default ``blocks + 1``) per level.
        z_channels: latent channels of encoder and decoder.
        dim: length of a codebook entry.
        n_codes: number of entries.
        codebook: ``"euclidean"`` (the paper's, learned by gradient) or ``"cosine"`` (moving
            averages, see :mod:`lipwright.models.cosine_quantiser`).
        beta, legacy: of the quantiser's loss.
    """

    def __init__(
        self,
        channels: Sequence[int] = (128, 128, 256, 256, 512),
        blocks: int = 2,
        decoder_blocks: int | None = None,
        z_channels: int = 256,
        dim: int = 256,
        n_codes: int = 1024,
        attention: bool = True,
        groups: int = 32,
        patch: int = 1,
        codebook: Literal["euclidean", "cosine"] = "euclidean",
        beta: float = 0.25,
        legacy: bool = True,
        warmup: int = 150,
    ) -> None:
        super().__init__()
        self.factor = patch * 2 ** (len(channels) - 1)
        self.dim = dim
        self.n_codes = n_codes
        deep = blocks + 1 if decoder_blocks is None else decoder_blocks
        self.encoder = Encoder(channels, blocks, z_channels, attention, groups, patch)
        self.decoder = Decoder(channels, deep, z_channels, attention, groups, patch)
        self.pre = nn.Conv2d(z_channels, dim, 1)
        self.post = nn.Conv2d(dim, z_channels, 1)
        self.quantiser: VectorQuantiser | CosineQuantiser
        if codebook == "euclidean":
            self.quantiser = VectorQuantiser(n_codes, dim, beta, legacy)
        else:
            self.quantiser = CosineQuantiser(n_codes, dim, beta, warmup=warmup)

    def latent(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, D, S/f, S/f) before quantisation."""
        out: Tensor = self.pre(self.encoder(x))
        return out

    def encode(self, x: Tensor) -> Quantised:
        """Image to codes: see :class:`~lipwright.models.quantiser.Quantised`."""
        quantised: Quantised = self.quantiser(self.latent(x))
        return quantised

    def indices(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, S/f, S/f) int64 entry numbers."""
        z = self.latent(x)
        if isinstance(self.quantiser, CosineQuantiser):
            return self.quantiser.nearest(F.normalize(z.float(), dim=1, eps=1e-6))
        return self.quantiser.nearest(z)

    def decode(self, codes: Tensor) -> Tensor:
        """(B, D, h, w) codes -> (B, 3, h*f, w*f), about [-1, 1], not clamped."""
        out: Tensor = self.decoder(self.post(codes))
        return out

    def forward(self, x: Tensor) -> tuple[Tensor, Quantised]:
        """Reconstruct: returns the image (B, 3, S, S) and the quantiser's result."""
        quantised = self.encode(x)
        return self.decode(quantised.codes), quantised
