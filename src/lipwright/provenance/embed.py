"""Mark a finished video or picture: ``lipwright watermark embed``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lipwright.errors import LipwrightError, system_errors
from lipwright.files.whole import written_whole
from lipwright.media.reader import Frame, VideoReader
from lipwright.media.writer import VideoWriter
from lipwright.provenance.record.registry import Entry, HashedFile, now, register, unused_id
from lipwright.provenance.watermark.chroma import has_colour
from lipwright.provenance.watermark.grid import format_id
from lipwright.provenance.watermark.marker import (
    DEFAULT_REGION,
    FaceFinder,
    Marker,
    Region,
    face_finder,
)

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class EmbedReport:
    """What was marked; ``to_json`` gives plain types.

    Attributes:
        path: the marked file.
        mark_id: eight hexadecimal digits.
        region: ``face`` or ``frame``.
        frames: number of frames.
        marked: of them carrying the id.
        warnings: what was wrong with the source, or could not be kept.
    """

    path: str
    mark_id: str
    region: str
    frames: int
    marked: int
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain types for ``json.dumps``."""
        return asdict(self)

    def sentence(self) -> str:
        """What was done, in one line for people."""
        return (
            f"{self.path} carries the watermark {self.mark_id} in {self.marked} of "
            f"{self.frames} frames."
        )


def embed_file(
    source: str | Path,
    out: str | Path,
    mark_id: int | None = None,
    *,
    region: Region = DEFAULT_REGION,
    crf: int = 16,
    lossless: bool = False,
    find_faces: FaceFinder | None = None,
) -> EmbedReport:
    """Write a marked copy of a video or picture and note its id in the user's registry.

    Args:
        source: video or picture.
        out: the copy; its suffix chooses the container or the picture format.
        mark_id: 32-bit id; None draws a random one. What :mod:`significance` says about false
            alarms holds for random ids only.
        region: see :mod:`marker`.
        crf: quality of the copy on x264's scale.
        lossless: store every bit (.mkv).
        find_faces: finds the faces of the next frame; default the product's tracker.

    Raises:
        LipwrightError: unreadable source, unwritable output, no face found for the region
            ``face``, no colour that could be marked.
    """
    source, out = Path(source), Path(out)
    mark_id = unused_id() if mark_id is None else mark_id
    marker = Marker(mark_id, region)
    if marker.region == "face" and find_faces is None:
        find_faces = face_finder()
    finder = find_faces if marker.region == "face" else None
    with VideoReader(source) as reader:
        warnings = reader.warnings
        if reader.info.is_still and out.suffix.lower() in PICTURES:
            _write_picture(reader, out, marker, finder)
        else:
            warnings = warnings + _write_video(reader, out, marker, finder, crf, lossless)
        size = (reader.info.width, reader.info.height)
    entry = Entry(
        mark_id=mark_id,
        time=now(),
        output=HashedFile.of(out),
        inputs=[HashedFile.of(source)],
        size=size,
        region=marker.region,
    )
    register(entry)
    frames = marker.marked + marker.unmarked
    return EmbedReport(str(out), format_id(mark_id), marker.region, frames, marker.marked, warnings)


def _write_video(
    reader: VideoReader,
    out: Path,
    marker: Marker,
    find_faces: FaceFinder | None,
    crf: int,
    lossless: bool,
) -> list[str]:
    info = reader.info
    sound = reader.path if info.has_audio else None
    with VideoWriter(
        out, info, crf=crf, lossless=lossless, speech=sound, keep_streams_from=sound, captions=True
    ) as writer:
        for frame in reader:
            _mark(frame, marker, find_faces)
            writer.write(frame.native, frame.pts, frame.duration)
        _check(marker, reader.path)
    return writer.warnings


def _write_picture(
    reader: VideoReader, out: Path, marker: Marker, find_faces: FaceFinder | None
) -> None:
    frame = next(iter(reader))
    _mark(frame, marker, find_faces)
    _check(marker, reader.path)
    full = 2 if reader.info.colour.full_range else 1
    rgb = frame.native.reformat(format="rgb24", src_color_range=full).to_ndarray()
    turns = -reader.info.rotation // 90
    rgb = rgb[:, ::-1] if reader.info.mirrored else rgb
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_WEBP_QUALITY, 95]
    bgr = np.ascontiguousarray(np.rot90(rgb, turns)[..., ::-1])
    try:
        done, data = cv2.imencode(out.suffix.lower(), bgr, settings)
    except cv2.error:
        done = False
    with system_errors(f"{out} could not be written", "check the path"):
        if not done:
            raise OSError(f"no {out.suffix} pictures can be written")
        with written_whole(out) as temporary:
            temporary.write_bytes(data.tobytes())


def _mark(frame: Frame, marker: Marker, find_faces: FaceFinder | None) -> None:
    marker.mark(frame.native, frame.info, find_faces(frame) if find_faces else [])
    if marker.region == "frame" and not has_colour(frame.native):
        raise LipwrightError(
            f"{frame.info.path} has no colour, and the watermark lives in colour; convert it to a "
            "colour format first."
        )


def _check(marker: Marker, source: Path) -> None:
    if not marker.marked:
        raise LipwrightError(
            f"No face was found in {source}, so nothing was marked; use the region 'frame' to mark "
            "the whole picture."
        )
