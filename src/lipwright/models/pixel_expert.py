"""The pixel lip-sync expert of Wav2Lip, at any crop size: five lower halves and their speech.

Prajwal et al. (ACM MM 2020, section 3): T frames' lower halves are stacked in channels; both
encoders end in ReLU, their vectors are brought to unit length, and the cosine in [0, 1] is the
probability that they belong together. At 96 px, T = 5 and 16 mel columns this is exactly the
published network (16,435,072 parameters).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.errors import LipwrightError
from lipwright.models.layers import ConvBlock, residuals
from lipwright.models.pixel_unet import speech_trunk


class PixelExpert(nn.Module):
    """Two encoders into one non-negative space.

    Args:
        size: side S of the face crop; the network sees its lower half, (S/2, S).
        window: frames T.
        steps: mel columns of these frames (16 at 80 a second, 4 T at 100).
        width: multiplier of all channel counts; 1 is the published size.
        shared: look at every frame with the same weights first (:class:`SharedFrames`) instead of
            stacking frames in channels: not as published, but it learns from far fewer clips.
    """

    def __init__(
        self,
        size: int = 96,
        window: int = 5,
        steps: int = 16,
        width: float = 1.0,
        shared: bool = False,
    ) -> None:
        super().__init__()
        if size < 48 or size % 2:
            raise LipwrightError(
                f"the pixel expert needs an even crop of 48 px or more, not {size}."
            )
        self.size, self.window, self.steps = size, window, steps
        c = [max(4, round(v * width)) for v in (32, 64, 128, 256, 512, 512)]
        self.dim = c[5]
        self.speech_encoder = speech_trunk(steps, width, (2, 2, 2, 2), c[5])
        self.face_encoder: nn.Module
        if shared:
            self.face_encoder = SharedFrames(window, c[1:5], c[5])
            return
        layers: list[nn.Module] = [ConvBlock(3 * window, c[0], kernel=7, padding=3)]
        layers += [ConvBlock(c[0], c[1], kernel=5, stride=(1, 2)), *residuals(c[1], 2)]
        h, w = size // 2 - 2, (size - 3) // 2 + 1
        for i, n in ((2, 3), (3, 2), (4, 2), (5, 0)):
            layers += [ConvBlock(c[i - 1], c[i], stride=2), *residuals(c[i], n)]
            h, w = (h - 1) // 2 + 1, (w - 1) // 2 + 1
        while max(h, w) > 4:  # larger crops: further halvings
            layers.append(ConvBlock(c[5], c[5], stride=2))
            h, w = (h - 1) // 2 + 1, (w - 1) // 2 + 1
        layers.append(ConvBlock(c[5], c[5], kernel=(h, w), padding=0))
        layers.append(ConvBlock(c[5], c[5], kernel=1, padding=0))
        self.face_encoder = nn.Sequential(*layers)

    def embed_faces(self, frames: Tensor) -> Tensor:
        """(B, T, 3, S/2, S) lower halves in [0, 1] -> (B, D), unit length, all >= 0."""
        x: Tensor = self.face_encoder(frames.flatten(1, 2)).flatten(1)
        return F.normalize(x.float(), dim=1)

    def embed_speech(self, mel: Tensor) -> Tensor:
        """(B, 80, steps) log-mel -> (B, D), unit length, all >= 0."""
        x: Tensor = self.speech_encoder(mel.unsqueeze(1)).flatten(1)
        return F.normalize(x.float(), dim=1)

    def forward(self, frames: Tensor, mel: Tensor) -> Tensor:
        """(B,) cosine in [0, 1]."""
        return torch.sum(self.embed_faces(frames) * self.embed_speech(mel), dim=1)


class SharedFrames(nn.Module):
    """(B, 3T, H, W) stacked frames -> (B, dim, 1, 1), all >= 0.

    One encoder for all frames, so that each of them is an example of what a mouth looks like; a
    linear layer then sees the T vectors side by side.

    Args:
        window: frames T.
        channels: at a half, a quarter, an eighth and a sixteenth of the size; multiples of 8.
        dim: length of the embedding.
    """

    PLACES = (3, 6)

    def __init__(self, window: int, channels: Sequence[int], dim: int) -> None:
        super().__init__()
        self.window = window
        layers: list[nn.Module] = []
        before = 3
        for c in channels:
            layers += [*_normed(before, c, 2), *_normed(c, c, 1)]
            before = c
        self.frame = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(self.PLACES), nn.Flatten())
        self.place = nn.Linear(before * self.PLACES[0] * self.PLACES[1], dim // 2)
        self.mix = nn.Sequential(
            nn.SiLU(), nn.Linear(window * (dim // 2), dim), nn.LayerNorm(dim), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        b, _, h, w = x.shape
        frames = x.reshape(b * self.window, 3, h, w) - 0.5
        each = self.place(self.frame(frames))
        out: Tensor = self.mix(each.reshape(b, -1))
        return out[:, :, None, None]


def _normed(c_in: int, c_out: int, stride: int) -> list[nn.Module]:
    norm = nn.GroupNorm(math.gcd(8, c_out), c_out)
    return [nn.Conv2d(c_in, c_out, 3, stride, 1), norm, nn.SiLU()]
