"""What a video is: size, orientation, time, pixel format and colour, found by a look at its start.

Two coordinate systems are in use. *Storage* is the decoded planes as they are. *Display* is the
picture as a player shows it: turned upright, with square pixels, origin in the top left corner.
Both put the centre of the first pixel at 0, as ``cv2.warpAffine`` does.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

import av
import av.container
import av.error
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from lipwright.errors import LipwrightError
from lipwright.media import limits, timecode
from lipwright.media.choice import pick_video_stream
from lipwright.media.clock import clock_of, retimer
from lipwright.media.colour import ColourTags, resolve_tags
from lipwright.media.exif import exif_matrix
from lipwright.media.hdr import HdrMetadata, hdr_metadata
from lipwright.media.picture_times import has_several_edits
from lipwright.media.planes import layout_is_rgb, layout_of, planar_name
from lipwright.media.side_data import side_data
from lipwright.media.source import open_media, packets_of

Affine = npt.NDArray[np.float64]  # (2, 3)

FieldOrder = Literal["progressive", "tff", "bff"]

_TOP_FIRST, _BOTTOM_FIRST = (2, 5), (3, 4)  # libav's AVFieldOrder by the field shown first
_DEFAULT_RATE = Fraction(25)
_MAY_MOVE = ("gif", "apng")
_MAX_ASPECT = 16
_ONE = 1 << 16
_TURNED = {  # display matrices by quarter turns clockwise
    1: (0, _ONE, 0, -_ONE, 0, 0, 0, 0, 1 << 30),
    2: (-_ONE, 0, 0, 0, -_ONE, 0, 0, 0, 1 << 30),
    3: (0, -_ONE, 0, _ONE, 0, 0, 0, 0, 1 << 30),
}


@dataclass(frozen=True)
class VideoInfo:
    """Facts about the video stream of a file.

    Attributes:
        path: the file.
        width, height: of the stored picture in pixels.
        rotation: 0, 90, 180 or 270, degrees clockwise that turn the stored picture upright.
        mirrored: whether the stored picture is to be mirrored left to right before that turn.
        display_matrix: the nine numbers of the container that say so, verbatim, or None.
        sample_aspect: width of a stored pixel over its height.
        time_base: seconds per unit of a timestamp.
        average_rate: frames per second; 25 where the file does not say.
        pix_fmt: plain planar pixel format of the frames that the reader gives.
        source_pix_fmt: pixel format inside the file.
        bit_depth: bits per component, 8 to 16.
        colour: colour tags and what they mean.
        duration: seconds, None if unknown.
        frame_count: an estimate, None if unknown.
        is_still: a picture rather than a video.
        has_audio: whether the file has an audio stream too.
        container: libav's name of the file format.
        codec: libav's name of the decoder.
        stream_index: index of the video stream in the file.
        start_pts: timestamp of the first frame, in units of ``time_base``.
        field_order: ``tff`` or ``bff`` if the frames consist of two fields, top or bottom first.
        deinterlaced: whether the reader makes whole frames of them.
        hdr: static HDR metadata of the first frame.
        has_alpha: whether the file holds transparency, and the first frame uses it.
        can_jump: whether a seek leads to frames with the times that they have otherwise.
        timecode: SMPTE label of the first frame, where the frames carry one themselves.
        captions: whether the first frame carries closed captions (CEA-608 or CEA-708).
        views: what the first frame says of itself that a plain video is not: ``two views`` in one
            picture (3D film), ``second view`` beside it (spatial video), ``sphere`` (360 degrees).
        several_edits: whether the file shows several parts of what it stores (MP4 and MOV), whose
            pictures and sound libav does not keep together.
    """

    path: Path
    width: int
    height: int
    rotation: int
    mirrored: bool
    display_matrix: tuple[int, ...] | None
    sample_aspect: Fraction
    time_base: Fraction
    average_rate: Fraction
    pix_fmt: str
    source_pix_fmt: str
    bit_depth: int
    colour: ColourTags
    duration: Fraction | None
    frame_count: int | None
    is_still: bool
    has_audio: bool
    container: str
    codec: str
    stream_index: int
    start_pts: int
    field_order: FieldOrder = "progressive"
    deinterlaced: bool = False
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    has_alpha: bool = False
    can_jump: bool = True
    timecode: str | None = None
    captions: bool = False
    views: tuple[str, ...] = ()
    several_edits: bool = False

    @cached_property
    def square_size(self) -> tuple[float, float]:
        """Width and height in storage orientation once the pixels are square."""
        return float(self.width * self.sample_aspect), float(self.height)

    @cached_property
    def display_size(self) -> tuple[int, int]:
        """Width and height of the picture as shown."""
        width, height = self.square_size
        size = (max(1, round(width)), max(1, round(height)))
        return size if self.rotation in (0, 180) else (size[1], size[0])

    @property
    def turn(self) -> tuple[int, int, int, int]:
        """(a, b, c, d), each -1, 0 or 1: x' = a x + c y and y' = b x + d y turn upright."""
        a, b, c, d = {
            0: (1, 0, 0, 1),
            90: (0, 1, -1, 0),
            180: (-1, 0, 0, -1),
            270: (0, -1, 1, 0),
        }[self.rotation]
        return (-a, -b, c, d) if self.mirrored else (a, b, c, d)

    @property
    def storage_to_display(self) -> Affine:
        """(2, 3) float64: stored pixel coordinates -> display coordinates."""
        aspect = float(self.sample_aspect)
        stretch = np.array([[aspect, 0.0, (aspect - 1.0) / 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        a, b, c, d = self.turn
        width, height = self.square_size
        right, bottom = width - 1.0, height - 1.0
        turn = np.array(
            [
                [a, c, (right if a < 0 else 0.0) + (bottom if c < 0 else 0.0)],
                [b, d, (right if b < 0 else 0.0) + (bottom if d < 0 else 0.0)],
            ]
        )
        result: Affine = turn @ stretch
        return result


def probe(path: str | Path, *, stream: int | None = None, deinterlace: bool = False) -> VideoInfo:
    """Open a video or picture, decode its first frame and say what it is.

    Args:
        path: the file.
        stream: number of the video stream; None: see :mod:`lipwright.media.choice`.
        deinterlace: whether the reader is going to make whole frames of fields.

    Raises:
        LipwrightError: missing, empty or unreadable file, no picture in it, nothing decodable.
    """
    path = Path(path)
    with open_media(path, "video") as container:
        picked = pick_video_stream(container, path, stream)
        guard(picked)
        frame = _first_frame(path, container, picked)
        if frame is None:
            raise undecodable(path)
        return describe(path, container, picked, frame, deinterlace=deinterlace)


def undecodable(path: Path) -> LipwrightError:
    """The error of a video without a picture."""
    return LipwrightError(
        f"No frame of the video {path} could be decoded: it is damaged or cut off; check that it "
        "plays."
    )


def guard(stream: av.VideoStream) -> None:
    """Have the decoder refuse pictures beyond the limit before it finds memory for them."""
    stream.codec_context.options = {
        **stream.codec_context.options,
        "max_pixels": str(limits.active().pixels),
    }


def describe(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    frame: av.VideoFrame,
    *,
    deinterlace: bool = False,
) -> VideoInfo:
    """Collect the facts from an open file and its first decoded frame.

    Raises:
        LipwrightError: a picture beyond the limits.
    """
    context = stream.codec_context
    source_format = frame.format.name
    pix_fmt = planar_name(source_format)
    layout = layout_of(pix_fmt)
    assert layout is not None  # planar_name gives plain planar formats only
    limits.check_picture(frame.width, frame.height, layout.bytes_per_pixel, path)
    is_still = (
        container.format.name == "image2"
        or container.format.name.endswith("_pipe")
        or bool(stream.disposition & (Disposition.attached_pic | Disposition.still_image))
        or (container.format.name in _MAY_MOVE and _has_one_picture(path))
    )
    code_range = frame.color_range or context.color_range
    if source_format.startswith("yuvj"):
        code_range = 2

    def tag(of_frame: int, of_stream: int) -> int:
        return int(of_stream if of_frame == 2 else of_frame)

    colour = resolve_tags(
        tag(frame.colorspace, context.colorspace),
        tag(frame.color_primaries, context.color_primaries),
        tag(frame.color_trc, context.color_trc),
        int(code_range),
        is_rgb=layout_is_rgb(source_format),
        height=frame.height,
        is_gray_still=is_still and layout.is_gray,
    )
    time_base = stream.time_base or Fraction(1, 90_000)
    rate = _sane_rate(stream, is_still)
    duration = _duration(container, stream, time_base)
    matrix = _display_matrix(frame, path)
    rotation, mirrored = _orientation(matrix)
    count = stream.frames or (round(duration * rate) if duration is not None else 0)
    clock = clock_of(path, container)
    found = VideoInfo(
        path=path,
        width=frame.width,
        height=frame.height,
        rotation=rotation,
        mirrored=mirrored,
        display_matrix=matrix,
        sample_aspect=_sane_aspect(stream.sample_aspect_ratio),
        time_base=time_base,
        average_rate=rate,
        pix_fmt=pix_fmt,
        source_pix_fmt=source_format,
        bit_depth=layout.depth,
        colour=colour,
        duration=None if is_still else duration,
        frame_count=1 if is_still else (count or None),
        is_still=is_still,
        has_audio=bool(container.streams.audio),
        container=container.format.name,
        codec=context.name,
        stream_index=stream.index,
        start_pts=frame.pts or 0,
        field_order="progressive" if is_still else _field_order(stream, frame),
        hdr=hdr_metadata(frame),
        has_alpha=_is_transparent(frame) or stream.metadata.get("alpha_mode") == "1",
        can_jump=clock is None and not stores_decoding_order(container, stream),
        timecode=None if is_still else _timecode(frame, rate),
        captions=side_data(frame, "A53_CC") is not None,
        views=_views(frame),
        several_edits="mp4" in container.format.name.split(",") and has_several_edits(path),
    )
    if deinterlace and found.field_order != "progressive":
        return replace(found, field_order="progressive", deinterlaced=True)
    return replace(found, deinterlaced=deinterlace and not is_still)


def _timecode(frame: av.VideoFrame, rate: Fraction) -> str | None:
    for kind in ("S12M_TIMECODE", "GOP_TIMECODE"):
        label = timecode.of_frame(kind, side_data(frame, kind) or b"", timecode.exact_rate(rate))
        if label is not None:
            return label
    return None


_STEREO_UNSPECIFIED = 8
"""libav's number where the other view is a layer of the stream, which is not decoded (MV-HEVC)."""


