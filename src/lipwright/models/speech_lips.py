"""From speech to what the lips do: a small convolutional network over the mel spectrogram.

Half an hour of speech is enough to learn which lip shapes a sound goes with, and far too little to
learn it inside a picture network without overfitting to the training clips. So speech reaches the
generator of the default method through this network and the few numbers of
:class:`~lipwright.models.lip_space.LipSpace` alone (compare AT-net in Chen et al., CVPR 2019).

All convolutions are "valid" in time: run over a whole clip the network gives the same numbers as
run over each frame's window, and training over clips costs a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.speech_embedding import (
    COLUMNS_PER_FRAME,
    FEATURES,
    FIELD,
    MEL_LIMIT,
    SpeechEmbedding,
)

_BLOCK = 2048  # columns that are looked at in one go
_FRONT_FIELD = 12  # mel columns that one output of the convolutional front end depends on


class ContextLayer(nn.Module):
    """Residual block that sees one frame to the left and one to the right."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 3)
        self.norm = nn.BatchNorm1d(channels)
        self.drop = nn.Dropout(dropout)
        self.mix = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n) -> (B, C, n - 2)."""
        h: Tensor = self.mix(self.drop(F.silu(self.norm(self.conv(x)))))
        return x[:, :, 1:-1] + h


class SpeechToLips(nn.Module):
    """(B, 80, steps) -> (B, dim); over longer input one row per frame.

    Args:
        dim: length K of a motion.
        channels: widths of the three two-dimensional layers.
        width: channels of the layers over frames.
        layers: of them; each adds a frame of context on either side.
        dropout: after the front end and inside the layers.
        embedding: listen as well with the frozen
            :class:`~lipwright.models.speech_embedding.SpeechEmbedding`, which knows many more
            voices than a corpus of faces.
    """

    def __init__(
        self,
        dim: int = 8,
        channels: Sequence[int] = (24, 40, 56),
        width: int = 160,
        layers: int = 8,
        dropout: float = 0.2,
        embedding: bool = False,
    ) -> None:
        super().__init__()
        a, b, c = channels
        self.layers = layers
        self.field = FIELD if embedding else _FRONT_FIELD
        self.front = nn.Sequential(
            *(nn.Conv2d(1, a, (5, 3), (2, 1), (2, 0)), nn.BatchNorm2d(a), nn.SiLU()),
            *(nn.Conv2d(a, b, (5, 4), (2, 2), (2, 0)), nn.BatchNorm2d(b), nn.SiLU()),
            *(nn.Conv2d(b, c, (3, 4), (2, 2), (1, 0)), nn.BatchNorm2d(c), nn.SiLU()),
        )
        self.embedding = SpeechEmbedding().requires_grad_(False) if embedding else None
        self.level = nn.BatchNorm1d(FEATURES, affine=False) if embedding else None
        self.join = nn.Conv1d(c * 10 + (FEATURES if embedding else 0), width, 1)
        self.drop = nn.Dropout(dropout)
        self.context = nn.Sequential(*(ContextLayer(width, dropout) for _ in range(layers)))
        self.dim = dim
        self.head = nn.Sequential(nn.BatchNorm1d(width), nn.SiLU(), nn.Conv1d(width, dim, 1))

    @property
    def steps(self) -> int:
        """Mel columns that one frame sees."""
        return self.field + 2 * COLUMNS_PER_FRAME * self.layers

    @property
    def before(self) -> int:
        """Of these, how many lie before the frame's time."""
        return self.steps // 2 - 2

    def sequence(self, mel: Tensor) -> Tensor:
        """(B, 80, steps + 4 (n - 1)) log-mel in [-4, 4] -> (B, n, K), a row for every frame."""
        h = self.front(mel.unsqueeze(1)).flatten(1, 2)
        if self.embedding is not None and self.level is not None:
            # Five frames of the front end lie beside the embedding's first on the left, six on the
            # right: the two look at the same frame 20 ms apart, which the layers above can bridge.
            known = self.level(self.embedding(mel))
            beside = (FIELD - _FRONT_FIELD) // (2 * COLUMNS_PER_FRAME)
            h = torch.cat([h[:, :, beside : beside + known.shape[2]], known], dim=1)
        out: Tensor = self.head(self.context(self.drop(self.join(h))))
        return out.transpose(1, 2)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, 80, steps) -> (B, K)."""
        return self.sequence(mel)[:, 0]

    def dense(self, mel: Tensor) -> Tensor:
        """A whole recording at once: (80, T) log-mel -> (K, T), a motion for every column.

        Column c is what :meth:`forward` tells of the window that a frame at that time sees. Frames
        lie four columns apart, so the four ways to begin are run one after another, in blocks that
        bound the memory.
        """
        total = mel.shape[1]
        padded = F.pad(mel, (self.before, self.steps), value=-MEL_LIMIT)
        out = mel.new_zeros(self.dim, total)
        for start in range(0, total, _BLOCK):
            stop = min(start + _BLOCK, total)
            for first in range(start, min(start + COLUMNS_PER_FRAME, stop)):
                frames = len(range(first, stop, COLUMNS_PER_FRAME))
                end = first + self.steps + COLUMNS_PER_FRAME * (frames - 1)
                predicted = self.sequence(padded[None, :, first:end])[0]
                out[:, first:stop:COLUMNS_PER_FRAME] = predicted.T
        return out
