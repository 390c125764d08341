"""Words that options and encoders share; imports nothing."""

from __future__ import annotations

from typing import Literal

Kind = Literal["mp4", "mov", "mkv", "webm"]
"""Containers that are written."""
Pixels = Literal["keep", "8"]
"""``keep``: bit depth and sampling of the source; ``8``: 8 bit 4:2:0."""
