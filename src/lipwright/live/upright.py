"""Frames as every receiver of a stream can show them: upright, even size, 8 bit 4:2:0."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np

from lipwright.media.info import VideoInfo
from lipwright.media.planes import plane_views, private_copy

PIX_FMT = "yuv420p"


def upright_info(info: VideoInfo) -> VideoInfo:
    """The facts about frames that :func:`upright` makes."""
    turned = info.rotation in (90, 270)
    width, height = (info.height, info.width) if turned else (info.width, info.height)
    return replace(
        info,
        width=width // 2 * 2,
        height=height // 2 * 2,
        rotation=0,
        mirrored=False,
        display_matrix=None,
        sample_aspect=1 / info.sample_aspect if turned else info.sample_aspect,
        pix_fmt=PIX_FMT,
        bit_depth=8,
    )


def upright(frame: av.VideoFrame, info: VideoInfo) -> av.VideoFrame:
    """A frame turned upright, in memory of its own; the last odd row and column are left out.

    Args:
        frame: plain planar, as the reader gives it.
        info: of its video.
    """
    small = upright_info(info)
    if frame.format.name != PIX_FMT:
        colour = 2 if info.colour.full_range else 1
        frame = frame.reformat(format=PIX_FMT, src_color_range=colour, dst_color_range=colour)
    same = (frame.width, frame.height) == (small.width, small.height)
    if same and not info.rotation and not info.mirrored:
        return private_copy(frame)
    result = av.VideoFrame(small.width, small.height, PIX_FMT)
    for source, target in zip(plane_views(frame), plane_views(result), strict=True):
        picture = source[:, ::-1] if info.mirrored else source
        picture = np.rot90(picture, -info.rotation // 90)
        np.copyto(target, picture[: target.shape[0], : target.shape[1]])
    result.color_range, result.colorspace = frame.color_range, frame.colorspace
    return result
