"""From speech to what the lips do, on top of a frozen speech encoder.

A frozen :class:`~lipwright.models.whisper_encoder.WhisperEncoder` hears the whole recording; small
convolutional networks over its features, trained from different seeds and averaged, tell the
motions of :class:`~lipwright.models.lip_space.LipSpace`. Compare
:mod:`lipwright.models.speech_lips`, which hears the mel spectrogram itself.

Features come as one vector per frame of 25 fps: two columns of the encoder, side by side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.speech_lips import ContextLayer
from lipwright.models.whisper_encoder import BANDS, LOG_SILENCE, WhisperEncoder
from lipwright.recording_windows import COLUMNS_PER_FEATURE, FEATURES_PER_FRAME

_QUIET_COLUMNS = 400
"""Of the silence that :meth:`EncoderToLips.silence` hears, 4 s."""


class FeaturesToLips(nn.Module):
    """(B, C, n + 2 layers) features -> (B, n, dim).

    Args:
        inputs: C, numbers per frame.
        dim: length K of a motion.
        width: channels.
        layers: each adds a frame of context on either side.
        dropout: after the first layer and inside the others.
    """

    def __init__(self, inputs: int, dim: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.level = nn.BatchNorm1d(inputs, affine=False)
        self.join = nn.Conv1d(inputs, width, 1)
        self.drop = nn.Dropout(dropout)
        self.context = nn.Sequential(*(ContextLayer(width, dropout) for _ in range(layers)))
        self.head = nn.Sequential(nn.BatchNorm1d(width), nn.SiLU(), nn.Conv1d(width, dim, 1))

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        h = self.context(self.drop(self.join(self.level(features))))
        out: Tensor = self.head(h)
        return out.transpose(1, 2)


class EncoderToLips(nn.Module):
    """A whole recording to motions.

    Args:
        dim: length K of a motion.
        width: channels of each member.
        layers: of each member.
        dropout: of each member.
        members: networks that are averaged.
        encoder_width: channels of the encoder.
        encoder_heads: its attention heads.
        encoder_layers: its layers.
    """

    features = "whisper"
    """What :meth:`dense` hears, see ``media.features``."""

    def __init__(
        self,
        dim: int = 8,
        width: int = 160,
        layers: int = 6,
        dropout: float = 0.2,
        members: int = 1,
        encoder_width: int = 384,
        encoder_heads: int = 6,
        encoder_layers: int = 2,
    ) -> None:
        super().__init__()
        self.dim, self.layers = dim, layers
        encoder = WhisperEncoder(encoder_width, encoder_heads, encoder_layers)
        self.encoder = encoder.requires_grad_(False)
        inputs = FEATURES_PER_FRAME * encoder_width
        self.members = nn.ModuleList(
            FeaturesToLips(inputs, dim, width, layers, dropout) for _ in range(members)
        )

    def sequence(self, features: Tensor) -> Tensor:
        """(B, 2 encoder_width, n + 2 layers) -> (B, n, K): the members' mean."""
        return torch.stack([member(features) for member in self.members]).mean(0)

    @torch.no_grad()
    def silence(self) -> Tensor:
        """(1, K) what the members make of digital silence, far from its ends."""
        log_power = torch.full((1, BANDS, _QUIET_COLUMNS), LOG_SILENCE)
        rows = self.sequence(by_frame(self.encoder(log_power)))
        return rows[:, rows.shape[1] // 2]

    def dense(self, log_power: Tensor) -> Tensor:
        """(80, T) log10 power (``media.whisper_mel``) -> (K, T), a motion for every column."""
        total = log_power.shape[1]
        encoded = self.encoder.recording(log_power)
        # Frames lie two columns of the encoder apart: those that begin at even and at odd columns
        # are two recordings. Beyond the ends the first and the last column are repeated.
        count = encoded.shape[1]
        frames = -(-count // FEATURES_PER_FRAME)
        before = FEATURES_PER_FRAME * self.layers
        after = FEATURES_PER_FRAME * (frames + self.layers + 1) - count
        padded = F.pad(encoded[None], (before, after), mode="replicate")
        out = log_power.new_zeros(self.dim, FEATURES_PER_FRAME * frames)
        for first in range(FEATURES_PER_FRAME):
            part = padded[:, :, first : first + FEATURES_PER_FRAME * (frames + 2 * self.layers)]
            out[:, first::FEATURES_PER_FRAME] = self.sequence(by_frame(part))[0].T
        between = torch.cat([(out[:, :-1] + out[:, 1:]) / 2.0, out[:, -1:]], dim=1)
        spread = torch.stack([out, between], dim=2).flatten(1)
        assert COLUMNS_PER_FEATURE == 2
        return spread[:, :total]


def by_frame(features: Tensor) -> Tensor:
    """(B, C, 2 n) encoder columns -> (B, 2 C, n): the two columns of a frame, one after another."""
    batch, channels, count = features.shape
    n = count // FEATURES_PER_FRAME
    pairs = features[:, :, : FEATURES_PER_FRAME * n].reshape(batch, channels, n, FEATURES_PER_FRAME)
    return pairs.transpose(2, 3).transpose(1, 2).reshape(batch, FEATURES_PER_FRAME * channels, n)
