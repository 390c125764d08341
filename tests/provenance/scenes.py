"""Moving pictures with the colours of a real face, a reference decoder, and stubs for the tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import pywt

from lipwright.media.info import VideoInfo, probe
from lipwright.media.reader import Frame, VideoReader
from lipwright.media.writer import VideoWriter
from lipwright.provenance.watermark.chroma import Box
from lipwright.provenance.watermark.grid import ID_BITS, TILE, TILE_PIXELS
from lipwright.provenance.watermark.marker import Marker, Region
from lipwright.provenance.watermark.reading import Reading, votes
from lipwright.provenance.watermark.scheme import BLOCK, half_of_rgb, mark_blocks, strengths

ASSET = Path(__file__).parents[2] / "src" / "lipwright" / "assets" / "portrait.jpg"
MARK = 0x5EC0DE42
"""An id as random as any."""
FACE = (48.0, 40.0, 208.0, 216.0)
"""A face box in display pixels of a 320x288 picture."""


@lru_cache(maxsize=8)
def portrait(width: int, height: int) -> npt.NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB, the bundled portrait, stretched."""
    bgr = cv2.imread(str(ASSET))
    assert bgr is not None
    picture = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(picture[..., ::-1])


def moving_portrait(index: int, planes: list[npt.NDArray[Any]]) -> None:
    """Paint a YUV 4:2:0 frame: the portrait drifts and flickers; 10 bit in deep planes."""
    height, width = planes[0].shape
    big = portrait(width + 32, height + 32)
    x, y = 8 + round(6 * np.sin(index / 5)), 8 + round(4 * np.cos(index / 7))
    noise = np.random.default_rng(index).normal(0, 1.5, (height, width, 1))
    rgb = np.clip(big[y : y + height, x : x + width] + noise, 0, 255).astype(np.uint8)
    yuv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2YUV_I420).ravel()
    start = 0
    for plane in planes:
        part = yuv[start : start + plane.size].reshape(plane.shape)
        start += plane.size
        plane[:] = part.astype(plane.dtype) * 4 if plane.dtype == np.uint16 else part


def faces_at(*boxes: tuple[float, float, float, float]) -> Any:
    """A face finder that sees the same boxes in every frame."""
    return lambda frame: list(boxes)


def mark_video(
    source: Path,
    out: Path,
    mark_id: int = MARK,
    region: Region = "face",
    boxes: tuple[tuple[float, float, float, float], ...] = (FACE,),
    crf: int = 16,
    only: range | None = None,
) -> VideoInfo:
    """Write a marked copy; ``only`` chooses the frames that are marked."""
    marker = Marker(mark_id, region)
    with VideoReader(source) as reader, VideoWriter(out, reader.info, crf=crf) as writer:
        for frame in reader:
            if only is None or frame.index in only:
                marker.mark(frame.native, reader.info, boxes)
            writer.write(frame.native, frame.pts, frame.duration)
    return probe(out)


def rgb_of(frame: Frame) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a decoded frame, by libav."""
    return frame.native.reformat(format="rgb24").to_ndarray()


def reference_votes(rgb: npt.NDArray[np.uint8], length: int = 32) -> npt.NDArray[np.float64]:
    """Part of the blocks that say 1 for each bit, straight from the published description.

    8-bit U, Haar wavelet, 4x4 blocks of the low band in reading order, cosine transform, first
    singular value modulo 36. Nothing is shared with the package.
    """
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    plane = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV)[..., 1]
    rows, columns = plane.shape[0] // 4 * 4, plane.shape[1] // 4 * 4
    low, _ = pywt.dwt2(plane[:rows, :columns].astype(np.float64), "haar")
    ones: list[list[bool]] = [[] for _ in range(length)]
    number = 0
    for i in range(low.shape[0] // 4):
        for j in range(low.shape[1] // 4):
            block = cv2.dct(np.ascontiguousarray(low[4 * i : 4 * i + 4, 4 * j : 4 * j + 4]))
            value = np.linalg.svd(block, compute_uv=False)[0]
            ones[number % length].append(bool(value % 36 > 18))
            number += 1
    return np.array([np.mean(o) if o else 0.5 for o in ones])


def published_library() -> Any:
    """The package invisible-watermark, whose reader must read our marks.

    It is in no extra, because it asks for opencv-python, which overwrites files of
    opencv-python-headless. ``pip install --no-deps invisible-watermark`` is all that it needs here.
    """
    return pytest.importorskip(
        "imwatermark", reason="pip install --no-deps invisible-watermark, to compare with it"
    )


def mark_picture(rgb: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Mark a picture in the published layout: block n in reading order carries bit n mod L."""
    shape = (rgb.shape[0] // BLOCK, rgb.shape[1] // BLOCK)
    return mark_blocks(rgb, np.resize(bits.astype(np.uint8), shape))


def read_picture(rgb: npt.NDArray[np.uint8], length: int = 32) -> npt.NDArray[np.float64]:
    """(L,) mean votes, positive for 1, of a picture marked in the published layout."""
    every = votes(strengths(half_of_rgb(rgb)), Reading()).ravel()
    index = np.arange(every.size) % length
    count = np.bincount(index, minlength=length)
    return np.bincount(index, every, length) / np.maximum(count, 1)


@dataclass(frozen=True)
class PublishedCrop:
    """A crop from which the published library reads the id.

    Attributes:
        box: x0, y0, x1, y1 in stored pixels.
        turn: the library's bit n is bit ``(n + turn) mod 32`` of the id.
    """

    box: Box
    turn: int


def published_crop(region: Box) -> PublishedCrop | None:
    """The largest crop of a marked region that ``invisible-watermark`` reads, or None.

    The library numbers blocks row by row, so the crop's width must be a multiple of 256 pixels.
    """
    x0, y0, x1, y1 = region
    width = (x1 - x0) // TILE_PIXELS * TILE_PIXELS
    if not width:
        return None
    aligned = -(-x0 // TILE_PIXELS) * TILE_PIXELS
    start = aligned if aligned + width <= x1 else x0
    return PublishedCrop((start, y0, start + width, y1), start // BLOCK % TILE % ID_BITS)
