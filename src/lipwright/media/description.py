"""What a file says about itself: title, chapters, time code; kept with ``--keep-streams``."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
from av.stream import Disposition

from lipwright.media.names import Kind

_TECHNICAL = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "duration"),
    *("handler_name", "vendor_id", "bps", "number_of_bytes", "number_of_frames"),
}
"""Tags that describe the file as it was written, not what is in it."""


def keep_description(
    output: av.container.OutputContainer,
    kind: Kind,
    picture: Any,
    source: av.container.InputContainer,
    path: Path,
    used: int,
    begins: Fraction,
    end: Fraction,
) -> list[str]:
    """Copy tags, chapters and time code of a source into the output, before it is begun.

    Args:
        output: the file that is written.
        kind: its container.
        picture: its video stream.
        source: the open source video.
        path: of it, for messages.
        used: number of the source's video stream that is shown.
        begins: time of its first picture, seconds.
        end: length of the output, seconds.

    Returns:
        Sentences about what could not be kept.
    """
    output.metadata.update(_kept(source.metadata))
    stream = source.streams[used]
    picture.metadata.update(
        {key: stream.metadata[key] for key in ("language", "title") if key in stream.metadata}
    )
    code = _timecode(source)
    if code is not None:
        # MP4 and MOV get a track for it, made by the muxer; Matroska keeps the tag.
        picture.metadata["timecode"] = code
    chapters = _shifted(source.chapters(), begins, end)
    if chapters:
        output.set_chapters(chapters)  # type: ignore[arg-type]
    return _other_pictures(source, path, used)


def _kept(tags: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in _TECHNICAL and not key.lower().startswith("_statistics")
    }


def _timecode(source: av.container.InputContainer) -> str | None:
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


def _other_pictures(source: av.container.InputContainer, path: Path, used: int) -> list[str]:
    found = []
    for stream in source.streams.video:
        if stream.index == used:
            continue
        cover = stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
        what = "cover picture" if cover else "other video stream"
        found.append(f"The {what} {stream.index} of {path} cannot be kept.")
    return found
