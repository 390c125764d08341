"""Dolby Vision and HDR10+: streams put together here, read by another program as well."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lipwright.media.encoding import choose_encoding, losses
from lipwright.media.hdr import DOVI_5
from lipwright.media.info import probe
from tests.conftest import ffprobe

NAL = b"\x00\x00\x00\x01"
HLG = "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"
PQ = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"


class Bits:
    """Numbers of any width, one after the other."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, value: int, width: int) -> None:
        self.text += f"{value:0{width}b}"

    def golomb(self, *values: int) -> None:
        """Unsigned Exp-Golomb codes."""
        for value in values:
            self.put(value + 1, 2 * (value + 1).bit_length() - 1)

    def bytes(self) -> bytes:
        text = self.text + "0" * (-len(self.text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def escaped(data: bytes) -> bytes:
    """With emulation prevention (H.265, 7.4.2)."""
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", data)


def hdr10_plus() -> bytes:
    """A message by SMPTE ST 2094-40: one window, no curve."""
    bits = Bits()
    for value, width in ((0xB5, 8), (0x3C, 16), (1, 16), (4, 8), (1, 8), (1, 2), (400, 27), (0, 1)):
        bits.put(value, width)
    for value, width in (*((5000, 17),) * 3, (1000, 17), (0, 4), (10, 10), (0, 3)):
        bits.put(value, width)
    message = bits.bytes()
    return NAL + b"\x4e\x01" + escaped(bytes([4, len(message)]) + message + b"\x80")


def dolby(profile: int) -> bytes:
    """A Dolby Vision metadata unit of profile 5 or 8, with curves that change nothing."""
    bits = Bits()
    own = profile == 5
    for value, width in ((25, 8), (2, 6), (18, 11), (0 if own else 1, 4), (0, 4), (1, 1), (0, 3)):
        bits.put(value, width)
    bits.golomb(23)
    bits.put(1, 2)
    bits.put(int(own), 1)
    bits.golomb(2, 2, 4)
    for value, width in ((0, 5), (1, 1), (0, 2)):
        bits.put(value, width)
    bits.golomb(0, 0, 0)
    for _ in range(3):
        bits.golomb(0)
        bits.put(1023, 20)
    bits.golomb(0, 0)
    for _ in range(3):
        bits.golomb(0, 0)
        bits.put(0, 1)
        bits.put(1 << 23, 24)
        bits.put(2 << 23, 26)
    bits.put(0, 32)
    return NAL + b"\x7c\x01" + escaped(bits.bytes() + b"\x80")


def film(folder: Path, name: str, tags: str, before: bytes = b"", behind: bytes = b"") -> Path:
    """HEVC with units before and behind the slices of every picture."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    raw, out = folder / "raw.hevc", folder / name
    source = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=0.2", "-pix_fmt", "yuv420p10le"]
    codec = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        f"log-level=none:bframes=0:{tags}",
    ]
    subprocess.run(["ffmpeg", "-v", "error", *source, *codec, str(raw)], check=True)
    stream = b""
    for unit in re.split(rb"\x00*\x00\x00\x01", raw.read_bytes())[1:]:
        slices = unit[0] >> 1 & 63 < 32
        if slices:
            stream += (before if unit[2] & 0x80 else b"") + NAL + unit + behind
        else:
            stream += NAL + unit
    raw.write_bytes(stream)
    copy = ["ffmpeg", "-v", "error", "-r", "25", "-i", str(raw), "-c", "copy", str(out)]
    subprocess.run(copy, check=True)
    return out


def told(path: Path) -> str:
    info = probe(path)
    return " ".join(losses(info, "mp4", choose_encoding("mp4", info)))


def other_names(path: Path) -> str:
    frames = ffprobe(path, "-select_streams", "v", "-show_frames", "-read_intervals", "%+#5")
    return str([data["side_data_type"] for data in frames["frames"][0].get("side_data_list", [])])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_hdr10_plus_is_lost_with_a_word(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path, f"v{suffix}", PQ, before=hdr10_plus())
    assert "HDR10+" in other_names(path)
    assert probe(path).hdr.dynamic == ("HDR10+",)
    assert "HDR10+ metadata" in told(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_dolby_vision_of_phones_is_lost_with_a_word(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path, f"v{suffix}", HLG, behind=dolby(8))
    assert "Dolby" in other_names(path)
    info = probe(path)
    assert info.hdr.dynamic == ("Dolby Vision",)
    assert (info.colour.transfer, info.colour.matrix) == (18, 9)  # HLG, BT.2020: they are kept
    assert "plain HDR picture" in told(path)


def test_dolby_vision_with_colours_of_its_own(tmp_path: Path) -> None:
    path = film(tmp_path, "v.mp4", "range=full", behind=dolby(5))
    assert "Dolby" in other_names(path)
    assert probe(path).hdr.dynamic == (DOVI_5,)
    assert "green and purple" in told(path)
    assert "plain HDR picture" not in told(path)


def test_usual_video_has_neither(tmp_path: Path) -> None:
    path = film(tmp_path, "v.mp4", HLG)
    assert probe(path).hdr.dynamic == ()
    assert told(path) == ""
