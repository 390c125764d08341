"""Clips with closed captions (CEA-608) in the messages of their H.264 frames, and their text.

No encoder at hand writes captions of its own, so the messages (SEI, ITU-T T.35) are put between the
frames here: two bytes a frame, as ATSC A/53 part 4 and CEA-608 lay them out.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import av

from tests.media.test_dynamic_hdr import escaped


def _with_parity(byte: int) -> int:
    return byte | (0x80 if bin(byte & 0x7F).count("1") % 2 == 0 else 0)


def _pairs(text: str) -> list[tuple[int, int]]:
    """Roll-up captions of two rows: every control code twice, then the text, then a new row."""
    control = [(0x14, 0x2C), (0x14, 0x25), (0x14, 0x2D), (0x14, 0x70)]
    padded = text + " " * (len(text) % 2)
    letters = [(ord(a), ord(b)) for a, b in zip(padded[::2], padded[1::2], strict=True)]
    return [pair for pair in control for _ in range(2)] + letters + [(0x14, 0x2D)] * 2


def _message(pair: tuple[int, int]) -> bytes:
    first = bytes([0xFC, _with_parity(pair[0]), _with_parity(pair[1])])  # field 1
    payload = b"\xb5\x00\x31GA94\x03" + bytes([0xC0 | 2, 0xFF]) + first + b"\xfd\x80\x80\xff"
    unit = bytes([6, 4, len(payload)]) + payload + b"\x80"
    return escaped(unit)


def add_captions(source: Path, out: Path, text: str) -> Path:
    """Copy an H.264 video without B-frames, with ``text`` in the captions of its first frames."""
    pairs = _pairs(text)
    with av.open(str(source)) as given, av.open(str(out), "w") as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        packets = [packet for packet in given.demux(stream) if packet.size]
        for number, packet in enumerate(packets):
            pair = pairs[number] if number < len(pairs) else (0, 0)
            message = _message(pair)
            data = len(message).to_bytes(4, "big") + message + bytes(packet)
            changed = av.Packet(data)
            changed.pts, changed.dts, changed.duration = packet.pts, packet.dts, packet.duration
            changed.time_base, changed.is_keyframe = packet.time_base, packet.is_keyframe
            changed.stream = copy
            made.mux(changed)
    return out


def captions_of(path: Path) -> list[str]:
    """The captions that ffmpeg reads from a video, tags left out, one entry for each text shown."""
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"movie={path.name}[out+subcc]"]
    command += ["-map", "s", "-f", "srt", "-"]
    made = subprocess.run(command, check=True, capture_output=True, text=True, cwd=path.parent)
    shown = [re.sub(r"<[^>]*>|\{[^}]*\}", "", part) for part in made.stdout.split("\n\n")]
    return [line.rstrip() for part in shown for line in part.splitlines()[2:] if line]