def _views(frame: av.VideoFrame) -> tuple[str, ...]:
    """``VideoInfo.views``; the number at the head of libav's ``AVStereo3D`` is the arrangement."""
    (kind,) = struct.unpack("=i", (side_data(frame, "STEREO3D") or bytes(4))[:4])
    found = [] if kind == 0 else ["second view" if kind == _STEREO_UNSPECIFIED else "two views"]
    found += ["sphere"] if side_data(frame, "SPHERICAL") is not None else []
    return tuple(found)


def _has_one_picture(path: Path) -> bool:
    """Whether a file of a kind that may move holds a single picture, which most GIF do."""
    with open_media(path, "picture") as container:
        packets = packets_of(container, container.streams.video[0])
        try:
            return len([packet for packet in islice(packets, 2) if packet.size]) < 2
        except (av.error.FFmpegError, OSError):
            return False


def stores_decoding_order(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """Whether a file says only in which order frames are decoded, and the two orders differ.

    AVI has no times at all, only places; the frame that is shown n-th has the n-th place.
    """
    return container.format.name == "avi" and bool(stream.codec_context.has_b_frames)


def _is_transparent(frame: av.VideoFrame) -> bool:
    """Whether anything of a frame is transparent; GIF, for one, is always decoded with alpha."""
    if not any(c.is_alpha for c in frame.format.components):
        return False
    small = frame.reformat(
        min(frame.width, 64), min(frame.height, 64), "rgba", interpolation="AREA"
    )
    return bool((small.to_ndarray()[..., 3] < 255).any())


def _field_order(stream: av.VideoStream, frame: av.VideoFrame) -> FieldOrder:
    order = stream.codec_context.field_order
    if order in _BOTTOM_FIRST:
        return "bff"
    if order in _TOP_FIRST:
        return "tff"
    if not frame.interlaced_frame:
        return "progressive"
    return "bff" if stream.codec_context.name == "dvvideo" else "tff"


def _first_frame(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream
) -> av.VideoFrame | None:
    packets = packets_of(container, stream)
    retime = retimer(path, container, stream.index)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):
            packet = None
        if packet is not None and retime is not None:
            retime(packet)
        try:
            frames = packet.decode() if packet is not None else stream.decode(None)
        except (av.error.FFmpegError, ValueError):
            frames = []
        if frames:
            return frames[0]
        if packet is None:
            return None


