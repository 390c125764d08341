"""A picture between two others of the same scene, for a change without two heads.

A plain cross-fade shows whatever has moved twice. Here both pictures are first moved along the
dense flow between them to where the scene is at that share of the way, and mixed there. Where the
flow does not bring them together (another scene), it is a plain cross-fade.
"""

from __future__ import annotations

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.media.flow import dense_flow, move
from lipwright.media.planes import plane_views, private_copy

FLOW_SIDE = 320
"""Longest side of the pictures between which the flow is found: a head moves slowly over it."""
_SMOOTH = 3.0
_WORTH = 0.7
"""The flow is used where it leaves at most this share of the difference."""


def morph(first: av.VideoFrame, second: av.VideoFrame, share: float) -> av.VideoFrame:
    """The picture at ``share`` of the way from one frame to another.

    Args:
        first: planar, of 8 bits.
        second: of the same size and format.
        share: 0 gives the first, 1 the second.

    Returns:
        A frame with pixels of its own, with the times of ``second``.
    """
    made = private_copy(second)
    if share >= 1.0:
        return made
    flow = _flow(plane_views(first)[0], plane_views(second)[0])
    planes = zip(plane_views(first), plane_views(second), plane_views(made), strict=True)
    for one, other, out in planes:
        height, width = out.shape[:2]
        scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        way = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * scale
        mixed = cv2.addWeighted(
            move(one, way * np.float32(-share), how=cv2.INTER_LINEAR),
            1.0 - share,
            move(other, way * np.float32(1.0 - share), how=cv2.INTER_LINEAR),
            share,
            0.0,
        )
        out[:] = mixed
    return made


def _flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w, 2) flow of the shrunk pictures, in their pixels, smoothed."""
    height, width = first.shape
    shrink = min(1.0, FLOW_SIDE / max(height, width))
    size = (max(32, round(width * shrink)), max(32, round(height * shrink)))
    pair = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (first, second)]
    one, other = (np.asarray(p, np.uint8) for p in pair)
    found = dense_flow(one, other, fast=True)
    flow = np.asarray(cv2.GaussianBlur(found, (0, 0), _SMOOTH), np.float32)
    left = np.abs(move(other, flow, how=cv2.INTER_LINEAR).astype(np.float32) - one).mean()
    return flow if left <= _WORTH * cv2.absdiff(one, other).mean() else np.zeros_like(flow)
