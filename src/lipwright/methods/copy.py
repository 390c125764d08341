"""The baseline that changes nothing: the faces come back as they went in.

Every table has a row that shows what the pipeline itself costs; it also lets the whole job be
tested without a network.
"""

from __future__ import annotations

from torch import Tensor

from lipwright.media.mel import AudioSpec
from lipwright.methods.base import ReferenceLips, Rendered


class CopyMethod:
    """Returns the source faces.

    Attributes:
        name: ``copy``.
        size: side of the crops in pixels.
        audio: window of the mel spectrogram, which is ignored.
        model_id: there is no checkpoint.
        stateless: frames do not depend on one another.
    """

    name = "copy"
    stateless = True

    def __init__(self, size: int = 256) -> None:
        self.size = size
        self.audio = AudioSpec()
        self.model_id = "copy"

    def start(self, reference: Tensor, lips: ReferenceLips | None = None) -> None:
        """There is nothing to prepare. ``reference``: (R, 3, S, S)."""

    def render(self, faces: Tensor, audio: Tensor, state: None) -> Rendered:
        """Return ``faces`` (B, 3, S, S) as both the speaking face and its baseline."""
        return Rendered(faces, faces)
