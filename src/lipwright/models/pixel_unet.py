"""The pixel U-Net of the Wav2Lip family, at any crop size: faces and speech in, a face out.

Wav2Lip (Prajwal et al., ACM MM 2020): a face encoder of strided 3x3 convolutions with residual
blocks down to one cell, a speech encoder to the same width, a decoder of transposed convolutions
that takes the encoder's feature map of every size beside it. At 96 px with 16 mel columns this is
exactly the published generator (36,298,035 parameters). Larger crops get further stride-2 levels of
512 channels at the bottom, one per doubling: 96 has five, 128 five, 256 six, 768 eight. LipGAN and
Speech2Vid ("You said that?") run in the same network with other inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipwright.errors import LipwrightError
from lipwright.face_regions import blank_lower_half
from lipwright.models.audio_encoder import speech_layers
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.layers import ConvBlock, UpBlock, residuals

STILLS = 5
"""Pictures of the person that Speech2Vid sees."""
WIDTHS = (16, 32, 64, 128, 256, 512)
BLOCKS = (0, 2, 3, 2, 2, 1)
"""Residual blocks per encoder level."""
DECODER = (64, 128, 256, 384, 512)
"""Widths of the decoder's levels, finest first; all further ones have 512."""


def level_sides(size: int) -> list[int]:
    """Sides of the encoder levels, ``[96, 48, 24, 12, 6, 3]`` for 96; the last is below 6.

    Raises:
        LipwrightError: the size cannot be halved down to a side of 3 to 5.
    """
    sides = [size]
    while sides[-1] >= 6:
        if sides[-1] % 2:
            raise LipwrightError(
                f"a crop of {size} px cannot be halved down to 3 to 5 cells; use 96, 128 or a "
                "multiple by a power of two."
            )
        sides.append(sides[-1] // 2)
    if sides[-1] < 3 or len(sides) < 3:
        raise LipwrightError(f"a crop of {size} px is too small for this network; use 24 or more.")
    return sides


def speech_trunk(steps: int, width: float, blocks: Sequence[int], dim: int) -> nn.Sequential:
    """Speech encoder (B, 1, 80, steps) -> (B, dim, 1, 1).

    The mel axis is divided by 27; time by 6 for 16 columns at 80 a second (as published) and by 9
    for the 20 or more columns of the 100-a-second front end.
    """
    channels = [max(1, round(v * width)) for v in (32, 64, 128, 256)]
    strides = ((3, 1), (3, 3), (3, 2) if steps <= 16 else (3, 3))
    layers = speech_layers(steps, channels, strides, blocks, dim)
    return nn.Sequential(*layers, ConvBlock(dim, dim, kernel=1, padding=0))


class PixelUNet(nn.Module):
    """Faces and speech to a face.

    Args:
        size: side S of the crop.
        faces: pictures stacked in the input (masked target and reference: 2; five stills: 5).
        steps: mel columns of the window.
        width: multiplier of all channel counts; 1 is the published size.
        encoder: arguments of a network on top of a frozen speech encoder
            (:class:`~lipwright.models.encoder_lips.EncoderToLips`), which then hears in the place
            of the published speech encoder; ours.
    """

    def __init__(
        self,
        size: int = 96,
        faces: int = 2,
        steps: int = 16,
        width: float = 1.0,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.size, self.faces, self.steps = size, faces, steps
        sides = level_sides(size)
        depth = len(sides)

        def scaled(channels: int) -> int:
            return max(4, round(channels * width))

        enc = [scaled(WIDTHS[min(i, 5)]) for i in range(depth)]
        dec = [scaled(DECODER[i] if i < 5 else 512) for i in range(depth)]
        self.dim = dim = scaled(512)
        levels = [nn.Sequential(ConvBlock(3 * faces, enc[0], kernel=7, padding=3))]
        for i in range(1, depth):
            # Published: one residual block at the last level of 96 px.
            n = 1 if i == depth - 1 else BLOCKS[min(i, 4)]
            down = ConvBlock(enc[i - 1], enc[i], stride=2)
            levels.append(nn.Sequential(down, *residuals(enc[i], n)))
        levels.append(
            nn.Sequential(
                ConvBlock(enc[-1], dim, kernel=sides[-1], padding=0),
                ConvBlock(dim, dim, kernel=1, padding=0),
            )
        )
        self.face_encoder = nn.ModuleList(levels)
        self.encoded: EncoderToLips | None = None
        if encoder is None:
            self.speech_encoder = speech_trunk(steps, width, (2, 2, 2, 1), dim)
        else:
            self.encoded = EncoderToLips(dim=dim, **encoder)
        decoder = [nn.Sequential(ConvBlock(dim, dim, kernel=1, padding=0))]
        bottom = dec[depth - 1]
        decoder.append(
            nn.Sequential(UpBlock(2 * dim, bottom, sides[-1], 1, 0), *residuals(bottom, 1))
        )
        for i in range(depth - 2, -1, -1):
            up = UpBlock(dec[i + 1] + enc[i + 1], dec[i])
            decoder.append(nn.Sequential(up, *residuals(dec[i], 2)))
        self.decoder = nn.ModuleList(decoder)
        narrow = scaled(32)
        self.head = nn.Sequential(
            ConvBlock(dec[0] + enc[0], narrow), nn.Conv2d(narrow, 3, 1), nn.Sigmoid()
        )

    def forward(self, faces: Tensor, mel: Tensor) -> Tensor:
        """Draw.

        Args:
            faces: (B, 3 * faces, S, S) in [0, 1].
            mel: (B, 80, steps) log-mel in [-4, 4]; on top of a speech encoder (B, C, 1 + 2 layers)
                features of it, or (B, dim) what the network there makes of them.

        Returns:
            (B, 3, S, S) in [0, 1].
        """
        maps = []
        x = faces
        for level in self.face_encoder:
            x = level(x)
            maps.append(x)
        y = self.encode_speech(mel)
        for level in self.decoder:
            y = torch.cat([level(y), maps.pop()], dim=1)
        out: Tensor = self.head(y)
        return out

    def encode_speech(self, speech: Tensor) -> Tensor:
        """(B, dim, 1, 1) of the speech that :meth:`forward` takes."""
        if self.encoded is None:
            features: Tensor = self.speech_encoder(speech.unsqueeze(1))
            return features
        rows = self.encoded.sequence(speech)[:, 0] if speech.ndim == 3 else speech
        return rows[:, :, None, None]


def stack_input(kind: str, target: Tensor, reference: Tensor) -> Tensor:
    """The network's input channels (B, 6, S, S), pictures in [0, 1].

    Args:
        kind: ``wav2lip`` or ``lipgan``.
        target: (B, 3, S, S); its lower half is blanked (black, as published) and never seen.
        reference: (B, 3, S, S) another moment of the same face.
    """
    masked = blank_lower_half(target, 0.0)
    pair = (masked, reference) if kind == "wav2lip" else (reference, masked)
    return torch.cat(pair, dim=1)
