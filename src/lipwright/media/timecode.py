"""SMPTE time code as exact fractions of seconds (SMPTE ST 12-1, section 5).

A time code counts frames, not time: at 30000/1001 frames per second a label that reads one hour is
3.6 s later than one hour. Drop-frame leaves out labels, never frames: 2 (of 30) or 4 (of 60) at the
start of every minute but each tenth. No float is ever involved.
"""

from __future__ import annotations

import re
import struct
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


def advanced(code: str, frames: int, rate: Fraction) -> str:
    """The label ``frames`` frames after the one that reads ``code``; after a day it starts anew.

    Args:
        code: as for :func:`seconds_of`.
        frames: 0 or more.
        rate: exact frames per second.

    Raises:
        ValueError: as for :func:`seconds_of`.
    """
    count = int(seconds_of(code, rate) * rate) + frames
    mark = code.strip()[-3] if code.strip()[-3] in ":;.," else ":"
    whole, left_out = round(rate), drops(rate) if mark in ";," else 0
    if left_out:
        tens, rest = divmod(count, 600 * whole - 9 * left_out)
        # The first minute of ten keeps all its labels; each of the others is shorter.
        later = max(0, rest - 60 * whole) // (60 * whole - left_out) + (rest >= 60 * whole)
        count += left_out * (9 * tens + later)
    count %= 24 * 3600 * whole
    seconds, frame = divmod(count, whole)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{frame:02}"


def of_frame(kind: str, data: bytes, rate: Fraction) -> str | None:
    """The label that a decoded frame brings along.

    Args:
        kind: ``GOP_TIMECODE`` (ISO/IEC 13818-2, 6.3.8) or ``S12M_TIMECODE`` (H.264, HEVC and DV,
            the binary groups of SMPTE ST 12-1), libav's names.
        data: as libav hands it over.
        rate: exact frames per second; above 30, ST 12-1 counts pairs of frames and has a mark for
            the second.

    Returns:
        None where there is none, or nothing but zeros, as MPEG-2 encoders write it by default.
    """
    if kind == "GOP_TIMECODE" and len(data) >= 8:
        (word,) = struct.unpack("=q", data[:8])
        parts = [word >> 19 & 0x1F, word >> 13 & 0x3F, word >> 6 & 0x3F, word & 0x3F]
        drop = bool(word >> 24 & 1)
    elif kind == "S12M_TIMECODE" and len(data) >= 8 and struct.unpack("=I", data[:4])[0]:
        (word,) = struct.unpack("=I", data[4:8])
        fields = (word & 0x3F, word >> 8 & 0x7F, word >> 16 & 0x7F, word >> 24 & 0x3F)
        parts = [(value >> 4) * 10 + (value & 0xF) for value in fields]
        drop = bool(word >> 30 & 1)
        if rate > 30:
            parts[3] = 2 * parts[3] + (word >> (7 if round(rate) == 50 else 23) & 1)
    else:
        return None
    if not any(parts):
        return None
    hours, minutes, seconds, number = parts
    label = f"{hours:02}:{minutes:02}:{seconds:02}{';' if drop else ':'}{number:02}"
    try:
        seconds_of(label, rate)
    except ValueError:
        return None
    return label
