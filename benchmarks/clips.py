"""Clips for the benchmarks: the bundled portrait in motion, any size and length, and its speech."""

from __future__ import annotations

import os
import platform
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from lipwright.demo import make_video, speech_samples
from lipwright.media.reader import VideoReader

SIZES = {
    "144p": (216, 144),
    "480p": (720, 480),
    "720p": (1080, 720),
    "1080p": (1620, 1080),
    "4k": (3240, 2160),
}
"""Width and height: the portrait's 3:2 at the height that the name says."""
PIECE_SECONDS = 5  # longer clips repeat a piece of this length, without encoding it again
RATE = 25
"""Frames per second, unless asked otherwise."""


def make_clip(folder: Path, size: str, seconds: int, without: int = 0, rate: int = RATE) -> Path:
    """Write (or find) an H.264 clip of the moving portrait.

    Args:
        folder: where clips are kept between runs.
        size: key of SIZES.
        seconds: length; rounded up to whole pieces beyond the first.
        without: seconds after each piece in which nobody is to be seen.
        rate: frames per second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{size}-without-{without}" if without else size
    name += f"-{rate}fps" if rate != RATE else ""
    piece = folder / f"{name}-{min(seconds, PIECE_SECONDS)}s.mp4"
    if not piece.exists():
        partial = piece.with_name(f"partial-{piece.name}")
        make_video(partial, min(seconds, PIECE_SECONDS), SIZES[size], rate)
        if without:
            longer = piece.with_name(f"longer-{piece.name}")
            _followed(partial, longer, without, rate)
            longer.replace(partial)
        partial.replace(piece)
    if seconds <= PIECE_SECONDS:
        return piece
    clip = folder / f"{name}-{seconds}s.mp4"
    if not clip.exists():
        partial = clip.with_name(f"partial-{clip.name}")
        _repeat(piece, partial, -(-seconds // (PIECE_SECONDS + without)), rate)
        partial.replace(clip)
    return clip


def make_speech(folder: Path, seconds: int) -> Path:
    """Write the bundled speech, repeated or cut to a length, as 16-bit WAV."""
    path = folder / f"speech-{seconds}s.wav"
    samples, rate = speech_samples()
    wanted = np.resize(samples, seconds * rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            (wanted * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _followed(piece: Path, out: Path, without: int, rate: int) -> None:
    """The piece, and its last picture blurred for some seconds, in motion."""
    with VideoReader(piece) as reader:
        pictures = [frame.thumbnail(10_000)[0] for frame in reader]
    side = pictures[-1].shape[0] // 2
    blurred = cv2.blur(pictures[-1], (side, side))
    with av.open(str(out), "w") as file:
        stream = file.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.height, stream.width, stream.pix_fmt = *blurred.shape[:2], "yuv420p"
        for number in range(len(pictures) + without * rate):
            seen = number < len(pictures)
            picture = pictures[number] if seen else np.roll(blurred, number, axis=1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())


def _repeat(piece: Path, out: Path, times: int, rate: int) -> None:
    """Put the packets of a clip after one another, ``times`` times; nothing is encoded."""
    with av.open(str(out), "w") as target:
        stream = None
        for lap in range(times):
            with av.open(str(piece)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(video)
                assert video.time_base is not None
                shift = round(lap * video.frames / Fraction(rate) / video.time_base)
                for packet in source.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = stream
                    target.mux(packet)


def machine() -> str:
    """One line that says what the numbers were measured on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores of {name}, {platform.system()}, Python {platform.python_version()}"
