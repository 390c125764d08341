"""Parts of a sync expert that look at, and hear, every frame with the same weights.

Stacked in channels, T frames are one example of T mouths; looked at one by one they are T examples,
and an hour of speech is enough to learn what a mouth looks like. Either side ends in a few numbers
per frame, not negative, which lie side by side in the embedding: the cosine of two embeddings then
asks, moment by moment, whether the same numbers are large.

Not as published (Gupta et al., WACV 2023, stack frames in channels); docs/methods/vq.md compares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.face_regions import CODE_CELLS

FIRST_ROW = CODE_CELLS // 2 - 1
"""Code rows from here on are looked at: the lower face, with a row above it."""


class FramesInTime(nn.Module):
    """(B, C, T) what is known of every frame -> (B, T * each), all >= 0.

    Args:
        width: C.
        each: numbers per frame.
        layers: residual layers, each of which sees one frame to either side.
        dropout: inside of them.
    """

    def __init__(self, width: int, each: int, layers: int = 2, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(width),
                nn.SiLU(),
                nn.Dropout(dropout),
                nn.Conv1d(width, width, 3, padding=1),
            )
            for _ in range(layers)
        )
        self.head = nn.Sequential(nn.BatchNorm1d(width), nn.SiLU(), nn.Conv1d(width, each, 1))
        self.level = nn.BatchNorm1d(each, affine=False)
        # A mouth is open or shut beside what it was a moment before; how much of the window's mean
        # is taken away is learnt for every number, and so is from where on it counts.
        self.mean = nn.Parameter(torch.zeros(each, 1))
        self.bias = nn.Parameter(torch.zeros(each, 1))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        for layer in self.layers:
            x = x + layer(x)
        h = self.level(self.head(x))
        h = h - torch.sigmoid(self.mean) * h.mean(2, keepdim=True) + self.bias
        return F.relu(h).flatten(1)


class SharedFaces(nn.Module):
    """(B, T, D, 16, 16) codes -> (B, T * each), all >= 0.

    Args:
        code_dim: channels D of a code grid.
        channels: after a first and a second halving of the cells.
        width: numbers that are known of a frame.
        each: numbers of a frame in the embedding.
        dropout: see :class:`FramesInTime`.
    """

    def __init__(
        self, code_dim: int, channels: Sequence[int], width: int, each: int, dropout: float
    ) -> None:
        super().__init__()
        a, b = channels
        self.frame = nn.Sequential(*_halved(code_dim, a), *_halved(a, b))
        rows, cells = (CODE_CELLS - FIRST_ROW + 3) // 4, CODE_CELLS // 4
        self.place = nn.Linear(b * rows * cells, width)
        self.time = FramesInTime(width, each, dropout=dropout)

    def forward(self, codes: Tensor) -> Tensor:
        """See the class."""
        count, window = codes.shape[:2]
        lower = codes[:, :, :, FIRST_ROW:].flatten(0, 1)
        frames = self.place(self.frame(lower).flatten(1)).unflatten(0, (count, window))
        out: Tensor = self.time(frames.transpose(1, 2))
        return out


class SharedSpeech(nn.Module):
    """(B, C, T) features of a speech encoder, one column a frame -> (B, T * each), all >= 0."""

    def __init__(self, inputs: int, width: int, each: int, dropout: float) -> None:
        super().__init__()
        self.level = nn.BatchNorm1d(inputs, affine=False)
        self.join = nn.Conv1d(inputs, width, 1)
        self.drop = nn.Dropout(dropout)
        self.time = FramesInTime(width, each, dropout=dropout)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.time(self.drop(self.join(self.level(features))))
        return out


class SharedMel(nn.Module):
    """(B, 80, 4 T) log-mel -> (B, T * each), all >= 0."""

    def __init__(self, width: int, each: int, dropout: float) -> None:
        super().__init__()
        self.join = nn.Sequential(
            nn.Conv1d(80, width, 5, padding=2),
            nn.BatchNorm1d(width),
            nn.SiLU(),
            nn.Conv1d(width, width, 4, stride=4),
        )
        self.drop = nn.Dropout(dropout)
        self.time = FramesInTime(width, each, layers=3, dropout=dropout)

    def forward(self, mel: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.time(self.drop(self.join(mel)))
        return out


def _halved(c_in: int, c_out: int) -> list[nn.Module]:
    norm = nn.GroupNorm(math.gcd(8, c_out), c_out)
    return [nn.Conv2d(c_in, c_out, 3, 2, 1), norm, nn.SiLU()]
