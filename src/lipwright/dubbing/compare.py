"""Source and result side by side, with the sound of the result.

The pictures are those of the finished output, decoded again. They stand upright, at most 960
pixels long each, under a line that says which is which. The comparison shows a synthetic picture
too, so it carries a mark and a manifest of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.contact_sheet import INK, PAPER, write_text
from lipwright.media.colour import ColourTags
from lipwright.media.hdr import HdrMetadata
from lipwright.media.info import VideoInfo
from lipwright.media.reader import VideoReader
from lipwright.media.thumbnail import thumbnail
from lipwright.media.writer import VideoWriter

if TYPE_CHECKING:
    from lipwright.dubbing.render_job import Job, Marker

LONGEST = 960
GAP = 8
HEAD = 40
CRF = 18
_BT709 = ColourTags(1, 1, 1, 1, "bt709", False)

Picture = NDArray[np.uint8]


def layout(info: VideoInfo) -> tuple[int, int, float]:
    """Width and height of one picture in the comparison, even numbers, and their scale."""
    width, height = info.display_size
    scale = min(1.0, LONGEST / max(width, height))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2)), scale


def comparison_info(info: VideoInfo) -> VideoInfo:
    """Facts about the comparison of a video and its dub."""
    width, height, _ = layout(info)
    return replace(
        info,
        width=2 * width + GAP,
        height=height + HEAD,
        rotation=0,
        mirrored=False,
        display_matrix=None,
        sample_aspect=Fraction(1),
        pix_fmt="yuv420p",
        source_pix_fmt="yuv420p",
        bit_depth=8,
        colour=_BT709,
        field_order="progressive",
        hdr=HdrMetadata(),
        has_alpha=False,
    )


def write_comparison(
    job: Job,
    result: Path,
    target: Path,
    marker: Marker,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the comparison of a finished dub.

    Args:
        job: what was rendered.
        result: the finished video.
        target: file to write; its suffix chooses the container.
        marker: marks the frames.
        progress: called with the number of frames done, and of all.
    """
    info, line = comparison_info(job.info), job.schedule.timeline
    width, height, scale = layout(job.info)
    head = np.full((HEAD, info.width, 3), PAPER, np.uint8)
    for text, x in (("Source", 0), ("Result", width + GAP)):
        write_text(head, text, (x + 12, 27), 18, 600, INK)
    settings = {"crf": CRF, "time_base": line.time_base, "duration": line.end, "speech": result}
    with VideoReader(result) as dubbed, VideoWriter(target, info, **settings) as writer:  # type: ignore[arg-type]
        assert job.store is not None
        pairs = zip(job.store.follow(line.source), dubbed, strict=False)
        for k, (before, after) in enumerate(pairs):
            faces = job.schedule.faces(k)
            picture = np.full((info.height, info.width, 3), PAPER, np.uint8)
            picture[:HEAD] = head
            picture[HEAD:, :width] = _fitted(before.native, job.info, width, height)
            picture[HEAD:, width + GAP :] = _fitted(after.native, after.info, width, height)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            native = frame.reformat(format="yuv420p", dst_colorspace=1)
            offset = np.array([width + GAP, HEAD, width + GAP, HEAD])
            boxes = [tuple(scale * np.asarray(face.box) + offset) for face in faces]
            marker.mark(native, info, boxes)
            writer.write(native, int(line.pts[k]), int(line.durations[k]))
            progress(k + 1, len(line))


def _fitted(frame: av.VideoFrame, info: VideoInfo, width: int, height: int) -> Picture:
    """The upright picture in exactly this size."""
    import cv2

    picture, _ = thumbnail(frame, info, max(width, height))
    if picture.shape[:2] != (height, width):
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
    return picture