def _sane_aspect(aspect: Fraction | None) -> Fraction:
    if not aspect or not Fraction(1, _MAX_ASPECT) <= aspect <= _MAX_ASPECT:
        return Fraction(1)
    return Fraction(aspect)


def _sane_rate(stream: av.VideoStream, is_still: bool) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if not is_still and rate and Fraction(1, 1000) <= rate <= 1000:
            return Fraction(rate)
    return _DEFAULT_RATE


def _duration(
    container: av.container.InputContainer, stream: av.VideoStream, time_base: Fraction
) -> Fraction | None:
    if stream.duration is not None and stream.duration > 0:
        return stream.duration * time_base
    if container.duration is not None and container.duration > 0:
        return Fraction(container.duration, 1_000_000)
    return None


def _display_matrix(frame: av.VideoFrame, path: Path) -> tuple[int, ...] | None:
    """The nine 16.16 numbers of libav's display matrix, row by row."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know all kinds of side data, that of EXIF tags for one
        return exif_matrix(path) or _TURNED.get(round(-frame.rotation / 90) % 4)
    raw = bytes(data) if data is not None else b""  # type: ignore[call-overload]
    if len(raw) != 36:
        return None
    matrix = struct.unpack("=9i", raw)
    return matrix if any(matrix[:2]) and any(matrix[3:5]) else None


def _orientation(matrix: tuple[int, ...] | None) -> tuple[int, bool]:
    """(clockwise quarter turns in degrees, mirrored) nearest to a display matrix."""
    if matrix is None:
        return 0, False
    a, b, _, c, d = matrix[:5]
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    degrees = math.degrees(math.atan2(b, a))
    return round(degrees / 90.0) % 4 * 90, mirrored
