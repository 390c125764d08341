"""The method for comparison that changes nothing: the faces come back as they went in.

Every table has a row that shows what the pipeline itself costs; it also lets the whole job be
tested without a network.
"""

from __future__ import annotations

from pathlib import Path

from lipwright.media.mel import AudioSpec
from lipwright.methods.base import Array, Method, MethodInfo, ReferenceLips, Rendered


class CopyMethod(Method):
    """Returns the source faces."""

    def __init__(self, size: int = 256) -> None:
        self.info = MethodInfo("copy", "copy", size, AudioSpec(), "none")

    def start(self, reference: Array, lips: ReferenceLips | None = None) -> None:
        """There is nothing to prepare."""

    def render(self, faces: Array, audio: Array, state: None) -> Rendered:
        """Return ``faces`` as both the speaking face and its baseline."""
        return Rendered(faces, faces)


def load_copy(path: Path | None, device: str, backend: str) -> CopyMethod:
    """Build it; there is nothing to load."""
    return CopyMethod()
