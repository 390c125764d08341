"""SMPTE time code as exact fractions of seconds (SMPTE ST 12-1, section 5).

A time code counts frames, not time: at 30000/1001 frames per second a label that reads one hour is
3.6 s later than one hour. Drop-frame leaves out labels, never frames: 2 (of 30) or 4 (of 60) at the
start of every minute but each tenth. No float is ever involved.
"""

from __future__ import annotations

import re
from fractions import Fraction

_CODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.,])(\d{2,3})")
_COMMON = (24, 25, 30, 48, 50, 60, 100, 120)


def exact_rate(value: Fraction) -> Fraction:
    """The frame rate that is meant by 29.97 or 23.976; others as they are."""
    for whole in _COMMON:
        if abs(value - whole) < Fraction(1, 1000):
            return Fraction(whole)
        if abs(value - Fraction(whole * 1000, 1001)) < Fraction(1, 200):
            return Fraction(whole * 1000, 1001)
    return value


def drops(rate: Fraction) -> int:
    """Labels that drop-frame leaves out each minute; 0 where the rate has no drop-frame."""
    whole = round(rate)
    return whole // 15 if rate.denominator == 1001 and whole in (30, 60, 120) else 0


def seconds_of(code: str, rate: Fraction, drop: bool | None = None) -> Fraction:
    """When the frame with a label begins.

    Args:
        code: ``01:02:03:04``; with ``;`` before the frames it is drop-frame whatever ``drop`` says.
        rate: exact frames per second.
        drop: whether the list says that it is drop-frame.

    Raises:
        ValueError: no time code, or a label that does not exist; the reason in words.
    """
    found = _CODE.fullmatch(code.strip())
    if found is None:
        raise ValueError(f"'{code}' is no time code such as 01:02:03:04")
    hours, minutes, seconds, frame = (int(found[n]) for n in (1, 2, 3, 5))
    whole = round(rate)
    if minutes > 59 or seconds > 59 or frame >= whole:
        raise ValueError(f"'{code}' does not exist at {whole} frames a second")
    total = (hours * 3600 + minutes * 60 + seconds) * whole + frame
    if drop or found[4] in ";,":
        left_out = drops(rate)
        if not left_out:
            raise ValueError(f"'{code}' is drop-frame, which {float(rate):g} fps does not have")
        if seconds == 0 and frame < left_out and minutes % 10:
            raise ValueError(f"'{code}' does not exist in drop-frame")
        whole_minutes = hours * 60 + minutes
        total -= left_out * (whole_minutes - whole_minutes // 10)
    return Fraction(total) / rate
