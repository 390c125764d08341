"""What a file says about itself: title, chapters, time code; kept with ``--keep-streams``."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
from av.stream import Disposition

from lipwright.media import timecode
from lipwright.media.info import VideoInfo

_TECHNICAL = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "duration"),
    *("handler_name", "vendor_id", "bps", "number_of_bytes", "number_of_frames"),
}
"""Tags that describe the file as it was written, not what is in it."""


def keep_description(
    output: av.container.OutputContainer,
    picture: Any,
    source: av.container.InputContainer,
    info: VideoInfo,
    start: Fraction,
    end: Fraction,
) -> list[str]:
    """Copy tags, chapters and time code of a source into the output, before it is begun.

    Args:
        output: the file that is written.
        picture: its video stream.
        source: the open source video.
        info: of it.
        start: seconds of the source before the output's first picture.
        end: length of the output, seconds.

    Returns:
        Sentences about what could not be kept.
    """
    output.metadata.update(_kept(source.metadata))
    stream = source.streams[info.stream_index]
    picture.metadata.update(
        {key: stream.metadata[key] for key in ("language", "title") if key in stream.metadata}
    )
    code = time_code(source) or info.timecode
    if code is not None:
        code = _moved(code, start, info.average_rate)
        output.metadata.update({key: code for key in output.metadata if key.lower() == "timecode"})
        # MP4 and MOV get a track for it, made by the muxer; Matroska keeps the tag.
        picture.metadata["timecode"] = code
    begins = info.start_pts * info.time_base + start
    chapters = _shifted(source.chapters(), begins, end)
    if chapters:
        output.set_chapters(chapters)  # type: ignore[arg-type]
    return other_pictures(source, info.path, info.stream_index)


def _moved(code: str, start: Fraction, average_rate: Fraction) -> str:
    """The label of the first picture at or after ``start``; as it was where it is no label."""
    rate = timecode.exact_rate(average_rate)
    try:
        return timecode.advanced(code, -(-start * rate // 1) if start else 0, rate)
    except ValueError:
        return code


def _kept(tags: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in _TECHNICAL and not key.lower().startswith("_statistics")
    }


def time_code(source: av.container.InputContainer) -> str | None:
    """The label of the first picture by the tags of a file; None where there is none."""
    for tags in (*(stream.metadata for stream in source.streams), source.metadata):
        for key, value in tags.items():
            if key.lower() == "timecode" and value:
                return value
    return None


def _shifted(chapters: Sequence[Any], begins: Fraction, end: Fraction) -> list[dict[str, Any]]:
    """Chapters on the output's clock; what lies wholly outside is left out."""
    found = []
    for chapter in chapters:
        base = Fraction(chapter["time_base"])
        start = max(Fraction(0), chapter["start"] * base - begins)
        stop = min(end, chapter["end"] * base - begins)
        if start < stop:
            ticks = Fraction(1, 1000)
            found.append(
                {
                    **chapter,
                    "time_base": ticks,
                    "start": round(start / ticks),
                    "end": round(stop / ticks),
                }
            )
    return found


def other_pictures(source: av.container.InputContainer, path: Path, used: int) -> list[str]:
    """A sentence for each picture of a file but the one that is shown: it cannot be kept."""
    found = []
    for stream in source.streams.video:
        if stream.index == used:
            continue
        cover = stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
        what = "cover picture" if cover else "other video stream"
        found.append(f"The {what} {stream.index} of {path} cannot be kept.")
    return found
