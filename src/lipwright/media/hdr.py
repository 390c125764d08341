"""Static metadata of HDR pictures: what the grading display could show, how bright it gets.

SMPTE ST 2086 (mastering display colour volume) and CTA-861.3 (maximum content light level and
maximum frame-average light level), as libav hands them over with a frame, and as the encoders take
them. Dynamic metadata (Dolby Vision, HDR10+) belongs to the pixels it was made for, which are
changed here; it cannot be kept.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av

from lipwright.media.side_data import side_data

PQ, HLG = 16, 18
"""Transfer codes of H.273: SMPTE ST 2084, and ARIB STD-B67."""

DOVI_5 = "Dolby Vision profile 5"
"""Has no base picture in usual colours, unlike the other profiles."""

_DYNAMIC = {
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "DOVI_METADATA": "Dolby Vision",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
}


@dataclass(frozen=True)
class MasteringDisplay:
    """SMPTE ST 2086.

    Attributes:
        red, green, blue, white: CIE 1931 (x, y).
        darkest, brightest: luminance in cd/m2.
    """

    red: tuple[Fraction, Fraction]
    green: tuple[Fraction, Fraction]
    blue: tuple[Fraction, Fraction]
    white: tuple[Fraction, Fraction]
    darkest: Fraction
    brightest: Fraction

    def x265(self) -> str:
        """As x264 and x265 take it: units of 0.00002 and of 0.0001 cd/m2."""
        return self._said(lambda x: str(round(x * 50_000)), lambda y: str(round(y * 10_000)))

    def svt(self) -> str:
        """As SVT-AV1 takes it: decimal numbers."""
        return self._said(lambda x: f"{float(x):.5f}", lambda y: f"{float(y):.4f}")

    def _said(self, place: Callable[[Fraction], str], light: Callable[[Fraction], str]) -> str:
        points = {"G": self.green, "B": self.blue, "R": self.red, "WP": self.white}
        where = "".join(f"{name}({place(x)},{place(y)})" for name, (x, y) in points.items())
        return f"{where}L({light(self.brightest)},{light(self.darkest)})"


@dataclass(frozen=True)
class HdrMetadata:
    """What a frame says about its light.

    Attributes:
        display: the mastering display, None if not given.
        light: (MaxCLL, MaxFALL) in cd/m2, None if not given.
        dynamic: names of dynamic metadata that cannot be kept.
    """

    display: MasteringDisplay | None = None
    light: tuple[int, int] | None = None
    dynamic: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.display is not None or self.light is not None


def hdr_metadata(frame: av.VideoFrame) -> HdrMetadata:
    """Read the metadata of a decoded frame; empty where there is none."""
    found = {
        name: data
        for name in (*_DYNAMIC, "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
        if (data := side_data(frame, name)) is not None
    }
    dynamic = tuple(dict.fromkeys(_DYNAMIC[name] for name in found if name in _DYNAMIC))
    if _has_own_colours(found.get("DOVI_RPU_BUFFER", b"")):
        dynamic = (DOVI_5, *(name for name in dynamic if name != "Dolby Vision"))
    return HdrMetadata(
        _display(found.get("MASTERING_DISPLAY_METADATA", b"")),
        _light(found.get("CONTENT_LIGHT_LEVEL", b"")),
        dynamic,
    )


def _has_own_colours(rpu: bytes) -> bool:
    """Whether the colours of a picture mean something to Dolby Vision only.

    Read from the head of the metadata of a frame (ETSI GS CCM 001, 5.3.1 and annex B): of the
    profiles that have ``vdr_rpu_profile`` 0, only the fifth has full range.
    """
    bits = "".join(f"{byte:08b}" for byte in rpu[:12])
    if len(bits) < 96 or bits[:14] != f"{25:08b}{2:06b}":  # prefix, type
        return False
    profile, has_sequence = int(bits[25:29], 2), bits[33] == "1"
    place = 37  # behind the filter flag and the type of coefficients
    if bits[35:37] == "00":  # fixed point: the width follows as an Exp-Golomb code
        zeros = bits[place:].find("1")
        place += 2 * zeros + 1 if zeros >= 0 else len(bits)
    return has_sequence and profile == 0 and bits[place + 2 : place + 3] == "1"


def _display(raw: bytes) -> MasteringDisplay | None:
    """From libav's AVMasteringDisplayMetadata: ten rationals and two flags."""
    if len(raw) < 88:
        return None
    numbers = struct.unpack("=20i2i", raw[:88])
    if not (numbers[20] and numbers[21]) or not all(numbers[1:20:2]):
        return None
    values = [Fraction(numbers[i], numbers[i + 1]) for i in range(0, 20, 2)]
    red, green, blue, white = ((values[i], values[i + 1]) for i in (0, 2, 4, 6))
    return MasteringDisplay(red, green, blue, white, values[8], values[9])


def _light(raw: bytes) -> tuple[int, int] | None:
    if len(raw) < 8:
        return None
    most, average = struct.unpack("=2I", raw[:8])
    return (most, average) if most or average else None
