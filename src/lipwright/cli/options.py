"""Choices that several commands share."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from lipwright.errors import LipwrightError

Length = Literal["auto", "video", "speech"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Backend = Literal["auto", "torch", "openvino"]
Detail = Literal["keep", "off"]
Region = Literal["face", "frame", "both"]


def frame_rate(text: str) -> Fraction:
    """A frame rate from ``25``, ``29.97`` or ``30000/1001``.

    Raises:
        LipwrightError: it is none.
    """
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise LipwrightError(
            f"'{text}' is no frame rate; write --fps 25 or --fps 30000/1001."
        ) from None
