"""The lip-sync generator in code space, as the paper describes it.

Gupta et al. (WACV 2023, section 3.1): the pose code (from the face whose lower half is blanked) and
the reference code (another frame of the same person) are concatenated; a face encoder and a speech
encoder give one 256-vector each; a decoder with skip connections from the face encoder draws the
code grid of the target frame. Channel plan: methods reading of the paper's open points, see
docs/methods/vq.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lipwright.models.audio_encoder import SpeechEncoder
from lipwright.models.layers import ConvBlock, UpBlock, drop_norms, residuals


class CodeGenerator(nn.Module):
    """U-Net over 16x16 code grids with speech at the bottleneck.

    Args:
        code_dim: channels D of a face's code grid.
        pose_dim: channels D' of a pose code grid; 0 for as many.
        folded: without batch normalisations, for weights into which they were folded.
        channels: widths at 16, 8, 4, 2 and 1 cells.
        blocks: residual blocks at 16, 8, 4 and 2 cells, in encoder and decoder alike.
        dim: length of the face vector and of the speech vector.
        audio_steps: mel columns of a window.
    """

    def __init__(
        self,
        code_dim: int = 256,
        channels: Sequence[int] = (256, 256, 384, 512, 512),
        blocks: Sequence[int] = (2, 2, 2, 1),
        dim: int = 256,
        audio_steps: int = 20,
        audio_channels: Sequence[int] = (32, 64, 128, 256),
        pose_dim: int = 0,
        folded: bool = False,
    ) -> None:
        super().__init__()
        self.dim = dim
        stages: list[nn.Module] = []
        width = (pose_dim or code_dim) + code_dim
        for level, (c, n) in enumerate(zip(channels[:4], blocks, strict=True)):
            stages.append(
                nn.Sequential(ConvBlock(width, c, stride=1 if level == 0 else 2), *residuals(c, n))
            )
            width = c
        stages.append(
            nn.Sequential(
                ConvBlock(width, channels[4], stride=2),
                ConvBlock(channels[4], dim, kernel=1, padding=0),
            )
        )
        self.down = nn.ModuleList(stages)
        self.speech = SpeechEncoder(audio_steps, dim, audio_channels)
        self.mix = ConvBlock(2 * dim, channels[4], kernel=1, padding=0)
        ups: list[nn.Module] = []
        width = channels[4] + dim
        for c, n in zip(reversed(channels[:4]), reversed(blocks), strict=True):
            ups.append(nn.Sequential(UpBlock(width, c), *residuals(c, n)))
            width = 2 * c
        self.up = nn.ModuleList(ups)
        self.out = nn.Sequential(ConvBlock(width, code_dim), nn.Conv2d(code_dim, code_dim, 1))
        if folded:
            drop_norms(self)

    def forward(self, pose: Tensor, reference: Tensor, mel: Tensor) -> Tensor:
        """Draw code grids.

        Args:
            pose: (B, D', 16, 16) Pose-VQGAN codes, unit component variance.
            reference: (B, D, 16, 16) Face-VQGAN codes of another frame.
            mel: (B, 80, audio_steps).

        Returns:
            (B, D, 16, 16), signed, not snapped to entries.
        """
        return self.draw(pose, reference, self.speech(mel))

    def draw(self, pose: Tensor, reference: Tensor, speech: Tensor) -> Tensor:
        """The same from speech vectors (B, dim)."""
        x = torch.cat([pose, reference], dim=1)
        skips: list[Tensor] = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        x = torch.cat(
            [self.mix(torch.cat([x, speech[:, :, None, None]], dim=1)), skips.pop()], dim=1
        )
        for up in self.up:
            x = torch.cat([up(x), skips.pop()], dim=1)
        out: Tensor = self.out(x)
        return out
