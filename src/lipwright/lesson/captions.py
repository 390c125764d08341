"""WebVTT files: what is said in a clip, and when (W3C, "WebVTT", 2019)."""

from __future__ import annotations

import html
from fractions import Fraction


def web_vtt(text: str, start: Fraction, end: Fraction) -> str:
    """A file with one caption.

    Args:
        text: of the caption; one line.
        start: seconds.
        end: seconds, after ``start``.
    """
    escaped = html.escape(" ".join(text.split()), quote=False)
    return f"WEBVTT\n\n{_time(start)} --> {_time(end)}\n{escaped}\n"


def _time(seconds: Fraction) -> str:
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
