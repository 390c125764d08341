"""Speech encoders: a log-mel window to one vector.

Layout after Wav2Lip's speech encoder (Prajwal et al., ACM MM 2020), as Gupta et al. (WACV 2023,
section 3.1) take it over, for 100 mel columns a second: strided 3x3 convolutions with batch
normalisation, ReLU and residual blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lipwright.models.layers import ConvBlock, residuals


def speech_layers(
    steps: int,
    channels: Sequence[int],
    strides: Sequence[tuple[int, int]],
    blocks: Sequence[int],
    dim: int,
) -> list[nn.Module]:
    """The layers from (B, 1, 80, steps) log-mel to (B, dim, 1, 1), Wav2Lip's plan.

    Args:
        steps: mel columns of the window.
        channels: width of the four levels.
        strides: (mel, time) strides of levels 2 to 4.
        blocks: residual blocks of the four levels.
        dim: length of the vector.
    """
    layers: list[nn.Module] = [ConvBlock(1, channels[0]), *residuals(channels[0], blocks[0])]
    mel, time = 80, steps
    for c_in, c_out, stride, n in zip(channels, channels[1:], strides, blocks[1:], strict=False):
        layers += [ConvBlock(c_in, c_out, stride=stride), *residuals(c_out, n)]
        mel, time = (mel - 1) // stride[0] + 1, (time - 1) // stride[1] + 1
    layers.append(ConvBlock(channels[-1], dim, kernel=(mel, time), padding=0))
    return layers


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
        pairs = [(3, s) for s in strides]
        self.trunk = nn.Sequential(
            *speech_layers(steps, channels, pairs, [blocks] * len(channels), dim)
        )
        self.head: nn.Module = (
            ConvBlock(dim, dim, kernel=1, padding=0) if final_relu else nn.Conv2d(dim, dim, 1)
        )

    def forward(self, mel: Tensor) -> Tensor:
        """Encode (B, 80, steps) log-mel in [-4, 4]."""
        h: Tensor = self.head(self.trunk(mel.unsqueeze(1)))
        return h.flatten(1)
