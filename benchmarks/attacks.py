"""What other people do to a video after it was published: pictures changed, encoded once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from lipwright.media.reader import VideoReader

Rgb = npt.NDArray[np.uint8]
Change = Callable[[Rgb], Rgb]


@dataclass(frozen=True)
class Attack:
    """A change of every picture, then x264."""

    name: str
    crf: int
    change: Change | None = None
    fps: int | None = None


def crop(pixels: int) -> Change:
    """Cut off columns at the left and rows at the top."""
    return lambda rgb: rgb[pixels:, pixels:]


def zoom(factor: float) -> Change:
    """Enlarge about the middle, size unchanged."""

    def change(rgb: Rgb) -> Rgb:
        height, width = rgb.shape[:2]
        big = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        y, x = (big.shape[0] - height) // 2, (big.shape[1] - width) // 2
        return np.asarray(big[y : y + height, x : x + width], np.uint8)

    return change


def half(rgb: Rgb) -> Rgb:
    """Half as wide and high."""
    size = (rgb.shape[1] // 2, rgb.shape[0] // 2)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def brighter(factor: float) -> Change:
    """Every value times a factor."""
    return lambda rgb: np.clip(np.rint(rgb * np.float32(factor)), 0, 255).astype(np.uint8)


ATTACKS = (
    Attack("CRF 18", 18),
    Attack("CRF 23", 23),
    Attack("CRF 28", 28),
    Attack("CRF 33", 33),
    Attack("half size, CRF 23", 23, half),
    Attack("brightness +10 %, CRF 23", 23, brighter(1.1)),
    Attack("brightness -10 %, CRF 23", 23, brighter(0.9)),
    Attack("to 30 fps, CRF 23", 23, None, 30),
    Attack("crop 1 px, CRF 23", 23, crop(1)),
    Attack("crop 7 px, CRF 23", 23, crop(7)),
    Attack("crop 16 px, CRF 23", 23, crop(16)),
    Attack("zoom 5 %, CRF 23", 23, zoom(1.05)),
)


def strike(path: Path, out: Path, attack: Attack) -> None:
    """Decode, change, encode with x264's preset "medium"; sound and manifest are lost."""
    with VideoReader(path) as reader, av.open(str(out), "w") as container:
        stream: Any = None
        rate = Fraction(attack.fps or reader.info.average_rate).limit_denominator(1000)
        shown = 0
        for frame in reader:
            picture = frame.native
            if attack.change is not None:
                rgb = attack.change(frame.native.reformat(format="rgb24").to_ndarray())
                rgb = np.ascontiguousarray(rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2])
                picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            matrix = frame.native.colorspace
            picture = picture.reformat(format="yuv420p", dst_colorspace=matrix)
            if stream is None:
                options = {"crf": str(attack.crf), "preset": "medium"}
                stream = container.add_stream("libx264", rate=rate, options=options)
                stream.width, stream.height = picture.width, picture.height
                stream.pix_fmt = "yuv420p"
                # As usual tools do, the tags go along; without a tag there is none afterwards.
                for tag in ("colorspace", "color_primaries", "color_trc", "color_range"):
                    setattr(stream.codec_context, tag, getattr(frame.native, tag))
            # A new rate repeats or leaves out frames, as the filter "fps" does.
            while attack.fps is None or shown <= frame.time * rate:
                picture.pts, picture.time_base = shown, 1 / rate
                picture.pict_type = 0
                container.mux(stream.encode(picture))
                shown += 1
                if attack.fps is None:
                    break
        container.mux(stream.encode(None))


def excerpt(path: Path, out: Path, start: int, frames: int) -> int:
    """Write some frames of a video, x264 CRF 18; gives their number."""
    written = 0
    with VideoReader(path) as reader, av.open(str(out), "w") as container:
        stream: Any = None
        for frame in _between(reader, start, frames):
            picture = frame.native.reformat(
                frame.native.width // 2 * 2, frame.native.height // 2 * 2, "yuv420p"
            )
            if stream is None:
                stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
                stream.width, stream.height = picture.width, picture.height
                stream.pix_fmt = "yuv420p"
            picture.pts, picture.time_base = written, Fraction(1, 25)
            picture.pict_type = 0
            container.mux(stream.encode(picture))
            written += 1
        if stream is not None:
            container.mux(stream.encode(None))
    return written


def _between(reader: VideoReader, start: int, frames: int) -> Iterator[Any]:
    for frame in reader:
        if frame.index >= start + frames:
            return
        if frame.index >= start:
            yield frame
