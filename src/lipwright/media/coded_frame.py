"""What is needed to read and write the samples of a frame: where they lie, and what they mean."""

from __future__ import annotations

import av

from lipwright.media.colour import ColourCode, colour_code
from lipwright.media.info import VideoInfo
from lipwright.media.planes import PixelLayout, layout_of


def layout_and_code(frame: av.VideoFrame, info: VideoInfo) -> tuple[PixelLayout, ColourCode]:
    """Of a frame of a video.

    Raises:
        ValueError: its pixel format is not plain planar.
    """
    layout = layout_of(frame.format.name)
    if layout is None:
        raise ValueError(f"{frame.format.name} is not plain planar")
    return layout, colour_code(info.colour.name, info.colour.full_range, layout.depth)
