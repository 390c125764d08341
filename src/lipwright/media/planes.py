"""Decoded frames as numpy arrays that share the frame's memory, one per component.

Inside Lipwright every frame has a *plain planar* format: each component in a plane of its own,
native-endian unsigned integers with the value in the low bits. :func:`to_planar` brings other
formats (NV12, P010, packed RGB, palettes, big-endian) there without loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[Any]  # 2-D, uint8 or uint16

_EXACT = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "nv20le": "yuv422p10le",
    "nv20be": "yuv422p10le",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "uyyvyy411": "yuv411p",
    "y210le": "yuv422p10le",
    "y212le": "yuv422p12le",
    "v30xle": "yuv444p10le",
    "xv30le": "yuv444p10le",
    "xv36le": "yuv444p12le",
    "xv48le": "yuv444p16le",
    "ayuv64le": "yuv444p16le",
    "ayuv": "yuv444p",
    "uyva": "yuv444p",
    "vuya": "yuv444p",
    "vuyx": "yuv444p",
    "vyu444": "yuv444p",
    "monob": "gray",
    "monow": "gray",
    "ya8": "gray",
    "ya16le": "gray16le",
    "ya16be": "gray16le",
    "x2rgb10le": "gbrp10le",
    "x2bgr10le": "gbrp10le",
}
_SEMIPLANAR = {"0": "420", "2": "422", "4": "444"}  # p010, p210, p412, ...


@dataclass(frozen=True)
class PixelLayout:
    """How a plain planar format stores its components.

    Attributes:
        name: libav's name of the format.
        depth: bits per component.
        planes: index of the plane of each colour component, in the order Y, Cb, Cr or R, G, B
            or Y alone.
        chroma_x, chroma_y: luma samples per chroma sample, horizontally and vertically.
        is_rgb: R, G, B rather than luma and chroma.
    """

    name: str
    depth: int
    planes: tuple[int, ...]
    chroma_x: int
    chroma_y: int
    is_rgb: bool

    @property
    def is_gray(self) -> bool:
        """Luma alone."""
        return len(self.planes) == 1

    @property
    def bytes_per_pixel(self) -> float:
        """Memory that a decoded picture takes, alpha left aside."""
        chroma = (len(self.planes) - 1) / (self.chroma_x * self.chroma_y)
        return (1 + chroma) * np.dtype(self.dtype).itemsize

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Type of one stored component."""
        return np.uint8 if self.depth <= 8 else np.uint16


@lru_cache(maxsize=64)
def layout_of(format_name: str) -> PixelLayout | None:
    """The layout of a pixel format, or None if it is not plain planar."""
    probe = av.VideoFormat(format_name, 64, 64)
    name = probe.name
    if (
        probe.has_palette
        or probe.is_bit_stream
        or probe.is_bayer
        or name.startswith(("yuvj", "p0", "p2", "p4", "xyz", "mono"))
        or "msb" in name
        or name.endswith(("f16le", "f16be", "f32le", "f32be"))
    ):
        return None
    components = [c for c in probe.components if not c.is_alpha]
    every_plane = [c.plane for c in probe.components]
    depth = components[0].bits if components else 0
    if (
        len(components) not in (1, 3)
        or len(set(every_plane)) != len(every_plane)
        or any(c.bits != depth for c in components)
        or not 8 <= depth <= 16
        or (depth > 8 and probe.is_big_endian)
    ):
        return None
    last = components[-1]
    return PixelLayout(
        name,
        depth,
        tuple(c.plane for c in components),
        64 // last.width,
        64 // last.height,
        probe.is_rgb,
    )


def planar_name(format_name: str) -> str:
    """The plain planar format that holds the same picture as ``format_name``.

    The same name where that is plain planar already; alpha of packed formats is dropped.
    """
    if layout_of(format_name) is not None:
        return format_name
    if format_name.startswith("yuvj"):
        return "yuv" + format_name[4:]
    if format_name in _EXACT:
        return _EXACT[format_name]
    if "msb" in format_name:  # the value in the high bits
        return format_name.replace("msb", "").replace("be", "le")
    if len(format_name) == 6 and format_name[0] == "p" and format_name[1:4].isdigit():
        return f"yuv{_SEMIPLANAR[format_name[1]]}p{int(format_name[2:4])}le"
    if format_name.endswith("be") and layout_of(format_name[:-2] + "le") is not None:
        return format_name[:-2] + "le"
    probe = av.VideoFormat(format_name, 64, 64)
    deep = max((c.bits for c in probe.components), default=8) > 8
    if len(probe.components) == 1 and not probe.has_palette and not probe.is_bayer:
        return "gray16le" if deep else "gray"
    return "gbrp16le" if deep else "gbrp"


