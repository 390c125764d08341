"""The regression-based discriminator.

Chen et al. (CVPR 2019), sizes after the published code. It judges a sequence of frames in two ways:
is it real, as one number for the sequence, and which landmarks do its frames show. The second
question cannot be answered from frames whose mouths do not follow.

The published code averages with a fixed pool of 16; the mean here works for every length.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lipwright.models.landmark_video import LANDMARKS, conv


class LandmarkDiscriminator(nn.Module):
    """Frames and the example's landmarks in, a probability and landmarks out.

    Args:
        size: side of the frames.
        channels: of the stride-2 convolutions.
        dense: of a frame's feature vector, and of the example's.
        hidden, layers: of the LSTM.
    """

    def __init__(
        self,
        size: int = 128,
        channels: Sequence[int] = (64, 128, 256, 512),
        dense: int = 512,
        hidden: int = 256,
        layers: int = 3,
    ) -> None:
        super().__init__()
        first = nn.Sequential(nn.Conv2d(3, channels[0], 3, 2, 1), nn.ReLU())  # not normalised
        rest = (conv(a, b, 3, 2, 1, "batch") for a, b in pairwise(channels))
        self.picture = nn.Sequential(first, *rest)
        side = size >> len(channels)
        self.picture_dense = nn.Sequential(nn.Linear(channels[-1] * side**2, dense), nn.ReLU())
        self.example = nn.Sequential(
            nn.Linear(LANDMARKS, dense // 2), nn.ReLU(), nn.Linear(dense // 2, dense), nn.ReLU()
        )
        self.lstm = nn.LSTM(2 * dense, hidden, layers, batch_first=True)
        self.head_landmarks = nn.Sequential(nn.Linear(hidden, LANDMARKS), nn.Tanh())
        self.head_real = nn.Linear(hidden, 1)

    def forward(self, frames: Tensor, example: Tensor) -> tuple[Tensor, Tensor]:
        """Judge.

        Args:
            frames: (B, T, 3, S, S) in [-1, 1], T free.
            example: (B, 136) normalised landmarks of the example.

        Returns:
            (B,) probability that the sequence is real, and (B, T, 136) landmarks, within 1 of the
            example's.
        """
        b, t = frames.shape[:2]
        x = self.picture_dense(self.picture(frames.flatten(0, 1)).flatten(1)).unflatten(0, (b, t))
        e = self.example(example)[:, None].expand(-1, t, -1)
        out, _ = self.lstm(torch.cat([e, x], dim=-1))
        real = torch.sigmoid(self.head_real(out)[..., 0].mean(dim=1))
        return real, self.head_landmarks(out) + example[:, None]
