"""GPEN as published: an encoder whose features are the noise of a StyleGAN2 generator.

Yang et al., "GAN Prior Embedded Network for Blind Face Restoration in the Wild" (CVPR 2021), the
stage 2 of Gupta et al. (WACV 2023). The encoder halves the face to 4 pixels; its last features give
one latent for all layers by a linear layer and the mapping network, and the features of every
level, weighted by one number a layer, are set beside those of the generator as further channels.
The files GPEN-BFR-256, -512 and the like hold the weights at the top:

    ecd0.0.{0.weight,1.bias}, ecdN.0.{0.kernel,1.weight,2.bias}, final_linear.0,
    generator.style.N, generator.input.input,
    generator.{conv1,convs.N}.{conv.weight, conv.modulation, conv.blur.kernel (convs.0, 2, ...),
    noise.weight, activate.bias},
    generator.{to_rgb1,to_rgbs.N}.{conv.weight, conv.modulation, bias}, to_rgbs.N.upsample.kernel

Weights are kept at unit variance and scaled by their fan-in in use. Pictures are RGB in [-1, 1].
Blurs take the published kernel (1, 3, 3, 1); the copies in the file are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.published.modulated import SLOPE, demodulation, modulated, normed

_ROOT_2 = 2.0**0.5
_TAPS = (1.0, 3.0, 3.0, 1.0)
MAPPING_RATE = 0.01
"""The mapping network's weights are kept so many times larger than they count."""


def smoothed(x: Tensor, before: int, after: int, gain: float = 1.0) -> Tensor:
    """(B, C, H, W) by (1, 3, 3, 1) / 8 each way, with so many zeros before and after it."""
    taps = torch.tensor(_TAPS, dtype=x.dtype, device=x.device)
    kernel = torch.outer(taps, taps) * (gain / float(taps.sum()) ** 2)
    count = x.shape[1]
    padded = F.pad(x, (before, after, before, after))
    return F.conv2d(padded, kernel.expand(count, 1, 4, 4), groups=count)


def doubled(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W): zeros between the samples, smoothed."""
    b, c, h, w = x.shape
    spread = x.new_zeros(b, c, h, 2, w, 2)
    spread[:, :, :, 0, :, 0] = x
    return smoothed(spread.reshape(b, c, 2 * h, 2 * w), 2, 1, 4.0)


def _activated(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE) * _ROOT_2


class Bias(nn.Module):
    """A bias before the activation."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(count))


class Linear(nn.Module):
    """Linear layer with weights of unit variance; ``rate`` times as large in the file."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, I) -> (B, O)."""
        scale = self.rate / self.weight.shape[1] ** 0.5
        return F.linear(x, self.weight * scale, self.bias * self.rate)


class Weight(nn.Module):
    """The weights of a convolution without bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))

    def scaled(self) -> Tensor:
        """By the root of the fan-in."""
        scaled: Tensor = self.weight / self.weight[0].numel() ** 0.5
        return scaled


class EncoderLevel(nn.Module):
    """The first level (1 x 1) or one that halves the size (3 x 3, smoothed before)."""

    def __init__(self, inputs: int, outputs: int, first: bool) -> None:
        super().__init__()
        conv = Weight(inputs, outputs, 1 if first else 3)
        parts: list[nn.Module] = [conv, Bias(outputs)]
        if not first:
            blur = nn.Module()
            blur.register_buffer("kernel", torch.zeros(4, 4))
            parts.insert(0, blur)
        self.add_module("0", nn.Sequential(*parts))
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H, W), or half of that."""
        layers = self.get_submodule("0")
        assert isinstance(layers, nn.Sequential)
        conv, bias = layers[-2], layers[-1]
        assert isinstance(conv, Weight)
        assert isinstance(bias, Bias)
        if not self.first:
            x = smoothed(x, 2, 2)
        made = F.conv2d(x, conv.scaled(), stride=1 if self.first else 2)
        return _activated(made + bias.bias[:, None, None])


class ModulatedConv(nn.Module):
    """Weights of a modulated convolution and the layer that makes its style."""

    def __init__(self, inputs: int, outputs: int, kernel: int, latent: int, double: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, outputs, inputs, kernel, kernel))
        self.modulation = Linear(latent, inputs)
        if double:
            self.blur = nn.Module()
            self.blur.register_buffer("kernel", torch.zeros(4, 4))
        self.doubles = double

    def forward(self, x: Tensor, latent: Tensor, demodulate: bool = True) -> Tensor:
        """(B, I, H, W), (B, D) -> (B, O, H, W), or twice that."""
        weight = self.weight[0] / self.weight[0, 0].numel() ** 0.5
        style = self.modulation(latent)
        if not self.doubles:
            return modulated(x, weight, style, demodulate)
        x = x * style[:, :, None, None]
        made = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        return smoothed(made, 1, 1, 4.0) * demodulation(weight, style)


