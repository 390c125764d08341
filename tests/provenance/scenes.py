"""Moving pictures with the colours of a real face, a reference decoder, and stubs for the tests."""

from __future__ import annotations

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
from lipwright.provenance.marker import Marker, Region

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
