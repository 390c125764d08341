"""Sound, subtitles and data on their way into the output, read lazily beside the pictures.

A track is asked again and again to put everything up to a time into the file, so that packets lie
interleaved and only a few are held at a time.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import av.container

from lipwright.media.audio import speech_origin
from lipwright.media.choice import pick_audio_stream
from lipwright.media.copied_streams import (
    CopiedStreams,
    added,
    codec_name,
    described,
    is_timecode,
    refused,
)
from lipwright.media.description import other_pictures, time_code
from lipwright.media.encoded_speech import EncodedSpeech
from lipwright.media.info import VideoInfo
from lipwright.media.names import Kind
from lipwright.media.source import open_media

_MP4_AUDIO = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}
_MOV_AUDIO = {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le"}
_MKV_AUDIO = {
    *_MP4_AUDIO,
    *("vorbis", "dts", "truehd", "mp2", "tta", "wavpack", "pcm_u8", "pcm_s16le", "pcm_s24le"),
    *("pcm_s32le", "pcm_f32le", "pcm_f64le"),
}
AUDIO: dict[Kind, set[str]] = {
    "mp4": _MP4_AUDIO,
    "mov": _MOV_AUDIO,
    "mkv": _MKV_AUDIO,
    "webm": {"opus", "vorbis"},
}
_UNPLAYABLE: dict[Kind, set[str]] = {"mp4": {"ac3", "eac3"}}
"""Legal, but silent in browsers and in many players; as the only speech they are encoded anew."""
SUBTITLES: dict[Kind, set[str]] = {
    "mp4": {"mov_text"},
    "mov": {"mov_text", "eia_608"},
    "mkv": {"subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"},
    "webm": {"webvtt"},
}


_HOLD_DATA: tuple[Kind, ...] = ("mp4", "mov")
"""Containers that take streams of data (GPS and motion of cameras) at all."""
_ORDER = {"audio": 0, "subtitle": 1}


class Track(Protocol):
    """Something that fills streams of the output."""

    def start(self, origin: Fraction) -> None:
        """Learn the time of the first picture, in seconds; called once, before ``advance``."""

    def advance(self, until: Fraction | None, end: Fraction | None) -> None:
        """Mux what lies before ``until`` (None: all), but nothing that starts at ``end``."""


def speech_track(
    output: av.container.OutputContainer,
    kind: Kind,
    path: Path,
    stack: ExitStack,
    stream: int | None = None,
    offset: Fraction = Fraction(0),
    notices: list[str] | None = None,
) -> Track:
    """Add an audio stream of a file to the output: copied if possible, else encoded once.

    The sample that ``load_speech`` returns first sounds ``offset`` seconds after the first picture
    of the output; below 0, the beginning is left out. The stream becomes the default one and keeps
    its language.

    Args:
        output: the file that is written.
        kind: its container.
        path: the file with the speech.
        stack: closes it in the end.
        stream: number of the stream; None: see :mod:`lipwright.media.choice`.
        offset: seconds.
        notices: takes sentences: that packets which should be copied had to be encoded, channels
            mixed, or loud parts lowered (the last one only when all is written).

    Raises:
        LipwrightError: unreadable file, or no audio stream.
    """
    container = stack.enter_context(open_media(path, "speech file"))
    picked = pick_audio_stream(container, path, stream)
    origin = speech_origin(path, stream)
    known = codec_name(picked) in AUDIO[kind] - _UNPLAYABLE.get(kind, set())
    if known and picked.codec_context.layout.nb_channels:
        if not refused(kind, path, [picked.index]):
            copy = added(output, picked)
            described(copy, picked, default=True)
            copies, shift = {picked.index: copy}, offset - origin
            return CopiedStreams(output, kind, path, container, copies, shift, offset < 0)
        if notices is not None:
            notices.append(
                f"The sound of {path} ({codec_name(picked)}) could not be copied into a {kind} "
                "file, for it is damaged or in a form that such files do not hold; it was encoded "
                "anew."
            )
    return EncodedSpeech(output, kind, path, container, picked, origin - offset, notices)


def kept_streams(
    output: av.container.OutputContainer,
    kind: Kind,
    path: Path,
    source_start: Fraction,
    stack: ExitStack,
    spoken: tuple[Path, int | None] | None = None,
    drop_early: bool = False,
) -> tuple[Track | None, list[str]]:
    """Add copies of the other audio streams, of all subtitles and of data of the source video.

    The audio stream that the speech replaces, the default one, is left out; so is the one that is
    the speech itself.

    Args:
        output: the file that is written.
        kind: its container.
        path: the source video.
        source_start: time of its first picture in seconds.
        stack: closes the source in the end.
        spoken: file and stream number of the speech, if it may be in the same file.
        drop_early: leave out what would sound or show before that, even where the container could
            carry it.

    Returns:
        The track, or None if there is nothing to copy, and a sentence for each stream that the
        container cannot carry.
    """
    container = stack.enter_context(open_media(path, "video"))
    copies: dict[int, Any] = {}
    warnings: list[str] = []
    wanted = streams_to_copy(container, path, spoken)
    able = [stream.index for stream in wanted if _can_hold(kind, stream)]
    lost = refused(kind, path, able)
    for stream in sorted(wanted, key=lambda stream: _ORDER.get(stream.type, 2)):
        copy = None if stream.index in lost or stream.index not in able else added(output, stream)
        if copy is None:
            warnings.append(_cannot_keep(kind, path, stream))
            continue
        described(copy, stream, default=False)
        copies[stream.index] = copy
    if kind == "mkv":
        for attachment in container.streams.attachments:
            if attachment.data:
                output.add_attachment(
                    attachment.name or "attachment",
                    attachment.mimetype or "application/octet-stream",
                    attachment.data,
                )
    elif container.streams.attachments:
        warnings.append(_cannot_keep_attachments(kind, path))
    if not copies:
        return None, warnings
    copied = CopiedStreams(output, kind, path, container, copies, -source_start, drop_early)
    return copied, warnings


def stream_losses(
    kind: Kind,
    info: VideoInfo,
    spoken: tuple[Path, int | None] | None,
    keep: bool,
    captions: bool,
) -> list[str]:
    """What else a video has that the output will not have, in sentences.

    They are known before the job starts and are said then. That the packets of a stream are
    damaged is only found at the end.

    Args:
        kind: container of the output.
        info: of the source video.
        spoken: file and stream number of the speech.
        keep: whether other streams are to be kept where they can.
        captions: whether the output keeps closed captions of the frames.
    """
    path = info.path
    with open_media(path, "video") as container:
        wanted = streams_to_copy(container, path, spoken)
        if keep:
            found = [_cannot_keep(kind, path, s) for s in wanted if not _can_hold(kind, s)]
            if container.streams.attachments and kind != "mkv":
                found.append(_cannot_keep_attachments(kind, path))
            if info.captions and not captions:
                found.append(
                    f"The closed captions of {path} cannot be kept by this encoder; H.264 and HEVC "
                    "(--codec h264 or hevc, without --lossless) keep them."
                )
            return [*found, *other_pictures(container, path, info.stream_index)]
        counts = Counter(stream.type for stream in wanted)
        counts["attachment"] = len(container.streams.attachments)
        others = [_counted(counts[what], *words) for what, words in _NAMES.items() if counts[what]]
        others += ["chapters"] if container.chapters() else []
        others += ["a time code"] if time_code(container) or info.timecode else []
        others += ["closed captions"] if info.captions else []
    if not others:
        return []
    listed = " and ".join(filter(None, (", ".join(others[:-1]), others[-1])))
    return [
        f"{path} also has {listed}, which the output will not have; --keep-streams keeps what "
        f"{kind} files can hold."
    ]


_NAMES = {
    "audio": ("another sound stream", "other sound streams"),
    "subtitle": ("a subtitle stream", "subtitle streams"),
    "data": ("a data stream", "data streams"),
    "attachment": ("an attachment", "attachments"),
}


def _counted(count: int, one: str, several: str) -> str:
    return one if count == 1 else f"{count} {several}"


def streams_to_copy(
    container: av.container.InputContainer, path: Path, spoken: tuple[Path, int | None] | None
) -> list[Any]:
    """Sounds, subtitles and data of a video but those that the speech replaces or is itself."""
    left_out = set()
    if container.streams.audio:
        left_out.add(pick_audio_stream(container, path).index)
        if spoken is not None and spoken[0].exists() and spoken[0].samefile(path):
            left_out.add(pick_audio_stream(container, path, spoken[1]).index)
    chapters = bool(container.chapters())
    return [
        stream
        for stream in container.streams
        if stream.type not in ("video", "attachment")
        and stream.index not in left_out
        # These two are written anew, from the tag and from the list of chapters.
        and not is_timecode(stream)
        and not (chapters and codec_name(stream) == "bin_data")
    ]


def _can_hold(kind: Kind, stream: Any) -> bool:
    """Whether a container takes the format of a stream; damage of its packets aside."""
    held = {"audio": AUDIO, "subtitle": SUBTITLES}.get(stream.type)
    return kind in _HOLD_DATA if held is None else codec_name(stream) in held[kind]


def _cannot_keep(kind: Kind, path: Path, stream: Any) -> str:
    name = stream.metadata.get("handler_name") if stream.type == "data" else None
    return (
        f"The {stream.type} stream {stream.index} ({name or codec_name(stream)}) of {path} cannot "
        f"be kept in a {kind} file."
    )


def _cannot_keep_attachments(kind: Kind, path: Path) -> str:
    return f"The attachments of {path} (fonts) cannot be kept in a {kind} file."