class StyledConv(nn.Module):
    """Modulated convolution with the encoder's features beside it."""

    def __init__(self, inputs: int, outputs: int, latent: int, double: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, latent, double)
        self.noise = nn.ParameterDict({"weight": torch.empty(1)})
        self.activate = Bias(2 * outputs)

    def forward(self, x: Tensor, latent: Tensor, features: Tensor) -> Tensor:
        """(B, I, H, W), (B, D), (B, O, H', W') -> (B, 2 O, H', W')."""
        both = torch.cat([self.conv(x, latent), self.noise["weight"] * features], dim=1)
        return _activated(both + self.activate.bias[:, None, None])


class ToRGB(nn.Module):
    """Colours of one level."""

    def __init__(self, inputs: int, latent: int, double: bool) -> None:
        super().__init__()
        if double:
            self.upsample = nn.Module()
            self.upsample.register_buffer("kernel", torch.zeros(4, 4))
        self.conv = ModulatedConv(inputs, 3, 1, latent, False)
        self.bias = nn.Parameter(torch.empty(1, 3, 1, 1))

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """(B, I, H, W), (B, D) -> (B, 3, H, W)."""
        made: Tensor = self.conv(x, latent, False) + self.bias
        return made


class Generator(nn.Module):
    """The StyleGAN2 generator.

    Args:
        channels: of the levels 4, 8, 16, ... pixels.
        latent: D.
        mapping: layers of the mapping network.
    """

    def __init__(self, channels: list[int], latent: int, mapping: int) -> None:
        super().__init__()
        layers = (Linear(latent, latent, MAPPING_RATE) for _ in range(mapping))
        self.style = nn.ModuleList([nn.Identity(), *layers])
        self.input = nn.ParameterDict({"input": torch.empty(1, channels[0], 4, 4)})
        self.conv1 = StyledConv(channels[0], channels[0], latent, False)
        self.to_rgb1 = ToRGB(2 * channels[0], latent, False)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for inputs, outputs in pairwise(channels):
            self.convs.append(StyledConv(2 * inputs, outputs, latent, True))
            self.convs.append(StyledConv(2 * outputs, outputs, latent, False))
            self.to_rgbs.append(ToRGB(2 * outputs, latent, True))

    def forward(self, latent: Tensor, features: list[Tensor]) -> Tensor:
        """(B, D) and the encoder's features, 4 pixels first -> (B, 3, S, S)."""
        latent = normed(latent)
        for layer in self.style[1:]:
            latent = _activated(layer(latent))
        x = self.input["input"].repeat(len(latent), 1, 1, 1)
        x = self.conv1(x, latent, features[0])
        picture: Tensor = self.to_rgb1(x, latent)
        for n, level in enumerate(features[1:]):
            x = self.convs[2 * n](x, latent, level)
            x = self.convs[2 * n + 1](x, latent, level)
            picture = self.to_rgbs[n](x, latent) + doubled(picture)
        return picture


class GPEN(nn.Module):
    """A degraded aligned face to a restored one of the same size.

    Args:
        channels: of the levels 4, 8, ..., S pixels.
        latent: D, numbers of the latent.
        mapping: layers of the mapping network.
    """

    def __init__(self, channels: list[int], latent: int = 512, mapping: int = 8) -> None:
        super().__init__()
        self.size = 2 ** (len(channels) + 1)
        wide = channels[::-1]
        self.levels = len(wide)
        self.ecd0 = EncoderLevel(3, wide[0], True)
        for n, (inputs, outputs) in enumerate(pairwise(wide), 1):
            self.add_module(f"ecd{n}", EncoderLevel(inputs, outputs, False))
        self.final_linear = nn.ModuleList([Linear(16 * channels[0], latent)])
        self.generator = Generator(channels, latent, mapping)

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> the same, not clamped."""
        features = []
        x = faces
        for n in range(self.levels):
            x = self.get_submodule(f"ecd{n}")(x)
            features.append(x)
        latent = _activated(self.final_linear[0](x.flatten(1)))
        made: Tensor = self.generator(latent, features[::-1])
        return made


def of_state(state: Mapping[str, Tensor]) -> GPEN:
    """The network whose sizes a file's tensors have; without its weights yet.

    Raises:
        KeyError: a tensor is not there that every such file has.
        ValueError: sizes that no such network has.
    """
    levels = sum(k.startswith("ecd") and k.endswith(".0.1.weight") for k in state)
    if not 1 <= levels <= 9:
        raise ValueError("number of levels")
    deeper = [state[f"ecd{n}.0.1.weight"].shape[0] for n in range(1, levels + 1)]
    channels = [*reversed(deeper), state["ecd0.0.0.weight"].shape[0]]
    latent = state["final_linear.0.weight"].shape[0]
    mapping = sum(k.startswith("generator.style.") and k.endswith("weight") for k in state)
    with torch.device("meta"):
        return GPEN(channels, latent, mapping)
