"""The lip-sync expert in code space: do these codes and this speech belong together?

Gupta et al. (WACV 2023, section 3.1): a face encoder eats the VQGAN codes of T consecutive frames,
a speech encoder their mel; both end in ReLU, so that the cosine of the two vectors lies in [0, 1]
and serves as a probability. The paper's choice is T = 25 (one second); T = 5 is its ablation.
A plain stack of 25 x 256 channels would put 160 M parameters into the first convolution; a shared
1x1 convolution per frame first brings the whole network to 33.7 M.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.errors import LipwrightError
from lipwright.models.audio_encoder import SpeechEncoder
from lipwright.models.layers import ConvBlock, residuals
from lipwright.models.shared_expert import SharedFaces, SharedMel, SharedSpeech

STEPS_PER_FRAME = 4
"""Mel columns per frame of 25 fps."""


class SyncExpert(nn.Module):
    """Two encoders into one non-negative space.

    Args:
        window: frames T.
        code_dim: channels of a code grid.
        stem: channels that each frame keeps.
        channels: widths at 16, 8, 4 and 2 cells.
        dim: length of the embeddings.
        audio_channels: widths of the speech encoder.
        shared: look at every frame with the same weights instead of stacking frames in channels
            (:mod:`lipwright.models.shared_expert`): not as published, but it learns from far fewer
            clips. Its widths are those of ``shared_channels`` and ``shared_width``; ``dim`` is then
            divided among the frames.
        speech_inputs: with ``shared``, numbers per frame of a speech encoder that is heard instead
            of the mel; 0 for the mel.
        dropout: with ``shared``.

    Attributes:
        each: numbers of every frame that lie side by side in an embedding, as (each, T); 0 without
            ``shared``.
    """

    def __init__(
        self,
        window: int = 25,
        code_dim: int = 256,
        stem: int = 64,
        channels: Sequence[int] = (512, 512, 512, 512),
        dim: int = 512,
        audio_channels: Sequence[int] = (32, 64, 128, 256),
        audio_blocks: int = 2,
        shared: bool = False,
        shared_channels: Sequence[int] = (80, 112),
        shared_width: int = 160,
        speech_inputs: int = 0,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.window, self.dim = window, dim
        self.speech_inputs = speech_inputs
        self.each = 0
        self.speech: nn.Module
        self.shared: SharedFaces | None = None
        if speech_inputs and not shared:
            raise LipwrightError("an expert that hears a speech encoder has to be a shared one.")
        if shared:
            self.each = each = max(1, dim // window)
            self.dim = each * window
            self.shared = SharedFaces(code_dim, shared_channels, shared_width, each, dropout)
            self.speech = (
                SharedSpeech(speech_inputs, shared_width, each, dropout)
                if speech_inputs
                else SharedMel(shared_width, each, dropout)
            )
            return
        self.stem = ConvBlock(code_dim, stem, kernel=1, padding=0)
        a, b, c, d = channels
        self.trunk = nn.Sequential(
            ConvBlock(stem * window, a),
            *residuals(a, 1),
            ConvBlock(a, b, stride=2),
            *residuals(b, 2),
            ConvBlock(b, c, stride=2),
            *residuals(c, 2),
            ConvBlock(c, d, stride=2),
            *residuals(d, 1),
            ConvBlock(d, dim, kernel=2, padding=0),
        )
        self.head = ConvBlock(dim, dim, kernel=1, padding=0)
        self.speech = SpeechEncoder(
            4 * window, dim, audio_channels, audio_blocks, time_strides=(3, 3, 3)
        )

    def embed_faces(self, codes: Tensor) -> Tensor:
        """(B, T, D, 16, 16) codes with unit component variance -> (B, dim), all >= 0."""
        if self.shared is not None:
            seen: Tensor = self.shared(codes)
            return seen
        b, t, d, h, w = codes.shape
        x = self.stem(codes.reshape(b * t, d, h, w)).reshape(b, -1, h, w)
        out: Tensor = self.head(self.trunk(x)).flatten(1)
        return out

    @property
    def columns(self) -> int:
        """Columns of speech per frame."""
        return 1 if self.speech_inputs else STEPS_PER_FRAME

    def embed_speech(self, speech: Tensor) -> Tensor:
        """(B, 80, 4T) log-mel, or (B, speech_inputs, T) features -> (B, dim), all >= 0."""
        out: Tensor = self.speech(speech)
        return out

    def forward(self, codes: Tensor, mel: Tensor) -> Tensor:
        """(B,) cosine in [0, 1]: the probability that codes and speech are in sync."""
        return F.cosine_similarity(
            self.embed_faces(codes).float(), self.embed_speech(mel).float(), dim=1, eps=1e-6
        )
