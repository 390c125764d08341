"""Pictures and speech into a file that appears under its name only when it is complete."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import av.container
import av.error
from av.codec.context import Flags

from lipwright.errors import LipwrightError, reason_of, system_errors
from lipwright.media.colour import output_tags
from lipwright.media.encoding import MUXERS, choose_encoding, kind_of
from lipwright.media.fields import FieldMarker
from lipwright.media.info import VideoInfo
from lipwright.media.last_packet import last_packet_times
from lipwright.media.names import Pixels
from lipwright.media.planes import layout_of, with_pixel_format
from lipwright.media.thread_priority import ordinary_priority
from lipwright.media.tracks import Track, kept_streams, speech_track

log = logging.getLogger(__name__)

_LIMITED, _FULL = 1, 2
_ABSURD_TICKS = 1 << 40

MOST_SVT_RATE = Fraction(240)
"""Frames per second that SVT-AV1 takes at most; the timestamps of the frames say what is true."""


class VideoWriter:
    """Encode frames one after another and mux the speech beside them.

    Use it as a context manager: leaving it normally completes the file and gives it its name,
    leaving it by an exception removes all traces. Timestamps, rotation, sample aspect, colour tags
    and bit depth are those of the source (Matroska and WebM count time in milliseconds).

    Attributes:
        warnings: sentences about what could not be kept.
    """

    def __init__(
        self,
        out: str | Path,
        info: VideoInfo,
        *,
        crf: int = 16,
        lossless: bool = False,
        pixels: Pixels = "keep",
        codec: str = "auto",
        captions: bool = False,
        speech: str | Path | None = None,
        keep_streams_from: str | Path | None = None,
        duration: Fraction | None = None,
        time_base: Fraction | None = None,
        rate: Fraction | None = None,
        preset: str | None = None,
        threads: int = 0,
        metadata: dict[str, str] | None = None,
        finish_hook: Callable[[Path], None] | None = None,
    ) -> None:
        """Open the output.

        Args:
            out: path; the suffix says the container: .mp4, .m4v, .mov, .mkv, .webm.
            info: of the source video.
            crf: quality on x264's scale.
            lossless: store every bit (FFV1, .mkv only).
            pixels: ``8`` makes 8 bit 4:2:0 of everything.
            codec: see ``choose_encoding``.
            captions: see ``choose_encoding``.
            speech: file whose first audio stream goes into the output; it starts with the first
                picture and may be shorter or longer than the video.
            keep_streams_from: video whose other audio streams and subtitles are copied too.
            duration: seconds from the first picture after which no sound is written; None: all of
                it. Set it to the length of the video to cut longer speech.
            time_base: unit of the timestamps given to :meth:`write`; default that of ``info``.
            rate: frames per second to declare; default that of ``info``.
            preset: of x264; default by picture size.
            threads: of the encoder; 0 leaves it to the encoder.
            metadata: tags for the file, such as title and comment.
            finish_hook: called with the path of the complete temporary file before it gets its
                name; it may rewrite that file.

        Raises:
            LipwrightError: unknown suffix, unwritable place, output equal to an input, unusable
                speech.
        """
        self.out = Path(out)
        self.warnings: list[str] = []
        self._kind = kind = kind_of(self.out)
        self._target = _checked_target(
            self.out, [info.path, *(Path(p) for p in (speech, keep_streams_from) if p is not None)]
        )
        self._encoding = choose_encoding(kind, info, crf, lossless, preset, pixels, codec, captions)
        if self._encoding.sample_aspect != info.sample_aspect:
            self.warnings.append(
                f"{self.out} cannot hold pixels that are not square with this codec; the picture "
                "was stretched to square pixels."
            )
        self._fields = FieldMarker(info.field_order) if self._encoding.interlaced else None
        self._info = info
        self._time_base = time_base or info.time_base
        self._rate = rate or info.average_rate
        self._duration = duration
        self._finish_hook = finish_hook
        self._stack = ExitStack()
        self._tracks: list[Track] = []
        self._durations: dict[int, int] = {}
        self._held: av.Packet[av.VideoStream] | None = None
        self._first_dts: int | None = None
        self._start: int | None = None
        self._last_pts: int | None = None
        self._last_duration = 1
        self._done = False
        self.temporary = self._target.with_name(
            f".{self._target.stem[:40]}.{secrets.token_hex(4)}{self._target.suffix}"
        )
        try:
            with explained(self.out):
                self.temporary.touch()  # tells early whether the place is writable
                self._output = av.open(
                    f"file:{self.temporary}",
                    mode="w",
                    format=MUXERS[kind],
                    container_options={"movflags": "+faststart"} if kind in ("mp4", "mov") else {},
                )
                self._stack.callback(self._output.close)
                self._output.metadata.update(metadata or {})
                self._stream = self._add_video(threads)
                if speech is not None:
                    track = speech_track(
                        self._output, kind, Path(speech), self._stack, notices=self.warnings
                    )
                    self._tracks.append(track)
                if keep_streams_from is not None:
                    start = info.start_pts * info.time_base
                    kept, lost = kept_streams(
                        self._output, kind, Path(keep_streams_from), start, self._stack
                    )
                    self.warnings += lost
                    self._tracks += [kept] if kept is not None else []
        except BaseException:
            self.abort()
            raise

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def write(self, frame: av.VideoFrame, pts: int, duration: int | None = None) -> None:
        """Append a picture.

        Args:
            frame: in the size and pixel format of ``info``. Its pixels are not changed.
            pts: timestamp in units of the time base, larger than the one before.
            duration: in the same units; default: to the next frame, or one usual frame.

        Raises:
            LipwrightError: the disk is full, or the encoder refuses.
            ValueError: ``pts`` does not grow.
        """
        if self._last_pts is not None and pts <= self._last_pts:
            raise ValueError(f"pts {pts} after {self._last_pts}: timestamps must grow")
        with explained(self.out):
            if self._start is None:
                self._start = pts
                for track in self._tracks:
                    track.start(pts * self._time_base)
            self._last_pts = pts
            self._last_duration = duration or self._usual_duration()
            if duration:
                self._durations[pts] = duration
            picture = self._fitted(frame)
            picture.pts, picture.time_base = pts, self._time_base
            if self._fields is not None:
                picture = self._fields.mark(picture)
            picture.pict_type = 0  # the source's I, P and B are no orders to the encoder
            self._mux(self._encoded(picture))

    def close(self) -> None:
        """Complete the file and give it its name.

        Raises:
            LipwrightError: nothing was written, or the file could not be completed.
        """
        if self._done:
            return
        try:
            with explained(self.out):
                if self._start is None:
                    raise LipwrightError(f"There are no pictures to write to {self.out}.")
                self._durations.setdefault(self._last_pts or 0, self._last_duration)
                self._mux(self._encoded(None))
                self._mux_last()
                for track in self._tracks:
                    track.advance(None, self._end())
                self._stack.close()
            if self._finish_hook is not None:
                self._finish_hook(self.temporary)
            with explained(self.out):
                os.replace(self.temporary, self._target)
        except BaseException:
            self.abort()
            raise
        self._done = True

    def abort(self) -> None:
        """Give up: remove the unfinished file. Safe to call at any time, also twice."""
        if self._done:
            return
        self._done = True
        with contextlib.suppress(Exception):
            self._stack.close()
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    def _encoded(self, picture: av.VideoFrame | None) -> list[av.Packet[Any]]:
        """The packets of a picture; the first one opens the encoder."""
        with (
            ordinary_priority() if self._encoding.codec == "libsvtav1" else contextlib.nullcontext()
        ):
            return list(self._stream.encode(picture))

    def _add_video(self, threads: int) -> av.VideoStream:
        info, encoding = self._info, self._encoding
        rate = self._rate.limit_denominator(1_000_000)
        if encoding.codec == "libsvtav1":
            rate = min(rate, MOST_SVT_RATE)
        stream: av.VideoStream = self._output.add_stream(  # type: ignore[assignment,unused-ignore]
            encoding.codec, rate=rate
        )
        context = stream.codec_context
        stream.width, stream.height = encoding.size
        stream.pix_fmt = encoding.pix_fmt
        stream.time_base = context.time_base = self._time_base
        context.sample_aspect_ratio = encoding.sample_aspect
        context.options = encoding.options
        if threads:
            context.thread_count = threads
        if encoding.codec == "ffv1":
            context.thread_count, context.thread_type = threads, "SLICE"
        if encoding.codec_tag is not None:
            context.codec_tag = encoding.codec_tag
        is_rgb = encoding.pix_fmt.startswith(("gbr", "bgr"))
        colour = output_tags(info.colour, is_rgb, info.height)
        if not encoding.says_range:
            colour = replace(colour, range=_LIMITED)
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        context.colorspace, context.color_range = colour.matrix, colour.range
        if encoding.interlaced:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
            context.field_order = 2 if info.field_order == "tff" else 3
        if info.display_matrix is not None:
            stream.set_display_matrix(info.display_matrix)
        return stream

    def _usual_duration(self) -> int:
        return max(1, round(1 / (self._info.average_rate * self._time_base)))

    def _end(self) -> Fraction | None:
        if self._duration is None or self._start is None:
            return None
        return self._start * self._time_base + self._duration

    def _mux(self, packets: list[av.Packet[av.VideoStream]]) -> None:
        """Put packets into the file; the newest is held back until it is known not to be last."""
        for packet in packets:
            ahead = (packet.pts or 0) - (packet.dts or 0)
            if abs(ahead) > _ABSURD_TICKS:  # x265 does so for clips of one or two frames
                packet.dts = packet.pts
            if packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            if self._first_dts is None:
                self._first_dts = packet.dts
            self._mux_held()
            self._held = packet

    def _mux_held(self) -> None:
        packet, self._held = self._held, None
        if packet is None:
            return
        time = (packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base
        self._output.mux_one(packet)
        for track in self._tracks:
            track.advance(time, self._end())

    def _mux_last(self) -> None:
        """Mux the last packet, with the times that an MP4 needs to end with the last picture."""
        packet, start, last = self._held, self._start, self._last_pts
        if self._kind in ("mp4", "mov") and packet is not None and packet.dts is not None:
            assert start is not None
            assert last is not None
            assert self._first_dts is not None
            assert packet.pts is not None
            packet.dts, packet.duration = last_packet_times(
                packet.pts, packet.dts, self._first_dts, start, last + self._last_duration
            )
        self._mux_held()

    def _fitted(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame in the encoder's size and pixel format."""
        target, size = self._encoding.pix_fmt, self._encoding.size
        name = frame.format.name
        if (frame.width, frame.height) != (self._info.width, self._info.height):
            raise ValueError("a frame differs in size from the video")
        full = _FULL if self._info.colour.full_range else _LIMITED
        stored = full if self._encoding.says_range else _LIMITED
        if name == target and (frame.width, frame.height) == size and full == stored:
            return frame
        source, wanted = layout_of(name), layout_of(target)
        if (
            source is not None
            and wanted is not None
            and (frame.width, frame.height) == size
            and not source.is_rgb
            and source.depth == wanted.depth
            and full == stored
            and (source.is_gray or name.replace("yuva", "yuv") == target)
        ):
            return with_pixel_format(frame, target)
        if source is not None and source.is_gray and wanted is not None and not wanted.is_gray:
            # libswscale takes gray of 8 bits for full range, whatever it is told.
            frame = with_pixel_format(frame, name.replace("gray", "yuv444p"))
        if source is not None and source.is_rgb and wanted is not None and not wanted.is_rgb:
            matrix = "ITU601" if self._info.height <= 576 else "ITU709"
            return frame.reformat(
                *size, target, dst_colorspace=matrix, src_color_range=full, dst_color_range=_LIMITED
            )
        return frame.reformat(
            *size, target, src_color_range=full, dst_color_range=stored, interpolation="BICUBIC"
        )


@contextmanager
def explained(out: Path) -> Iterator[None]:
    """Turn libav's and the system's errors while ``out`` is written into one sentence."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        log.debug("writing %s failed", out, exc_info=True)
        raise LipwrightError(
            f"{out} could not be written ({reason_of(error)}); check the free space and the "
            "permissions of that folder."
        ) from error


def _checked_target(out: Path, inputs: list[Path]) -> Path:
    """The file that ``out`` stands for, once it is clear that it may be written."""
    target = out.resolve() if out.is_symlink() else out.absolute()
    with system_errors(f"The output {out} cannot be written", kinds=(OSError, ValueError)):
        if target.exists():
            if not target.is_file():
                raise LipwrightError(f"The output {out} is no ordinary file; give a file name.")
            for path in inputs:
                if path.exists() and target.samefile(path):
                    raise LipwrightError(
                        f"The output {out} is also an input; give it another name."
                    )
        if not target.parent.is_dir():
            raise LipwrightError(
                f"The folder {target.parent} of the output does not exist; create it first."
            )
        if not os.access(target.parent, os.W_OK):
            raise LipwrightError(
                f"The folder {target.parent} is not writable; choose another for the output."
            )
    return target
