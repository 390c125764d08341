"""The two graphs of a method that hears with a frozen speech encoder: the encoder, and what was
trained on top of it (:mod:`lipwright.methods.encoded_speech` runs them).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lipwright.methods.encoded_speech import ENCODER, MEMBERS
from lipwright.methods.export import Export
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.whisper_encoder import BANDS, WhisperEncoder
from lipwright.recording_windows import FEATURES_PER_FRAME


class Single(nn.Module):
    """A network whose only result comes as a tuple, as all graphs give theirs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """See the network."""
        return (self.network(x),)


class SpeechRows(nn.Module):
    """What the members make of a frozen encoder's features, silence being 0 (``whole_speech``)."""

    quiet: Tensor

    def __init__(self, encoded: EncoderToLips) -> None:
        super().__init__()
        self.encoded = encoded
        self.register_buffer("quiet", encoded.silence(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(1, 2 C, n + 2 layers) -> (1, n, K)."""
        return self.encoded.sequence(features) - self.quiet


def speech_modules(encoder: WhisperEncoder, members: nn.Module) -> dict[str, nn.Module]:
    """Both by the names of their graphs.

    Args:
        encoder: (1, 80, t) log power -> (1, C, t / 2).
        members: (1, 2 C, n + 2 layers) features by frame -> (1, n, K).
    """
    return {ENCODER: Single(encoder), MEMBERS: Single(members)}


def speech_exports(modules: Mapping[str, nn.Module], width: int, layers: int) -> dict[str, Export]:
    """What becomes the two graphs, for an encoder of ``width`` channels."""
    window = torch.zeros(1, BANDS, 400)
    columns = torch.zeros(1, FEATURES_PER_FRAME * width, 40 + 2 * layers)
    return {
        ENCODER: Export(modules[ENCODER], (window,), {0: 2}),
        MEMBERS: Export(modules[MEMBERS], (columns,), {0: 2}),
    }
