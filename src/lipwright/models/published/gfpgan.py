"""GFPGAN in its published "clean" form: a U-Net whose features steer a StyleGAN2 generator.

Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior" (CVPR 2021),
as the files GFPGANv1.3 and v1.4 have it: bilinear resampling in place of the custom kernels, the
U-Net of half the generator's channels, one latent for every layer straight from the encoder
(``different_w``, ``input_is_latent``: the mapping network in the file is not used), and scale and
shift on the second half of the generator's channels (``sft_half``; all of them if the file's
condition layers are that wide). In the files the weights lie under ``params_ema``:

    conv_body_first, conv_body_down.N.{conv1,conv2,skip}, final_conv, final_linear,
    conv_body_up.N.{conv1,conv2,skip}, toRGB.N (for training only),
    condition_scale.N.{0,2}, condition_shift.N.{0,2},
    stylegan_decoder.{style_mlp.N, constant_input.weight, noises.noiseN},
    stylegan_decoder.{style_conv1, style_convs.N}.{modulated_conv.weight,
    modulated_conv.modulation, weight, bias},
    stylegan_decoder.{to_rgb1, to_rgbs.N}.{modulated_conv.weight, modulated_conv.modulation, bias}

The noise of the generator is the one that is kept in the file, so that a frame is always the same.
Pictures are RGB in [-1, 1], the face aligned as in FFHQ.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.published.modulated import SLOPE, modulated

_ROOT_2 = 2.0**0.5


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def _scaled(x: Tensor, times: float) -> Tensor:
    return F.interpolate(x, scale_factor=times, mode="bilinear", align_corners=False)


class ResBlock(nn.Module):
    """Residual block of the U-Net that halves or doubles the size."""

    def __init__(self, inputs: int, outputs: int, times: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', times H, times W)."""
        fine: Tensor = _leaky(self.conv2(_scaled(_leaky(self.conv1(x)), self.times)))
        skipped: Tensor = self.skip(_scaled(x, self.times))
        return fine + skipped


class ModulatedConv(nn.Module):
    """Weights of a modulated convolution and the layer that makes its style."""

    def __init__(self, inputs: int, outputs: int, kernel: int, latent: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, outputs, inputs, kernel, kernel))
        self.modulation = nn.Linear(latent, inputs)


class StyleConv(nn.Module):
    """Modulated convolution, noise, bias, activation; doubles the size if asked to."""

    def __init__(self, inputs: int, outputs: int, latent: int, double: bool) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(inputs, outputs, 3, latent)
        self.weight = nn.Parameter(torch.empty(1))
        self.bias = nn.Parameter(torch.empty(1, outputs, 1, 1))
        self.doubles = double

    def forward(self, x: Tensor, latent: Tensor, noise: Tensor) -> Tensor:
        """(B, I, H, W), (B, D), (1, 1, H', W') -> (B, O, H', W')."""
        if self.doubles:
            x = _scaled(x, 2.0)
        style = self.modulated_conv.modulation(latent)
        made = modulated(x, self.modulated_conv.weight[0], style) * _ROOT_2
        return _leaky(made + self.weight * noise + self.bias)


