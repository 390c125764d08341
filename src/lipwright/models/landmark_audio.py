"""AT-net: from speech to the motion of the face.

Chen et al. (CVPR 2019), sizes after the published code: each frame's 28 x 12 MFCC (280 ms) go
through a small convolutional network to 256 numbers, the example's coefficients through two linear
layers to 512; three layers of LSTM follow the sequence, and a linear layer gives the coefficients
of each frame.

Options that are not from the paper: the mel spectrogram as front end (a learnt linear map takes its
80 bands to as many "coefficients" as MFCC has; it starts as a cosine transform, the rest is the
same), and beside it the features of a frozen network that was trained on many more voices
(:mod:`lipwright.models.speech_embedding`); or, in the place of both, a frozen speech encoder with a
small network on top of it (``whisper``, :class:`~lipwright.models.encoder_lips.EncoderToLips`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.speech_embedding import FEATURES, FIELD, SpeechEmbedding

State = tuple[Tensor, Tensor]
"""Hidden and cell state of the LSTM, (layers, B, hidden) each."""

MEL_BANDS = 80


def block(c_in: int, c_out: int) -> nn.Sequential:
    """Convolution of 3, batch normalisation, ReLU."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, 1, 1), nn.BatchNorm2d(c_out), nn.ReLU())


class LandmarkAudio(nn.Module):
    """AT-net.

    Args:
        components: K, coefficients of the landmark space.
        features: ``mfcc``, ``mel`` or ``whisper``, which has no ``bands``, ``channels``, ``dense``.
        steps: columns of sound that a frame sees.
        bands: coefficients per column behind the front end.
        channels: of the five convolutions.
        dense: width of the first linear layer behind them.
        hidden: of the sound's feature vector and of the LSTM.
        layers: of the LSTM.
        example: widths of the two linear layers for the example's coefficients.
        dropout: between the layers of the LSTM and before them; 0 in the paper.
        embedding: listen with the frozen speech embedding as well; needs ``mel`` and at least 56
            steps, of which it hears the middle.
        encoder: further arguments of the network on top of the speech encoder, for ``whisper``.
    """

    def __init__(
        self,
        components: int = 6,
        features: str = "mfcc",
        steps: int = 28,
        bands: int = 12,
        channels: Sequence[int] = (64, 128, 256, 256, 512),
        dense: int = 2048,
        hidden: int = 256,
        layers: int = 3,
        example: Sequence[int] = (256, 512),
        dropout: float = 0.0,
        embedding: bool = False,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if features not in ("mfcc", "mel", "whisper"):
            raise ValueError(f"features are mfcc, mel or whisper, not {features}")
        if embedding and (features != "mel" or steps < FIELD):
            raise ValueError(f"the speech embedding needs mel, and at least {FIELD} steps")
        self.components, self.features, self.steps, self.bands = components, features, steps, bands
        self.front: nn.Module = nn.Identity()
        self.encoded: EncoderToLips | None = None
        if features == "whisper":
            self.encoded = EncoderToLips(dim=hidden, **(encoder or {}))
        else:
            self._window_encoder(steps, bands, list(channels), dense, hidden)
        self.example = nn.Sequential(
            nn.Linear(components, example[0]),
            nn.ReLU(),
            nn.Linear(example[0], example[1]),
            nn.ReLU(),
        )
        self.embedding = SpeechEmbedding().requires_grad_(False) if embedding else None
        if embedding:
            self.known = nn.Sequential(
                nn.BatchNorm1d(FEATURES, affine=False), nn.Linear(FEATURES, hidden), nn.ReLU()
            )
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            example[1] + (2 if embedding else 1) * hidden,
            hidden,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.head = nn.Linear(hidden, components)

    def _window_encoder(
        self, steps: int, bands: int, c: list[int], dense: int, hidden: int
    ) -> None:
        if self.features == "mel":
            self.front = nn.Linear(MEL_BANDS, bands)
            with torch.no_grad():
                self.front.weight.copy_(_cosines(bands))
        self.sound = nn.Sequential(
            block(1, c[0]),
            block(c[0], c[1]),
            nn.MaxPool2d(3, (1, 2)),
            block(c[1], c[2]),
            block(c[2], c[3]),
            block(c[3], c[4]),
            nn.MaxPool2d(3, (2, 2)),
        )
        with torch.no_grad():
            self.sound.eval()
            flat = self.sound(torch.zeros(1, 1, steps, bands)).numel()
            self.sound.train()
        self.sound_dense = nn.Sequential(
            nn.Linear(flat, dense), nn.ReLU(), nn.Linear(dense, hidden), nn.ReLU()
        )

    def forward(
        self,
        example: Tensor,
        sound: Tensor,
        state: State | None = None,
        known: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Follow a sequence.

        Args:
            example: (B, K) coefficients of the example.
            sound: (B, T, C, steps) windows, C = 12 for MFCC or 80 for mel, T free; for ``whisper``
                (B, C, T + 2 layers), features of its frozen encoder by frame.
            state: of the frames before; None at the beginning.
            known: (B, T, 576) what the speech embedding makes of these windows, for those who have
                it from the whole stretch at a tenth of the cost; None: it is computed here.

        Returns:
            (B, T, K) coefficients, and the state behind the last frame.
        """
        if self.encoded is not None:
            sound = self.encoded.sequence(sound)
        x = self.lstm_input(example, sound, known)
        out, state = self.lstm(self.dropout(x), state)
        return self.head(out), state

    def lstm_input(self, example: Tensor, sound: Tensor, known: Tensor | None = None) -> Tensor:
        """What the LSTM hears, (B, T, example + features).

        Arguments as in :meth:`forward`; for ``whisper`` the sound is (B, T, hidden), what the
        network on top of the encoder makes of it.
        """
        b, t = sound.shape[:2]
        e = self.example(example)[:, None].expand(-1, t, -1)
        if self.encoded is not None:
            return torch.cat([e, sound], dim=-1)
        audio_features = sound.flatten(0, 1)
        x = self.front(audio_features.transpose(1, 2))  # (B T, steps, bands)
        x = self.sound_dense(self.sound(x[:, None]).flatten(1))
        if self.embedding is not None:
            if known is None:
                first = (self.steps - FIELD) // 2
                features = self.embedding(audio_features[:, :, first : first + FIELD]).squeeze(2)
            else:
                features = known.flatten(0, 1)
            x = torch.cat([x, self.known(features)], dim=1)
        return torch.cat([e, x.unflatten(0, (b, t))], dim=-1)


def _cosines(bands: int) -> Tensor:
    """Rows 1 to ``bands`` of the orthonormal DCT-II, (bands, 80): a cepstrum of log-mel bands."""
    n = torch.arange(MEL_BANDS)
    k = torch.arange(1, bands + 1)[:, None]
    return math.sqrt(2.0 / MEL_BANDS) * torch.cos(math.pi * k * (2 * n + 1) / (2 * MEL_BANDS))
