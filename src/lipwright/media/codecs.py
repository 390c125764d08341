"""The codecs that ``--codec`` offers: their encoders, and which files can hold them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import av.error

from lipwright.media.thread_priority import ordinary_priority


@dataclass(frozen=True)
class CodecInfo:
    """One codec.

    Attributes:
        encoder: libav's name of its encoder.
        pix_fmt: a pixel format that the encoder takes.
        suffixes: of the files that can hold it.
        note: what it is good for.
    """

    encoder: str
    pix_fmt: str
    suffixes: tuple[str, ...]
    note: str


CODECS: dict[str, CodecInfo] = {
    "h264": CodecInfo("libx264", "yuv420p", (".mp4", ".m4v", ".mov", ".mkv"), "plays everywhere"),
    "hevc": CodecInfo("libx265", "yuv420p", (".mp4", ".m4v", ".mov", ".mkv"), "smaller, slower"),
    "av1": CodecInfo("libsvtav1", "yuv420p", (".mp4", ".m4v", ".mkv", ".webm"), "smaller still"),
    "vp9": CodecInfo("libvpx-vp9", "yuv420p", (".mp4", ".m4v", ".mkv", ".webm"), "web"),
    "prores": CodecInfo("prores_ks", "yuv422p10le", (".mov", ".mkv"), "editing, large"),
}


@cache
def encodes(name: str) -> bool:
    """Whether this installation's libav really encodes a codec: one grey picture is tried."""
    info = CODECS[name]
    os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes to the terminal by itself
    try:
        context = av.CodecContext.create(info.encoder, "w")
        context.width, context.height, context.pix_fmt = 128, 128, info.pix_fmt  # type: ignore[attr-defined]
        context.time_base = Fraction(1, 25)
        if name == "hevc":
            context.options = {"x265-params": "log-level=none"}
        frame = av.VideoFrame(128, 128, info.pix_fmt)
        frame.pts = 0
        with ordinary_priority():
            made = [*context.encode(frame), *context.encode(None)]  # type: ignore[attr-defined]
        return bool(sum(packet.size for packet in made))
    except (av.error.FFmpegError, ValueError, OSError):
        return False
