"""Small upright RGB pictures of frames, shrunk on the planes before any colour is converted."""

from __future__ import annotations

import math

import av
import cv2
import numpy as np
import numpy.typing as npt

from lipwright.media.coded_frame import layout_and_code
from lipwright.media.info import VideoInfo
from lipwright.media.planes import Plane, plane_views


def thumbnail(
    frame: av.VideoFrame, info: VideoInfo, max_side: int
) -> tuple[npt.NDArray[np.uint8], float]:
    """Shrink a frame so that its longer side as displayed has at most ``max_side`` pixels.

    Args:
        frame: a plain planar frame.
        info: of its video.
        max_side: at least 1; a smaller picture stays as it is.

    Returns:
        (image, scale): image (h, w, 3) uint8 RGB, upright, with square pixels; scale is display
        pixels per pixel of the image, so that a point at ``p`` lies at ``(p + 0.5) * scale - 0.5``
        in display coordinates.
    """
    width, height = info.square_size
    scale = _shrinkage(max(width, height), max_side)
    layout, code = layout_and_code(frame, info)
    across, down = width / (info.width * scale), height / (info.height * scale)
    size = (max(1, round(info.width * across)), max(1, round(info.height * down)))
    views = plane_views(frame)
    channels = [_resized(views[layout.planes[0]], across, down, size)]
    channels.extend(
        _resized(views[plane], across * layout.chroma_x, down * layout.chroma_y, size)
        for plane in layout.planes[1:]
    )
    if layout.is_gray:
        luma = (channels[0].astype(np.float32) - code.offset[0]) / code.to_codes[0].sum()
        image = cv2.merge([np.clip(255.0 * luma + 0.5, 0.0, 255.0).astype(np.uint8)] * 3)
    elif layout.depth == 8:  # rounded and saturated by cv2
        image = cv2.transform(cv2.merge(channels), 255.0 * code.decode)
    else:
        rgb = cv2.transform(cv2.merge([c.astype(np.float32) for c in channels]), code.decode)
        image = np.clip(255.0 * rgb + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(_upright(image.reshape(size[1], size[0], 3), info)), scale


def _shrinkage(side: float, max_side: int) -> float:
    """Display pixels per thumbnail pixel; a whole number, which is faster, where that is near."""
    exact = max(1.0, side / max_side)
    whole = math.ceil(exact)
    return float(whole) if whole <= 1.2 * exact else exact


def _resized(plane: Plane, across: float, down: float, size: tuple[int, int]) -> Plane:
    """Scale by exact factors, then cut or repeat the edge to reach the common size (w, h)."""
    # Means over 2 x 2 samples are several times faster than over any other area.
    while across <= 0.5 and down <= 0.5 and not plane.shape[0] % 2 and not plane.shape[1] % 2:
        plane = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        across, down = 2.0 * across, 2.0 * down
    if across != 1.0 or down != 1.0:
        shrinking = across <= 1.0 and down <= 1.0
        target = (max(1, round(plane.shape[1] * across)), max(1, round(plane.shape[0] * down)))
        if target[0] >= 1 and target[1] >= 1 and min(plane.shape) * min(across, down) >= 1:
            method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
            plane = cv2.resize(plane, None, fx=across, fy=down, interpolation=method)
        else:  # thinner than a pixel: factors would give an empty picture
            plane = cv2.resize(plane, target, interpolation=cv2.INTER_AREA)
    missing_x, missing_y = size[0] - plane.shape[1], size[1] - plane.shape[0]
    if missing_x > 0 or missing_y > 0:
        plane = np.pad(plane, ((0, max(missing_y, 0)), (0, max(missing_x, 0))), mode="edge")
    return plane[: size[1], : size[0]]


def _upright(image: npt.NDArray[np.uint8], info: VideoInfo) -> npt.NDArray[np.uint8]:
    if info.mirrored:
        image = image[:, ::-1]
    return np.rot90(image, k=-(info.rotation // 90))
