"""A small file of every container that the reader takes and that libav can write.

``tests/contracts/test_container.py`` asks for a sample, or a reason, for each name of
``lipwright.media.source.CONTAINERS``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.conftest import write_speech, write_video

FRAMES, SIZE, SECONDS = 12, (64, 48), 1.0


@dataclass(frozen=True)
class Video:
    """A video of one container.

    Attributes:
        demuxer: its name in ``CONTAINERS``.
        name: of the file.
        codec, pix_fmt: what it is written with.
        size: width and height, where a format allows few.
        rate: frames per second, where a format allows few.
        options: further arguments of :func:`tests.conftest.write_video`.
        exact: the codec and its pixel format keep every code of the first plane.
        bare: the format stores no times: frames follow each other at ``rate``.
    """

    demuxer: str
    name: str
    codec: str
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = SIZE
    rate: int = 25
    options: dict[str, Any] = field(default_factory=dict)
    exact: bool = False
    bare: bool = False

    @property
    def frames(self) -> int:
        """1 of a picture."""
        return 1 if self.demuxer.endswith("_pipe") or self.demuxer == "image2" else FRAMES

    def write(self, folder: Path) -> Path:
        """Write the file into a folder."""
        given = {"time_base": Fraction(1, self.rate), "frames": FRAMES, **self.options}
        if self.pix_fmt.startswith("yuvj") or self.demuxer.endswith("_pipe"):
            given["code_range"] = 2
        return write_video(
            folder / self.name,
            codec=self.codec,
            pix_fmt=self.pix_fmt,
            size=self.size,
            fps=self.rate,
            **given,
        )


QUIET = {"options": {"x265-params": "log-level=none"}}
MS = {"time_base": Fraction(1, 1000)}
VIDEOS = [
    Video("mp4", "a.mp4", "libx264"),
    Video("mov", "a.mov", "prores_ks", "yuv422p10le"),
    Video("3gp", "a.3gp", "h263", size=(176, 144)),
    Video("m4v", "a.m4v", "mpeg4"),
    Video("matroska", "a.mkv", "ffv1", options=MS, exact=True),
    Video("webm", "a.webm", "libvpx-vp9", options=MS),
    Video("avi", "a.avi", "mjpeg", "yuvj420p"),
    Video("mpegts", "a.ts", "libx264"),
    Video("mpeg", "a.mpg", "mpeg2video"),
    Video("mpegvideo", "a.m2v", "mpeg2video", bare=True),
    Video("flv", "a.flv", "flv1", options=MS),
    Video("asf", "a.wmv", "wmv2", options=MS),
    Video("mxf", "a.mxf", "mpeg2video"),
    Video("nut", "a.nut", "ffv1", exact=True),
    Video("wtv", "a.wtv", "mpeg2video"),
    Video("dv", "a.dv", "dvvideo", size=(720, 576)),
    Video("yuv4mpegpipe", "a.y4m", "wrapped_avframe", exact=True),
    Video("mjpeg", "a.mjpg", "mjpeg", "yuvj420p", bare=True),
    Video("gif", "a.gif", "gif", "gray"),
    Video("apng", "a.apng", "apng", "gray", exact=True),
    Video("webp", "a.webp", "libwebp_anim", options=MS),
    Video("h264", "a.h264", "libx264", bare=True),
    Video(
        "hevc",
        "a.hevc",
        "libx265",
        options=QUIET,
        bare=True,
    ),
    Video("ivf", "a.ivf", "libvpx"),
    Video("obu", "a.obu", "libsvtav1", options={"options": {"crf": "20"}}, bare=True),
    Video("roq", "a.roq", "roqvideo", "yuvj444p", size=(64, 64), rate=30),
    Video("ogg", "a.ogv", "libvpx"),
    Video("png_pipe", "a.png", "png", "gray", exact=True),
    Video("jpeg_pipe", "a.jpg", "mjpeg", "yuvj420p"),
    Video("bmp_pipe", "a.bmp", "bmp", "gray", exact=True),
    Video("tiff_pipe", "a.tiff", "tiff", "gray", exact=True),
]
"""One a container; gray where a format is of RGB, so that codes can be compared."""


@dataclass(frozen=True)
class Sound:
    """A sine of 440 Hz in one container.

    Attributes:
        demuxer: its name in ``CONTAINERS``.
        name: of the file.
        codec: what it is written with.
        rate: samples per second.
    """

    demuxer: str
    name: str
    codec: str
    rate: int = 16_000

    def write(self, folder: Path) -> Path:
        """Write the file into a folder."""
        return write_speech(folder / self.name, codec=self.codec, rate=self.rate, seconds=SECONDS)


SOUNDS = [
    Sound("wav", "a.wav", "pcm_s16le"),
    Sound("w64", "a.w64", "pcm_s16le"),
    Sound("aiff", "a.aiff", "pcm_s16be"),
    Sound("au", "a.au", "pcm_s16be"),
    Sound("caf", "a.caf", "pcm_s16be"),
    Sound("sox", "a.sox", "pcm_s32le"),
    Sound("voc", "a.voc", "pcm_u8"),
    Sound("mp3", "a.mp3", "libmp3lame"),
    Sound("aac", "a.aac", "aac"),
    Sound("latm", "a.latm", "aac"),
    Sound("flac", "a.flac", "flac"),
    Sound("ac3", "a.ac3", "ac3", 48_000),
    Sound("eac3", "a.eac3", "eac3", 48_000),
    Sound("wv", "a.wv", "wavpack"),
    Sound("tta", "a.tta", "tta"),
    Sound("amr", "a.amr", "libopencore_amrnb", 8_000),
    Sound("g722", "a.g722", "adpcm_g722", 16_000),
    Sound("ogg", "a.ogg", "libopus", 48_000),
    Sound("opus", "a.opus", "libopus", 48_000),
    Sound("mp4", "a.m4a", "aac"),
    Sound("mov", "a.mov", "pcm_s16le"),
    Sound("matroska", "a.mka", "flac"),
    Sound("webm", "a.webm", "libopus", 48_000),
    Sound("avi", "a.avi", "pcm_s16le"),
    Sound("asf", "a.wma", "libmp3lame"),
    Sound("flv", "a.flv", "libmp3lame", 44_100),
    Sound("mpegts", "a.ts", "mp2", 48_000),
    Sound("mpeg", "a.mpg", "mp2", 48_000),
    Sound("nut", "a.nut", "flac"),
]

WITHOUT_A_SAMPLE = {
    "gxf": "libav writes its times in fields, the last one late",
    "swf": "the muxer refuses what it did not open itself",
    "rm": "the muxer writes no usable times",
    "vc1": "there is no encoder",
    "spx": "PyAV comes without the encoder",
    "gsm": "PyAV comes without the encoder",
    "ilbc": "PyAV comes without the encoder",
    "truehd": "PyAV comes without the encoder",
    "dts": "PyAV comes without the encoder",
    "image2": "names the demuxer of numbered files; single pictures come through the pipes",
}
"""Names that libav could write, and why there is no file of them here."""
