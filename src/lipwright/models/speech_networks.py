"""The networks that predict lip motion from speech, by what a checkpoint's header says of them."""

from __future__ import annotations

from typing import Any

from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.speech_lips import SpeechToLips

SpeechNetwork = SpeechToLips | EncoderToLips


def build_speech_network(kind: str = "mel", **arguments: Any) -> SpeechNetwork:
    """The network of a header's ``networks.speech``, without its weights.

    Args:
        kind: ``mel`` or ``encoder``.
        arguments: of :class:`SpeechToLips` or :class:`EncoderToLips`.

    Raises:
        TypeError: arguments that the network does not have.
        ValueError: an unknown kind.
    """
    if kind == "encoder":
        return EncoderToLips(**arguments)
    if kind != "mel":
        raise ValueError(f"speech networks are of kind mel or encoder, not {kind!r}")
    return SpeechToLips(**arguments)
