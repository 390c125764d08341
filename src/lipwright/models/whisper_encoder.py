"""The lower part of Whisper's speech encoder, a frozen front end of networks that hear speech.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), section 2.2:
two convolutions over 80 log-mel bands (the second halves the rate, to 50 columns a second),
sinusoidal positions, then pre-norm attention layers. It was trained on very many hours of speech of
very many people in all sorts of rooms. The lower layers still know how something was said, the
upper ones rather which word it was; lips follow the former, so only the first layers are kept.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.recording_windows import COLUMNS_PER_FEATURE, recording_windows

BANDS = 80
LOG_SILENCE = -10.0
"""log10 of the power of digital silence (a test compares it with ``media.whisper_mel``)."""
DYNAMIC_RANGE = 8.0
"""Powers of ten below a window's loudest value at which the floor lies."""
LONGEST = 3000
"""Spectrogram columns that the encoder can see at once (30 s)."""


class WhisperEncoder(nn.Module):
    """(B, 80, T) log10 power -> (B, width, ceil(T / 2)) features of layer ``layers``.

    Args:
        width: channels (384 in tiny, 512 in base).
        heads: attention heads (6 in tiny, 8 in base).
        layers: how many attention layers are kept.
    """

    positions: Tensor

    def __init__(self, width: int = 384, heads: int = 6, layers: int = 2) -> None:
        super().__init__()
        self.width = width
        self.conv1 = nn.Conv1d(BANDS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=COLUMNS_PER_FEATURE, padding=1)
        self.blocks = nn.ModuleList(AttentionLayer(width, heads) for _ in range(layers))
        table = positions(LONGEST // COLUMNS_PER_FEATURE, width)
        self.register_buffer("positions", table, persistent=False)

    def forward(self, log_power: Tensor) -> Tensor:
        """One window, at most 30 s (T <= 3000): attention sees all of it.

        Args:
            log_power: (B, 80, T) as ``media.whisper_mel`` makes it.
        """
        # The floor and the scale of the published front end, by the loudest value of each window.
        loudest = log_power.float().amax((1, 2), keepdim=True)
        x = (torch.maximum(log_power.float(), loudest - DYNAMIC_RANGE) + 4.0) / 4.0
        x = F.gelu(self.conv2(F.gelu(self.conv1(x)))).transpose(1, 2)
        x = x + self.positions[: x.shape[1]].to(x)
        for block in self.blocks:
            x = block(x)
        return x.transpose(1, 2)

    def recording(self, log_power: Tensor) -> Tensor:
        """A whole recording: (80, T) -> (width, ceil(T / 2)), in windows at fixed places.

        :mod:`lipwright.recording_windows` says why there.
        """
        parts = []
        for window in recording_windows(log_power.shape[1]):
            found = self(log_power[None, :, window.start : window.stop])[0]
            parts.append(found[:, window.skip : window.skip + window.wanted])
        return torch.cat(parts, dim=1)


class AttentionLayer(nn.Module):
    """Pre-norm self-attention and a two-layer perceptron, both with identity; (B, n, C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n, C) -> (B, n, C)."""
        batch, n, width = x.shape
        joint = self.query_key_value(self.attention_norm(x))
        q, k, v = joint.view(batch, n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, n, width)
        x = x + self.attention_out(seen)
        out: Tensor = x + self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x))))
        return out


def positions(count: int, width: int) -> Tensor:
    """(count, width) sines, then cosines, of wavelengths from 2 pi to 10,000 times that."""
    half = width // 2
    turn = torch.exp(torch.arange(half, dtype=torch.float64) * (-math.log(10_000.0) / (half - 1)))
    angle = torch.arange(count, dtype=torch.float64)[:, None] * turn
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()
