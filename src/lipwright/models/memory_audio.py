"""Audio encoders of the Audio-Lip Memory: speech to one feature per frame.

* ``window``: the paper's. 200 ms, strided convolutions after Wav2Lip
  (:class:`~lipwright.models.audio_encoder.SpeechEncoder`).
* ``context``: ours, for little data. 12 + 8 n columns (56 + 8 n with the embedding), n frames of
  context on either side (:class:`~lipwright.models.speech_lips.SpeechToLips`), which runs over
  whole stretches at the cost of a few windows, so that a training step hears hundreds of frames.
* ``encoder``: ours. The same on top of a frozen speech encoder that hears the whole recording
  (:class:`~lipwright.models.encoder_lips.EncoderToLips`).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from lipwright.models.audio_encoder import SpeechEncoder
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.running_mean import RunningMean
from lipwright.models.speech_embedding import COLUMNS_PER_FRAME, MEL_LIMIT
from lipwright.models.speech_lips import SpeechToLips
from lipwright.models.whisper_encoder import BANDS


class AudioEncoder(nn.Module):
    """(B, 80, steps) -> (B, dim), and row by row over longer input.

    Args:
        dim: length of the feature.
        kind: ``window``, ``context`` or ``encoder``.
        steps: mel columns of ``window``.
        before: how many of them lie before the frame's time.
        centred: subtract the running mean of features, see :mod:`~lipwright.models.running_mean`.
        options: further arguments of the network chosen by ``kind``.

    Attributes:
        features: which sound it hears, see ``media.features``.
        context: with ``encoder``, frames on either side of those that are asked for.
    """

    def __init__(
        self,
        dim: int = 512,
        kind: Literal["window", "context", "encoder"] = "window",
        steps: int = 20,
        before: int = 8,
        centred: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self.network: SpeechEncoder | SpeechToLips | EncoderToLips
        self.features, self.context = "mel", 0
        if kind == "context":
            self.network = SpeechToLips(dim=dim, **options)
            self.steps, self.before = self.network.steps, self.network.before
        elif kind == "encoder":
            self.network = EncoderToLips(dim=dim, **options)
            self.steps, self.before = 1, 0
            self.features, self.context = self.network.features, self.network.layers
        elif kind == "window":
            self.network = SpeechEncoder(steps, dim, final_relu=False, **options)
            self.steps, self.before = steps, before
        else:
            raise ValueError(f"audio.kind is window, context or encoder, not {kind!r}")
        self.running_mean = RunningMean(dim) if centred else nn.Identity()

    @property
    def encoder(self) -> EncoderToLips | None:
        """The network of the kind ``encoder``; None of the others."""
        return self.network if isinstance(self.network, EncoderToLips) else None

    def forward(self, mel: Tensor) -> Tensor:
        """Encode (B, 80, steps) log-mel in [-4, 4]; not for ``encoder``."""
        out: Tensor = self.running_mean(self.network(mel))
        return out

    def sequence(self, sound: Tensor) -> Tensor:
        """A row for every frame.

        Args:
            sound: (B, 80, steps + 4 (n - 1)) log-mel; for ``encoder`` (B, C, n + 2 context), its
                frozen encoder's features by frame.

        Returns:
            (B, n, dim).
        """
        if not isinstance(self.network, SpeechEncoder):
            rows: Tensor = self.running_mean(self.network.sequence(sound))
            return rows
        windows = sound.unfold(2, self.steps, COLUMNS_PER_FRAME).transpose(1, 2)
        out: Tensor = self.running_mean(self.network(windows.flatten(0, 1)))
        return out.reshape(*windows.shape[:2], -1)

    @torch.no_grad()
    def quiet(self) -> Tensor:
        """(1, dim) feature of digital silence."""
        if self.encoder is None:
            quiet: Tensor = self(torch.full((1, BANDS, self.steps), -MEL_LIMIT))
            return quiet
        rows: Tensor = self.running_mean(self.encoder.silence())
        return rows
