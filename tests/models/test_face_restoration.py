"""GFPGAN and GPEN: parity on random weights with the published definitions, written out anew.

The references below compute straight from tensors under the published names: style *weights* per
picture as StyleGAN2 has them, resampling by explicit sums, one level after another.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lipwright.models.published import gfpgan, gpen
from tests.models.sizes import count_parameters

State = dict[str, Tensor]
D = 6


def filled(shapes: dict[str, tuple[int, ...]]) -> State:
    g = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(shape, generator=g).double() * (0.3 if name.endswith("bias") else 0.6)
        for name, shape in shapes.items()
    }


def styled(x: Tensor, weight: Tensor, style: Tensor, normalise: bool = True) -> Tensor:
    """Per picture: scale the weights by the style, normalise them, convolve."""
    rows = []
    for picture, s in zip(x, style, strict=True):
        w = weight * s[None, :, None, None]
        if normalise:
            w = w / torch.sqrt((w**2).sum((1, 2, 3), keepdim=True) + 1e-8)
        rows.append(F.conv2d(picture[None], w, padding=w.shape[-1] // 2)[0])
    return torch.stack(rows)


# GFPGAN, 16 pixels: levels of 4, 8 and 16; the U-Net narrower than the generator.
NARROW, WIDE = (3, 4, 5), (6, 8, 10)


def gfpgan_shapes(half: bool) -> dict[str, tuple[int, ...]]:
    def conv(name: str, o: int, i: int, k: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (o, i, k, k), **({f"{name}.bias": (o,)} if bias else {})}

    n, w = NARROW, WIDE
    out = conv("conv_body_first", n[2], 3, 1) | conv("final_conv", n[0], n[0], 3)
    for j, (i, o) in enumerate(((n[2], n[1]), (n[1], n[0]))):
        out |= conv(f"conv_body_down.{j}.conv1", i, i, 3) | conv(
            f"conv_body_down.{j}.conv2", o, i, 3
        )
        out |= conv(f"conv_body_down.{j}.skip", o, i, 1, False)
    for j, (i, o) in enumerate(((n[0], n[1]), (n[1], n[2]))):
        out |= conv(f"conv_body_up.{j}.conv1", i, i, 3) | conv(f"conv_body_up.{j}.conv2", o, i, 3)
        out |= conv(f"conv_body_up.{j}.skip", o, i, 1, False) | conv(f"toRGB.{j}", 3, o, 1)
        for kind in ("scale", "shift"):
            out |= conv(f"condition_{kind}.{j}.0", o, o, 3)
            out |= conv(f"condition_{kind}.{j}.2", w[j + 1] // (2 if half else 1), o, 3)
    out |= {"final_linear.weight": (6 * D, 16 * n[0]), "final_linear.bias": (6 * D,)}
    d = "stylegan_decoder"
    for j in range(8):
        out |= {
            f"{d}.style_mlp.{2 * j + 1}.weight": (D, D),
            f"{d}.style_mlp.{2 * j + 1}.bias": (D,),
        }
    out[f"{d}.constant_input.weight"] = (1, w[0], 4, 4)

    def modulated(name: str, o: int, i: int, k: int) -> None:
        out[f"{name}.modulated_conv.weight"] = (1, o, i, k, k)
        out[f"{name}.modulated_conv.modulation.weight"] = (i, D)
        out[f"{name}.modulated_conv.modulation.bias"] = (i,)
        out[f"{name}.bias"] = (1, o, 1, 1)
        if k == 3:
            out[f"{name}.weight"] = (1,)

    modulated(f"{d}.style_conv1", w[0], w[0], 3)
    modulated(f"{d}.to_rgb1", 3, w[0], 1)
    for j in (0, 1):
        modulated(f"{d}.style_convs.{2 * j}", w[j + 1], w[j], 3)
        modulated(f"{d}.style_convs.{2 * j + 1}", w[j + 1], w[j + 1], 3)
        modulated(f"{d}.to_rgbs.{j}", 3, w[j + 1], 1)
    for j, side in enumerate((4, 8, 8, 16, 16)):
        out[f"{d}.noises.noise{j}"] = (1, 1, side, side)
    return out


def gfpgan_reference(s: State, x: Tensor) -> Tensor:
    def conv(name: str, y: Tensor) -> Tensor:
        w = s[f"{name}.weight"]
        return F.conv2d(y, w, s.get(f"{name}.bias"), padding=w.shape[-1] // 2)

    def act(y: Tensor) -> Tensor:
        return torch.where(y > 0, y, 0.2 * y)

    def halve(y: Tensor) -> Tensor:  # bilinear by one half: means of 2 x 2
        return F.avg_pool2d(y, 2)

    def double(y: Tensor) -> Tensor:
        return F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)

    def block(name: str, y: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        z = act(conv(f"{name}.conv2", change(act(conv(f"{name}.conv1", y)))))
        return z + conv(f"{name}.skip", change(y))

    f16 = act(conv("conv_body_first", x))
    f8 = block("conv_body_down.0", f16, halve)
    f4 = block("conv_body_down.1", f8, halve)
    bottom = act(conv("final_conv", f4))
    code = F.linear(bottom.reshape(len(x), -1), s["final_linear.weight"], s["final_linear.bias"])
    latent = code.reshape(len(x), 6, D)
    u8 = block("conv_body_up.0", bottom + f4, double)
    u16 = block("conv_body_up.1", u8 + f8, double)
    conditions = [
        [
            conv(f"condition_{k}.{j}.2", act(conv(f"condition_{k}.{j}.0", u)))
            for k in ("scale", "shift")
        ]
        for j, u in enumerate((u8, u16))
    ]
    d = "stylegan_decoder"

    def modulated(name: str, y: Tensor, z: Tensor, normalise: bool) -> Tensor:
        m = f"{name}.modulated_conv"
        style = F.linear(z, s[f"{m}.modulation.weight"], s[f"{m}.modulation.bias"])
        return styled(y, s[f"{m}.weight"][0], style, normalise)

    def style_conv(name: str, y: Tensor, z: Tensor, noise: int) -> Tensor:
        made = modulated(name, y, z, True) * np.sqrt(2)
        return act(made + s[f"{name}.weight"] * s[f"{d}.noises.noise{noise}"] + s[f"{name}.bias"])

    def rgb(name: str, y: Tensor, z: Tensor) -> Tensor:
        return modulated(name, y, z, False) + s[f"{name}.bias"]

    y = s[f"{d}.constant_input.weight"].repeat(len(x), 1, 1, 1)
    y = style_conv(f"{d}.style_conv1", y, latent[:, 0], 0)
    picture = rgb(f"{d}.to_rgb1", y, latent[:, 1])
    for j, (scale, shift) in enumerate(conditions):
        y = style_conv(f"{d}.style_convs.{2 * j}", double(y), latent[:, 2 * j + 1], 2 * j + 1)
        if scale.shape[1] < y.shape[1]:
            same, changed = y.chunk(2, 1)
            y = torch.cat([same, changed * scale + shift], 1)
        else:
            y = y * scale + shift
        y = style_conv(f"{d}.style_convs.{2 * j + 1}", y, latent[:, 2 * j + 2], 2 * j + 2)
        picture = rgb(f"{d}.to_rgbs.{j}", y, latent[:, 2 * j + 3]) + double(picture)
    return picture


@pytest.mark.parametrize("half", [True, False])
def test_gfpgan_computes_what_was_published(half: bool) -> None:
    state = filled(gfpgan_shapes(half))
    network = gfpgan.of_state(state).to_empty(device="cpu").double()
    assert not any(network.load_state_dict(state))
    assert network.size == 16
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    with torch.no_grad():
        made, wanted = network(x), gfpgan_reference(state, x)
    torch.testing.assert_close(made, wanted, rtol=1e-9, atol=1e-9)
    assert wanted.std() > 0.1


# GPEN, 16 pixels.
LEVELS = (6, 5, 4)


def gpen_shapes() -> dict[str, tuple[int, ...]]:
    c = LEVELS
    out: dict[str, tuple[int, ...]] = {
        "ecd0.0.0.weight": (c[2], 3, 1, 1),
        "ecd0.0.1.bias": (c[2],),
        "final_linear.0.weight": (D, 16 * c[0]),
        "final_linear.0.bias": (D,),
        "generator.input.input": (1, c[0], 4, 4),
    }
    for j, (i, o) in enumerate(((c[2], c[1]), (c[1], c[0])), 1):
        out[f"ecd{j}.0.0.kernel"] = (4, 4)
        out[f"ecd{j}.0.1.weight"] = (o, i, 3, 3)
        out[f"ecd{j}.0.2.bias"] = (o,)
    for j in range(1, 9):
        out |= {f"generator.style.{j}.weight": (D, D), f"generator.style.{j}.bias": (D,)}

    def conv(name: str, o: int, i: int, k: int) -> None:
        out[f"{name}.conv.weight"] = (1, o, i, k, k)
        out[f"{name}.conv.modulation.weight"] = (i, D)
        out[f"{name}.conv.modulation.bias"] = (i,)
        if k == 3:
            out[f"{name}.noise.weight"] = (1,)
            out[f"{name}.activate.bias"] = (2 * o,)
        else:
            out[f"{name}.bias"] = (1, 3, 1, 1)

    conv("generator.conv1", c[0], c[0], 3)
    conv("generator.to_rgb1", 3, 2 * c[0], 1)
    for j in (0, 1):
        conv(f"generator.convs.{2 * j}", c[j + 1], 2 * c[j], 3)
        out[f"generator.convs.{2 * j}.conv.blur.kernel"] = (4, 4)
        conv(f"generator.convs.{2 * j + 1}", c[j + 1], 2 * c[j + 1], 3)
        conv(f"generator.to_rgbs.{j}", 3, 2 * c[j + 1], 1)
        out[f"generator.to_rgbs.{j}.upsample.kernel"] = (4, 4)
    return out


def resampled(x: Tensor, up: int, down: int, pad: tuple[int, int], gain: float) -> Tensor:
    """upfirdn2d by its definition: insert zeros, pad, convolve with 1 3 3 1, take every n-th."""
    b, c, h, w = x.shape
    spread = x.new_zeros(b, c, h * up, w * up)
    spread[:, :, ::up, ::up] = x
    padded = F.pad(spread, (pad[0], pad[1], pad[0], pad[1]))
    taps = np.array([1, 3, 3, 1]) / 8
    made = sum(
        gain
        * taps[i]
        * taps[j]
        * padded[:, :, i : padded.shape[2] - 3 + i, j : padded.shape[3] - 3 + j]
        for i in range(4)
        for j in range(4)
    )
    return made[:, :, ::down, ::down]  # type: ignore[index]


def gpen_reference(s: State, x: Tensor) -> Tensor:
    def act(y: Tensor) -> Tensor:
        return torch.where(y > 0, y, 0.2 * y) * np.sqrt(2)

    def encode(name: str, y: Tensor, last: int) -> Tensor:
        w = s[f"{name}.{last - 1}.weight"]
        w = w / np.sqrt(w[0].numel())
        bias = s[f"{name}.{last}.bias"][None, :, None, None]
        if last == 1:
            return act(F.conv2d(y, w) + bias)
        return act(F.conv2d(resampled(y, 1, 1, (2, 2), 1.0), w, stride=2) + bias)

    def linear(name: str, y: Tensor, rate: float = 1.0) -> Tensor:
        w = s[f"{name}.weight"]
        return F.linear(y, w * rate / np.sqrt(w.shape[1]), s[f"{name}.bias"] * rate)

    e16 = encode("ecd0.0", x, 1)
    e8 = encode("ecd1.0", e16, 2)
    e4 = encode("ecd2.0", e8, 2)
    z = act(linear("final_linear.0", e4.reshape(len(x), -1)))
    z = z / torch.sqrt((z**2).mean(1, keepdim=True) + 1e-8)
    for j in range(1, 9):
        z = act(linear(f"generator.style.{j}", z, 0.01))

    def conv(name: str, y: Tensor, double: bool, normalise: bool) -> Tensor:
        w = s[f"{name}.conv.weight"][0]
        w = w / np.sqrt(w[0].numel())
        style = linear(f"{name}.conv.modulation", z)
        if not double:
            return styled(y, w, style, normalise)
        rows = []
        for picture, one in zip(y, style, strict=True):
            v = w * one[None, :, None, None]
            v = v / torch.sqrt((v**2).sum((1, 2, 3), keepdim=True) + 1e-8)
            large = F.conv_transpose2d(picture[None], v.permute(1, 0, 2, 3), stride=2)
            rows.append(resampled(large, 1, 1, (1, 1), 4.0)[0])
        return torch.stack(rows)

    def layer(name: str, y: Tensor, features: Tensor, double: bool = False) -> Tensor:
        both = torch.cat([conv(name, y, double, True), s[f"{name}.noise.weight"] * features], 1)
        return act(both + s[f"{name}.activate.bias"][None, :, None, None])

    def rgb(name: str, y: Tensor) -> Tensor:
        return conv(name, y, False, False) + s[f"{name}.bias"]

    y = layer("generator.conv1", s["generator.input.input"].repeat(len(x), 1, 1, 1), e4)
    picture = rgb("generator.to_rgb1", y)
    for j, features in enumerate((e8, e16)):
        y = layer(f"generator.convs.{2 * j}", y, features, True)
        y = layer(f"generator.convs.{2 * j + 1}", y, features)
        large = resampled(picture, 2, 1, (2, 1), 4.0)
        picture = rgb(f"generator.to_rgbs.{j}", y) + large
    return picture


def test_gpen_computes_what_was_published() -> None:
    state = filled(gpen_shapes())
    network = gpen.of_state(state).to_empty(device="cpu").double()
    assert not any(network.load_state_dict(state))
    assert network.size == 16
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    with torch.no_grad():
        made, wanted = network(x), gpen_reference(state, x)
    torch.testing.assert_close(made, wanted, rtol=1e-9, atol=1e-9)
    assert wanted.std() > 0.1


def test_doubling_keeps_a_flat_picture_flat_and_bilinear_inside() -> None:
    flat = gpen.doubled(torch.ones(1, 1, 6, 6))
    torch.testing.assert_close(flat[:, :, 2:-2, 2:-2], torch.ones(1, 1, 8, 8))
    ramp = torch.arange(6.0).repeat(6, 1)[None, None]
    # Taps 1 3 3 1 after zeros: 3/4 of the nearer sample and 1/4 of the next one.
    torch.testing.assert_close(gpen.doubled(ramp)[0, 0, 5, 3:5], torch.tensor([1.25, 1.75]))


def test_sizes_of_the_published_files() -> None:
    """512 pixels: GFPGANv1.4 and GPEN-BFR-512, with buffers and all."""
    with torch.device("meta"):
        wide = [512, 512, 512, 512, 512, 256, 128, 64]
        restoring = gfpgan.GFPGAN([c // 2 for c in wide], wide)
        embedded = gpen.GPEN(wide)
    assert restoring.size == embedded.size == 512
    # Weights and biases counted layer by layer from the published channel plan.
    unet = [c // 2 for c in wide]
    down = sum(a * a * 9 + a + a * b * 9 + b + a * b for b, a in pairwise(unet))
    up = sum(a * a * 9 + a + a * b * 9 + b + a * b for a, b in pairwise(unet))
    ends = 3 * unet[-1] + unet[-1] + unet[0] ** 2 * 9 + unet[0]
    rgb = sum(3 * c + 3 for c in unet[1:])
    linear = (16 * unet[0] + 1) * 16 * 512
    conditions = 2 * sum(
        c * c * 9 + c + c * w // 2 * 9 + w // 2 for c, w in zip(unet[1:], wide[1:], strict=True)
    )

    def modulated(i: int, o: int, k: int) -> int:
        return o * i * k * k + 512 * i + i + o + (1 if k == 3 else 0)

    decoder = 8 * (512 * 512 + 512) + 512 * 16 + modulated(512, 512, 3) + modulated(512, 3, 1)
    for i, o in pairwise(wide):
        decoder += modulated(i, o, 3) + modulated(o, o, 3) + modulated(o, 3, 1)
    assert count_parameters(restoring) == down + up + ends + rgb + linear + conditions + decoder
