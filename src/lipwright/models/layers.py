"""Layers that several networks share.

Blocks of convolution and batch normalisation as Wav2Lip has them (:class:`ConvBlock`,
:class:`UpBlock`), feature-wise modulation (:class:`FiLM`), and the blocks of the VQGAN: their plan
follows the convolutional autoencoder of Esser et al. ("Taming Transformers", CVPR 2021, section
3.1), which Gupta et al. (WACV 2023, section 3.1) use unchanged: pre-activation residual blocks with
group normalisation, single-head self-attention at the lowest resolution, asymmetric padding before
a strided convolution, nearest-neighbour upsampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

M = TypeVar("M", bound=nn.Module)
Normalise = Callable[[nn.GroupNorm, Tensor], Tensor]
"""Does what a group normalisation does to maps (B, C, h, w), or something in its place."""


def norm(channels: int, groups: int) -> nn.GroupNorm:
    """Group normalisation as VQGAN uses it (eps 1e-6, affine)."""
    return nn.GroupNorm(groups, channels, eps=1e-6)


def by_own_statistics(layer: nn.GroupNorm, x: Tensor) -> Tensor:
    """The normalisation itself."""
    out: Tensor = layer(x)
    return out


class ResidualBlock(nn.Module):
    """norm, SiLU, conv3, norm, SiLU, dropout, conv3, plus the input.

    Shapes: (B, c_in, H, W) -> (B, c_out, H, W).
    """

    def __init__(self, c_in: int, c_out: int, groups: int = 32, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1 = norm(c_in, groups)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2 = norm(c_out, groups)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.skip = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor, normalise: Normalise = by_own_statistics) -> Tensor:
        """Return the block's output, same height and width."""
        h: Tensor = self.conv1(F.silu(normalise(self.norm1, x)))
        h = self.conv2(self.dropout(F.silu(normalise(self.norm2, h))))
        out: Tensor = self.skip(x) + h
        return out


class SpatialAttention(nn.Module):
    """Single-head self-attention over all positions, with a residual connection."""

    def __init__(self, channels: int, groups: int = 32) -> None:
        super().__init__()
        self.norm = norm(channels, groups)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, normalise: Normalise = by_own_statistics) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        b, c, h, w = x.shape
        n = normalise(self.norm, x)
        q, k, v = (f(n).flatten(2).transpose(1, 2) for f in (self.q, self.k, self.v))
        # scaled_dot_product_attention divides by sqrt(C), as the source does.
        a = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.project(a.transpose(1, 2).reshape(b, c, h, w))
        return x + out


class Downsample(nn.Module):
    """Halve height and width: zero-pad right and bottom by one, conv3 with stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H/2, W/2)."""
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """Double height and width: nearest neighbour, then conv3.

    A trained layer does both in one transposed convolution, which is the same with four ninths of
    the products: of a doubled map, neighbours under the 3x3 kernel are equal two by two.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        if self.training:
            out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
            return out
        kernel = _doubled(self.conv.weight)
        return F.conv_transpose2d(x, kernel, self.conv.bias, stride=2, padding=1)


def _doubled(kernel: Tensor) -> Tensor:
    """(O, I, 3, 3) -> (I, O, 4, 4): a convolution of doubled maps as a transposed one of the maps.

    Every pixel is seen as the square of four that it becomes, so the kernel is summed over squares.
    """
    wide = F.pad(kernel, (1, 1, 1, 1))
    rows = wide[:, :, 1:] + wide[:, :, :-1]
    squares = rows[..., 1:] + rows[..., :-1]
    return squares.flip(2, 3).transpose(0, 1)


class ConvBlock(nn.Module):
    """conv, batch normalisation, optional identity, ReLU (Wav2Lip's block)."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding)
        self.norm: nn.Module = nn.BatchNorm2d(c_out)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H', W')."""
        h: Tensor = self.norm(self.conv(x))
        return F.relu(h + x if self.residual else h)


def residuals(channels: int, n: int) -> list[nn.Module]:
    """``n`` residual blocks of one convolution each."""
    return [ConvBlock(channels, channels, residual=True) for _ in range(n)]


class UpBlock(nn.Module):
    """Transposed convolution, batch normalisation, ReLU; doubles the side by default."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, stride: int = 2, padding: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(c_in, c_out, kernel, stride, padding, stride - 1)
        self.norm: nn.Module = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H', W')."""
        h: Tensor = self.norm(self.conv(x))
        return F.relu(h)


def fold_norms(module: nn.Module) -> None:
    """Put the batch normalisations of a trained network into the convolutions before them.

    What runtimes do anyway; done beforehand, their weights are those of the checkpoint. The blocks
    keep an identity in the place of the normalisation.
    """
    for block in module.modules():
        if not isinstance(block, ConvBlock | UpBlock) or not isinstance(block.norm, nn.BatchNorm2d):
            continue
        conv, norm = block.conv, block.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert conv.bias is not None
        with torch.no_grad():
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            outwards = (1, -1, 1, 1) if isinstance(conv, nn.ConvTranspose2d) else (-1, 1, 1, 1)
            conv.weight.mul_(scale.reshape(outwards))
            conv.bias.copy_((conv.bias - norm.running_mean) * scale + norm.bias)
        block.norm = nn.Identity()


def drop_norms(module: nn.Module) -> None:
    """Make room for weights that :func:`fold_norms` has made."""
    for block in module.modules():
        if isinstance(block, ConvBlock | UpBlock):
            block.norm = nn.Identity()


class FiLM(nn.Linear):
    """Feature-wise linear modulation (Perez et al., AAAI 2018): x (1 + scale) + shift.

    Scale and shift of every channel are a linear function of the condition. The layer *is* that
    function, so that its weights are named like those of a linear layer.

    Args:
        condition: length of the condition.
        channels: of the maps.
    """

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__(condition, 2 * channels)

    def modulate(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (B, C, h, w) and conditions (B, D) -> (B, C, h, w)."""
        scale, shift = self(condition)[:, :, None, None].chunk(2, dim=1)
        out: Tensor = x * (1.0 + scale) + shift
        return out


def initialise_normal(module: nn.Module, std: float = 0.02) -> None:
    """Weights from N(0, std), batch-norm gains from N(1, std), biases zero (PatchGAN's rule)."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.normal_(m.weight, 0.0, std)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.weight, 1.0, std)
            nn.init.zeros_(m.bias)


def channels_last(module: M, device: torch.device | str = "cpu") -> M:
    """Move a module to a device, four-dimensional weights in the layout that convolutions like."""
    moved: M = module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def contiguous(module: M) -> M:
    """The inverse layout of :func:`channels_last`."""
    moved: M = module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return moved


def through(layers: Iterable[nn.Module], x: Tensor, normalise: Normalise) -> Tensor:
    """Maps (B, C, h, w) through the layers of a VQGAN, its normalisations done by ``normalise``."""
    for layer in layers:
        blocks = isinstance(layer, ResidualBlock | SpatialAttention)
        x = layer(x, normalise) if blocks else layer(x)
    return x
