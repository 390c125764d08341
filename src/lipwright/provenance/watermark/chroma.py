"""The U channel of a decoded frame, straight from its planes, and changes of it put back.

Averaged over 2x2 pixels, U = 0.492 (B - Y) + 128 is a linear function of the stored codes, for
every colour matrix: in 4:2:0 video a weighted sum of the two chroma planes as they lie. So the
mark is written into one chroma plane, and neither luma nor the other chroma plane is touched.
"""

from __future__ import annotations

import av
import cv2
import numpy as np
import numpy.typing as npt

from lipwright.media.coded_frame import layout_and_code
from lipwright.media.colour import ColourCode
from lipwright.media.info import VideoInfo
from lipwright.media.planes import PixelLayout, add_to_plane, layout_of, plane_views
from lipwright.provenance.watermark.scheme import LUMA, U_GAIN, Array

Box = tuple[int, int, int, int]
Half = npt.NDArray[np.float32]
"""U in 0..255, averaged over 2x2 pixels."""

_TO_U = np.array([-LUMA[0], -LUMA[1], 1.0 - LUMA[2]]) * U_GAIN * 255.0


def has_colour(frame: av.VideoFrame) -> bool:
    """Whether the frame has chroma to be marked; grey pictures have none."""
    layout = layout_of(frame.format.name)
    return layout is not None and not layout.is_gray


def half_plane(frame: av.VideoFrame, info: VideoInfo, box: Box | None = None) -> Half:
    """U of a frame in stored orientation, averaged over 2x2 pixels.

    Args:
        frame: a plain planar frame, as the reader gives it.
        info: of its video.
        box: x0, y0, x1, y1 in samples of the result (2 pixels each); default all.

    Returns:
        (y1 - y0, x1 - x0) float32 in 0..255, for grey frames all 128.
    """
    x0, y0, x1, y1 = box or (0, 0, frame.width // 2, frame.height // 2)
    if not has_colour(frame):
        return np.full((y1 - y0, x1 - x0), 128.0, np.float32)
    layout, code = layout_and_code(frame, info)
    views = plane_views(frame)
    weights = _weights(layout, code)
    shape = (y1 - y0, x1 - x0)
    if 0 in shape:
        return np.zeros(shape, np.float32)
    area = _area(layout, (x0, y0, x1, y1), shape)
    used = [(views[p][area], float(w)) for p, w in zip(layout.planes, weights, strict=True) if w]
    rest = 128.0 - float(weights @ code.offset)
    result: Half | None = None
    for begin in range(0, len(used), 2):  # two planes in one go, at their own resolution
        first, weight = used[begin]
        second, other = used[begin + 1] if begin + 1 < len(used) else (first, 0.0)
        mixed = cv2.addWeighted(first, weight, second, other, rest, dtype=cv2.CV_32F)
        part = _resized(np.asarray(mixed, np.float32), shape)
        result, rest = part if result is None else result + part, 0.0
    assert result is not None  # some plane carries U
    return result


def add_to_half_plane(
    frame: av.VideoFrame, info: VideoInfo, left: int, top: int, change: Array
) -> None:
    """Add a change of U to a part of a frame, in place; luma stays bit-equal in YUV formats.

    The frame's memory is made private first, should the decoder still refer to it.

    Args:
        frame: a plain planar frame with colour.
        info: of its video.
        left: column of the change's first sample, in 2-pixel steps.
        top: row likewise.
        change: (h, w) float in units of U; zeros leave every bit as it is.
    """
    layout, code = layout_and_code(frame, info)
    height, width = change.shape
    if not height or not width:
        return
    frame.make_writable()
    views = plane_views(frame)
    rows, columns = _area(layout, (left, top, left + width, top + height), change.shape)
    for plane, factor in _carriers(layout, code):
        target = views[plane][rows, columns]
        step = _resized((change * factor).astype(np.float32, copy=False), target.shape)
        add_to_plane(target, step, code.highest)


def _carriers(layout: PixelLayout, code: ColourCode) -> list[tuple[int, float]]:
    """(plane, codes per unit of U) of the planes that carry a change of U and of nothing else."""
    if layout.is_rgb:
        # B carries it; G keeps Y, and with Y and R also V, as they were.
        blue = float(code.to_codes[2, 2]) / (255.0 * U_GAIN)
        return [(layout.planes[2], blue), (layout.planes[1], -blue * LUMA[2] / LUMA[1])]
    weights = _weights(layout, code)
    strongest = int(np.argmax(np.abs(weights)))
    return [(layout.planes[strongest], 1.0 / float(weights[strongest]))]


def _weights(layout: PixelLayout, code: ColourCode) -> npt.NDArray[np.float64]:
    """(3,) U per stored code of each component; luma's is zero in every YUV matrix."""
    weights: npt.NDArray[np.float64] = _TO_U @ code.to_rgb
    if not layout.is_rgb:
        weights[0] = 0.0
    return weights


def _area(layout: PixelLayout, box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a chroma plane under a box of 2-pixel samples."""
    x0, y0, _, _ = box
    height, width = shape
    across, down = layout.chroma_x, layout.chroma_y
    return (
        slice(y0 * 2 // down, y0 * 2 // down + -(-height * 2 // down)),
        slice(x0 * 2 // across, x0 * 2 // across + -(-width * 2 // across)),
    )


def _resized(samples: Half, shape: tuple[int, ...]) -> Half:
    """Between the resolution of a plane and that of 2-pixel samples: means or repeats."""
    if samples.shape == shape:
        return samples
    smaller = samples.shape[0] > shape[0] or samples.shape[1] > shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(samples, (shape[1], shape[0]), interpolation=method), np.float32)
