"""Which stream of a file is meant, where it has several.

A player shows the stream that is marked as the default one, and so does Lipwright; the first one
where none is marked. ``--video-stream`` and ``--speech-stream`` choose another, by the number that
ffprobe gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import av.container
from av.stream import Disposition

from lipwright.errors import LipwrightError
from lipwright.media import limits

_NO_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails


def pick_video_stream(
    container: av.container.InputContainer, path: Path, wanted: int | None = None
) -> av.VideoStream:
    """The video stream to use.

    Args:
        container: the open file.
        path: of it, for messages.
        wanted: number of the stream; None: the default one, else the first, else a cover picture.

    Raises:
        LipwrightError: no picture in the file, no such stream, or an absurdly large one.
    """
    streams = [s for s in container.streams.video if s.codec_context is not None]
    moving = [s for s in streams if not s.disposition & _NO_PICTURE]
    if not streams:
        raise LipwrightError(
            f"There is no picture in {path} that can be read; give a video or a still picture as "
            "VIDEO."
        )
    stream: av.VideoStream = _picked(moving or streams, streams, path, wanted, "video")
    limits.check_picture(stream.width, stream.height, 1.0, path)
    return stream


def pick_audio_stream(
    container: av.container.InputContainer, path: Path, wanted: int | None = None
) -> av.AudioStream:
    """The audio stream to use: the wanted one, else the default one, else the first.

    Raises:
        LipwrightError: no sound in the file, or no such stream.
    """
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    if not container.streams.audio:
        raise LipwrightError(f"The speech file {path} has no audio stream; give a file with sound.")
    if not streams:
        raise LipwrightError(
            f"The audio of {path} is in a format that cannot be decoded; convert it to WAV."
        )
    found: av.AudioStream = _picked(streams, streams, path, wanted, "audio")
    return found


def choice_notice(
    container: av.container.InputContainer, path: Path, used: Any, option: str
) -> str | None:
    """A sentence that says which of several streams was used; None where there is one only."""
    streams = [s for s in container.streams if s.type == used.type and s.codec_context is not None]
    streams = [s for s in streams if not s.disposition & _NO_PICTURE and s.frames != 1]
    if len(streams) < 2 or used not in streams:
        return None
    return (
        f"{path} has {len(streams)} {used.type} streams ({_listed(streams)}); stream {used.index} "
        f"was used ({option} chooses another)."
    )


def _picked(
    usual: Sequence[Any], known: Sequence[Any], path: Path, wanted: int | None, kind: str
) -> Any:
    if wanted is None:
        marked = [s for s in usual if s.disposition & Disposition.default] or list(usual)
        # An animated AVIF marks both its cover picture and its frames as the default.
        return next((s for s in marked if s.frames != 1), marked[0])
    for stream in known:
        if stream.index == wanted:
            return stream
    raise LipwrightError(
        f"{path} has no {kind} stream {wanted}; its {kind} streams are {_listed(known)}."
    )


def _listed(streams: Sequence[Any]) -> str:
    return ", ".join(_described(stream) for stream in streams)


def _described(stream: Any) -> str:
    facts = [stream.codec_context.name]
    if stream.type == "video":
        facts.append(f"{stream.width}x{stream.height}")
    else:
        facts.append(f"{stream.codec_context.layout.nb_channels} channels")
    language = stream.metadata.get("language")
    facts += [language] if language and language != "und" else []
    facts += ["default"] if stream.disposition & Disposition.default else []
    return f"{stream.index}: {' '.join(facts)}"