def plane_views(frame: av.VideoFrame) -> list[Plane]:
    """The planes of a plain planar frame as arrays on the frame's own memory, padding cut off."""
    layout = layout_of(frame.format.name)
    if layout is None:
        raise ValueError(f"{frame.format.name} is not plain planar")
    return [_view(plane, layout.dtype) for plane in frame.planes]


def _view(plane: Any, dtype: type[np.uint8] | type[np.uint16]) -> Plane:
    stride = abs(plane.line_size) // np.dtype(dtype).itemsize
    rows = np.frombuffer(plane, dtype).reshape(plane.height, stride)[:, : plane.width]
    return rows[::-1] if plane.line_size < 0 else rows


def add_to_plane(target: Plane, change: npt.NDArray[np.float32], highest: int) -> None:
    """Put clip(round(target + change), 0, highest) into a frame's memory.

    Args:
        target: codes, a part of what :func:`plane_views` gives.
        change: of the same shape, in codes; where it is 0 every bit stays.
        highest: code.
    """
    total = cv2.add(target, change, dtype=cv2.CV_8U if target.dtype == np.uint8 else cv2.CV_16U)
    if highest < np.iinfo(target.dtype).max:
        np.minimum(total, highest, out=total)
    np.copyto(target, total)


def to_planar(frame: av.VideoFrame) -> av.VideoFrame:
    """The same picture in a plain planar format; the frame itself where it has one already."""
    name = frame.format.name
    target = planar_name(name)
    if target == name:
        return frame
    if name.startswith("yuvj"):
        result = av.VideoFrame(frame.width, frame.height, target)
        for source, copy in zip(frame.planes, plane_views(result), strict=True):
            np.copyto(copy, _view(source, np.uint8))
        _copy_properties(frame, result)
        result.color_range = 2
        return result
    if name.startswith(("p0", "p2", "p4")):
        return _unpacked_semiplanar(frame, target)
    full = 2 if frame.color_range == 2 or layout_is_rgb(name) else 1
    result = frame.reformat(format=target, src_color_range=full, dst_color_range=full)
    _copy_properties(frame, result)
    return result


def _unpacked_semiplanar(frame: av.VideoFrame, target: str) -> av.VideoFrame:
    """P010 and its kin: chroma interleaved, the value in the high bits.

    Done here because libswscale dithers on this way.
    """
    result = av.VideoFrame(frame.width, frame.height, target)
    layout = layout_of(target)
    assert layout is not None
    luma, blue, red = plane_views(result)
    shift = 16 - layout.depth
    order = ">u2" if frame.format.is_big_endian else "<u2"
    packed: tuple[Any, ...] = frame.planes
    first, second = (np.frombuffer(plane, order).reshape(plane.height, -1) for plane in packed)
    np.right_shift(first[:, : luma.shape[1]], shift, out=luma)
    np.right_shift(second[:, : 2 * blue.shape[1] : 2], shift, out=blue)
    np.right_shift(second[:, 1 : 2 * red.shape[1] : 2], shift, out=red)
    _copy_properties(frame, result)
    return result


def layout_is_rgb(format_name: str) -> bool:
    """Whether the format stores R, G, B (palettes do)."""
    return planar_name(format_name).startswith("gbr")


def private_copy(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame with the same pixels, tags and times in memory of its own (plain planar only).

    It carries no side data, closed captions for one.
    """
    result = av.VideoFrame(frame.width, frame.height, frame.format.name)
    for source, copy in zip(plane_views(frame), plane_views(result), strict=True):
        np.copyto(copy, source)
    _copy_properties(frame, result)
    return result


def with_pixel_format(frame: av.VideoFrame, target: str) -> av.VideoFrame:
    """Gray with neutral chroma added, or YUV with its alpha left out: the same codes exactly."""
    result = av.VideoFrame(frame.width, frame.height, target)
    layout = layout_of(target)
    assert layout is not None
    views = plane_views(frame)
    for index, view in enumerate(plane_views(result)):
        if index == 0 or len(views) > 1:
            np.copyto(view, views[index])
        else:
            view[:] = 1 << (layout.depth - 1)
    _copy_properties(frame, result)
    return result


def _copy_properties(source: av.VideoFrame, target: av.VideoFrame) -> None:
    target.pts = source.pts
    if source.time_base is not None:
        target.time_base = source.time_base
    target.duration = source.duration
    target.colorspace = source.colorspace
    target.color_range = source.color_range
    target.color_primaries = source.color_primaries
    target.color_trc = source.color_trc
