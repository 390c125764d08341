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

BANDS = 80
LOG_SILENCE = -10.0
"""log10 of the power of digital silence (a test compares it with ``media.whisper_mel``)."""
DYNAMIC_RANGE = 8.0
"""Powers of ten below a window's loudest value at which the floor lies."""
COLUMNS_PER_FEATURE = 2
"""Spectrogram columns (10 ms) per feature column (20 ms)."""
WINDOW, MARGIN = 2000, 200
"""Columns that are looked at together in a long recording (20 s), and how many of them at either
end only serve as context (2 s)."""


class WhisperEncoder(nn.Module):
    """(B, 80, T) log10 power -> (B, width, ceil(T / 2)) features of layer ``layers``.

    Args:
        width: channels (384 in tiny, 512 in base).
        heads: attention heads (6 in tiny, 8 in base).
        layers: how many attention layers are kept.
    """

    def __init__(self, width: int = 384, heads: int = 6, layers: int = 2) -> None:
        super().__init__()
        self.width = width
        self.conv1 = nn.Conv1d(BANDS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=COLUMNS_PER_FEATURE, padding=1)
        self.blocks = nn.ModuleList(AttentionLayer(width, heads) for _ in range(layers))

    def forward(self, log_power: Tensor) -> Tensor:
        """One window, at most 30 s (T <= 3000): attention sees all of it.

        Args:
            log_power: (B, 80, T) as ``media.whisper_mel`` makes it.
        """
        # The floor and the scale of the published front end, by the loudest value of each window.
        loudest = log_power.float().amax((1, 2), keepdim=True)
        x = (torch.maximum(log_power.float(), loudest - DYNAMIC_RANGE) + 4.0) / 4.0
        x = F.gelu(self.conv2(F.gelu(self.conv1(x)))).transpose(1, 2)
        x = x + positions(x.shape[1], self.width).to(x)
        for block in self.blocks:
            x = block(x)
        return x.transpose(1, 2)

    def recording(self, log_power: Tensor) -> Tensor:
        """A whole recording: (80, T) -> (width, ceil(T / 2)), in windows at fixed places.

        Windows of 20 s of which 2 s at either end are context only, so that a result depends on
        nothing but the recording: not on batches, and not on where a job was resumed.
        """
        total = log_power.shape[1]
        step = WINDOW - 2 * MARGIN
        parts = []
        for first in range(0, max(total, 1), step):
            start, stop = max(0, first - MARGIN), min(total, first + step + MARGIN)
            found = self(log_power[None, :, start:stop])[0]
            skip = (first - start) // COLUMNS_PER_FEATURE
            wanted = -(-(min(total, first + step) - first) // COLUMNS_PER_FEATURE)
            parts.append(found[:, skip : skip + wanted])
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