class ToRGB(nn.Module):
    """Colours of one level."""

    def __init__(self, inputs: int, latent: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(inputs, 3, 1, latent)
        self.bias = nn.Parameter(torch.empty(1, 3, 1, 1))

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """(B, I, H, W), (B, D) -> (B, 3, H, W)."""
        conv = self.modulated_conv
        return modulated(x, conv.weight[0], conv.modulation(latent), False) + self.bias


class Decoder(nn.Module):
    """The StyleGAN2 generator, its features scaled and shifted by those of the U-Net.

    Args:
        channels: of the levels 4, 8, 16, ... pixels.
        latent: D, numbers of a latent.
        mapping: layers of the (unused) mapping network.
    """

    def __init__(self, channels: list[int], latent: int, mapping: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Identity()]
        for _ in range(mapping):
            layers += [nn.Linear(latent, latent), nn.LeakyReLU(SLOPE)]
        self.style_mlp = nn.Sequential(*layers)
        self.constant_input = nn.ParameterDict({"weight": torch.empty(1, channels[0], 4, 4)})
        self.style_conv1 = StyleConv(channels[0], channels[0], latent, False)
        self.to_rgb1 = ToRGB(channels[0], latent)
        self.style_convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        self.noises = nn.Module()
        for level, (inputs, outputs) in enumerate(pairwise(channels)):
            self.style_convs.append(StyleConv(inputs, outputs, latent, True))
            self.style_convs.append(StyleConv(outputs, outputs, latent, False))
            self.to_rgbs.append(ToRGB(outputs, latent))
            for n in (1, 2):
                side = 8 * 2**level
                self.noises.register_buffer(f"noise{2 * level + n}", torch.zeros(1, 1, side, side))
        self.noises.register_buffer("noise0", torch.zeros(1, 1, 4, 4))

    def forward(self, latents: Tensor, conditions: list[tuple[Tensor, Tensor]]) -> Tensor:
        """(B, N, D) latents and scale and shift of every level -> (B, 3, S, S)."""

        def noise(n: int) -> Tensor:
            found: Tensor = getattr(self.noises, f"noise{n}")
            return found

        x = self.constant_input["weight"].repeat(len(latents), 1, 1, 1)
        x = self.style_conv1(x, latents[:, 0], noise(0))
        picture: Tensor = self.to_rgb1(x, latents[:, 1])
        for level, (scale, shift) in enumerate(conditions):
            i = 2 * level + 1
            x = self.style_convs[2 * level](x, latents[:, i], noise(i))
            kept = x.shape[1] - scale.shape[1]
            x = torch.cat([x[:, :kept], x[:, kept:] * scale + shift], dim=1)
            x = self.style_convs[2 * level + 1](x, latents[:, i + 1], noise(i + 1))
            picture = self.to_rgbs[level](x, latents[:, i + 2]) + _scaled(picture, 2.0)
        return picture


class GFPGAN(nn.Module):
    """A degraded aligned face to a restored one of the same size.

    Args:
        narrow: channels of the U-Net at 4, 8, ..., S pixels.
        wide: those of the generator.
        latent: numbers of a latent.
        mapping: layers of the unused mapping network.
        half: scale and shift apply to the second half of the generator's channels only.
    """

    def __init__(
        self,
        narrow: list[int],
        wide: list[int],
        latent: int = 512,
        mapping: int = 8,
        half: bool = True,
    ) -> None:
        super().__init__()
        self.size, self.latent = 2 ** (len(narrow) + 1), latent
        pairs = list(pairwise(narrow))
        self.conv_body_first = nn.Conv2d(3, narrow[-1], 1)
        self.conv_body_down = nn.ModuleList(ResBlock(b, a, 0.5) for a, b in reversed(pairs))
        self.final_conv = nn.Conv2d(narrow[0], narrow[0], 3, padding=1)
        self.conv_body_up = nn.ModuleList(ResBlock(a, b, 2.0) for a, b in pairs)
        self.toRGB = nn.ModuleList(nn.Conv2d(c, 3, 1) for c in narrow[1:])
        self.final_linear = nn.Linear(16 * narrow[0], 2 * len(narrow) * latent)
        self.stylegan_decoder = Decoder(wide, latent, mapping)

        def conditions() -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(c, c, 3, padding=1),
                    nn.LeakyReLU(SLOPE),
                    nn.Conv2d(c, w // 2 if half else w, 3, padding=1),
                )
                for c, w in zip(narrow[1:], wide[1:], strict=True)
            )

        self.condition_scale, self.condition_shift = conditions(), conditions()

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> the same, not clamped."""
        x = _leaky(self.conv_body_first(faces))
        skips = []
        for down in self.conv_body_down:
            x = down(x)
            skips.append(x)
        x = _leaky(self.final_conv(x))
        latents = self.final_linear(x.flatten(1)).unflatten(1, (-1, self.latent))
        found = []
        for n, up in enumerate(self.conv_body_up):
            x = up(x + skips[-1 - n])
            found.append((self.condition_scale[n](x), self.condition_shift[n](x)))
        made: Tensor = self.stylegan_decoder(latents, found)
        return made


def of_state(state: Mapping[str, Tensor]) -> GFPGAN:
    """The network whose sizes a file's tensors have; without its weights yet.

    Raises:
        KeyError: a tensor is not there that every such file has.
        ValueError: sizes that no such network has.
    """
    levels = sum(k.startswith("conv_body_up.") and k.endswith(".skip.weight") for k in state)
    if not 1 <= levels <= 9:
        raise ValueError("number of levels")
    up = [state[f"conv_body_up.{n}.skip.weight"].shape for n in range(levels)]
    convs = [
        state[f"stylegan_decoder.style_convs.{2 * n}.modulated_conv.weight"].shape
        for n in range(levels)
    ]
    wide = [convs[0][2], *(shape[1] for shape in convs)]
    narrow = [up[0][1], *(shape[0] for shape in up)]
    latent = state["stylegan_decoder.style_conv1.modulated_conv.modulation.weight"].shape[1]
    mapping = sum("style_mlp" in k and k.endswith("weight") for k in state)
    half = state["condition_scale.0.2.weight"].shape[0] != wide[1]
    with torch.device("meta"):
        return GFPGAN(narrow, wide, latent, mapping, half)
