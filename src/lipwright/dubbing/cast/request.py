"""How a cast is asked for, in the place of a speech."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Original = Literal["auto", "keep", "duck", "drop"]


@dataclass(frozen=True)
class CastSpeech:
    """A cast, given in the place of a speech.

    Attributes:
        path: the cast file, see ``dubbing.cast.reading``.
        bed: music and effects below the speeches, or None.
        duck_bed: lower the bed where somebody speaks.
        original: what becomes of the film's own sound: ``keep``, ``duck`` where somebody speaks,
            ``drop``; ``auto``: ``drop`` where there is a bed, else ``duck``.
    """

    path: Path
    bed: Path | None = None
    duck_bed: bool = False
    original: Original = "auto"
