"""Speech encoders: a log-mel window to one vector.

Layout after Wav2Lip's speech encoder (Prajwal et al., ACM MM 2020), as Gupta et al. (WACV 2023,
section 3.1) take it over, for 100 mel columns a second: strided 3x3 convolutions with batch
normalisation, ReLU and residual blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class ConvBlock(nn.Module):
    """conv, batch normalisation, optional identity, ReLU (Wav2Lip's block)."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding)
        self.norm = nn.BatchNorm2d(c_out)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H', W')."""
        h: Tensor = self.norm(self.conv(x))
        return F.relu(h + x if self.residual else h)


class UpBlock(nn.Module):
    """Transposed convolution that doubles the side, batch normalisation, ReLU."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(c_in, c_out, 3, stride=2, padding=1, output_padding=1)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, 2H, 2W)."""
        return F.relu(self.norm(self.conv(x)))


def residuals(channels: int, n: int) -> list[nn.Module]:
    """``n`` residual blocks of one convolution each."""
    return [ConvBlock(channels, channels, residual=True) for _ in range(n)]


class SpeechEncoder(nn.Module):
    """(B, 80, steps) -> (B, dim).

    Args:
        steps: mel columns of the window (20 for 200 ms, 100 for one second).
        dim: length of the vector.
        channels: width of the four levels.
        blocks: residual blocks per level.
        time_strides: time stride of levels 2 to 4; the mel axis is always divided by 3. The
            default thins long windows more than short ones, so that 1 to 4 columns remain.
        final_relu: end with normalisation and ReLU (the sync expert's embedding, which
            is not negative) or linearly.
    """

    def __init__(
        self,
        steps: int = 20,
        dim: int = 256,
        channels: Sequence[int] = (32, 64, 128, 256),
        blocks: int = 2,
        time_strides: Sequence[int] | None = None,
        final_relu: bool = True,
    ) -> None:
        super().__init__()
        strides = tuple(time_strides) if time_strides else ((1, 3, 3) if steps <= 40 else (3, 3, 3))
        layers: list[nn.Module] = [ConvBlock(1, channels[0]), *residuals(channels[0], blocks)]
        mel, time = 80, steps
        for c_in, c_out, s in zip(channels, channels[1:], strides, strict=False):
            layers += [ConvBlock(c_in, c_out, stride=(3, s)), *residuals(c_out, blocks)]
            mel, time = (mel - 1) // 3 + 1, (time - 1) // s + 1
        layers.append(ConvBlock(channels[-1], dim, kernel=(mel, time), padding=0))
        self.trunk = nn.Sequential(*layers)
        self.head: nn.Module = (
            ConvBlock(dim, dim, kernel=1, padding=0) if final_relu else nn.Conv2d(dim, dim, 1)
        )

    def forward(self, mel: Tensor) -> Tensor:
        """Encode (B, 80, steps) log-mel in [-4, 4]."""
        h: Tensor = self.head(self.trunk(mel.unsqueeze(1)))
        return h.flatten(1)
