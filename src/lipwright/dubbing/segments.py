"""The encoded output in pieces, so that a killed job can go on where it was.

Every segment of 250 frames is a file of its own in a hidden folder beside the output, encoded by
an encoder that starts fresh, in a resumed job as in an uninterrupted one; so both give the same
frames. (An H.264 encoder starts a new group of pictures every 250 frames anyway: the pieces cost
nothing.) A segment counts once a line in ``segments.jsonl`` vouches for it. At the end the packets
of all segments are copied, not encoded again, into one file beside the speech.

Containers differ in how exactly they keep time, but all keep the order. The timestamps of the
joined file are therefore taken from the timeline, packet by packet, and not from the pieces, which
are encoded as if at a steady rate: what an encoder writes into its own headers about time is then
the rate of the video, and not the unit of a container's clock.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.stream import Disposition

from lipwright.dubbing.timeline import Timeline
from lipwright.errors import LipwrightError, system_errors
from lipwright.files.beside import beside
from lipwright.media.description import keep_description
from lipwright.media.encoding import MUXERS, kind_of
from lipwright.media.info import VideoInfo
from lipwright.media.last_packet import last_packet_times
from lipwright.media.names import Pixels
from lipwright.media.source import open_media
from lipwright.media.tracks import Track, kept_streams, speech_track
from lipwright.media.writer import VideoWriter, explained

SEGMENT_SECONDS = 4
"""Length of a segment of the output: what a killed job loses at most."""
_FASTEST = Fraction(500)
"""Frames per second inside segments; Matroska, which counts milliseconds, keeps their order."""


PART = "<part>"
"""Stands for the file of a segment in the sentences of a writer elsewhere."""


@dataclass(frozen=True)
class SegmentEncoder:
    """How segments are encoded: a fresh encoder each, the same everywhere.

    Attributes:
        suffix: of the files.
        rate: frames per second inside them.
        crf: quality.
        lossless: store every bit.
        codec: see ``encoding.choose_encoding``.
        pixels: ``8`` makes 8 bit 4:2:0 of everything.
        captions: keep the closed captions that the frames carry, where the encoder can.
    """

    suffix: str
    rate: Fraction
    crf: int
    lossless: bool
    codec: str
    pixels: Pixels
    captions: bool = False

    def open(self, path: Path, info: VideoInfo) -> VideoWriter:
        """Begin a segment; its frames are written with their numbers as timestamps."""
        return VideoWriter(
            path,
            info,
            time_base=1 / self.rate,
            rate=self.rate,
            crf=self.crf,
            lossless=self.lossless,
            codec=self.codec,
            pixels=self.pixels,
            captions=self.captions,
        )


def segment_frames(info: VideoInfo) -> int:
    """Frames per segment: 4 s in steps of 8 frames, 24 at least, and 248 at most.

    It depends on the video alone, so that a resumed job and an uninterrupted one give the same
    frames. 250 is the longest distance of key frames that x264 chooses by itself.
    """
    return min(248, max(24, 8 * round(SEGMENT_SECONDS * info.average_rate / 8)))


class Segments:
    """Takes the frames of a render in order; see ``render_job.Sink``.

    Attributes:
        start: first frame that is not yet in a finished segment.
        encoder: how they are encoded.
        warnings: what the writer of the segments had to say.
    """

    def __init__(
        self,
        out: Path,
        info: VideoInfo,
        timeline: Timeline,
        *,
        crf: int,
        lossless: bool,
        codec: str = "auto",
        pixels: Pixels = "keep",
        captions: bool = False,
        identity: dict[str, Any],
        resume: bool,
        length: int,
    ) -> None:
        """Make the folder, or find what an earlier job left in it.

        Args:
            out: the output; its suffix is that of the segments too.
            info: of the source.
            timeline: of the output.
            crf: quality.
            lossless: store every bit.
            codec: see ``encoding.choose_encoding``.
            pixels: ``8`` makes 8 bit 4:2:0 of everything.
            captions: see :class:`SegmentEncoder`.
            identity: all that shapes the frames; what was made under another one is thrown away.
            resume: use what is there.
            length: frames per segment.

        Raises:
            LipwrightError: if the folder cannot be written.
        """
        self._info, self._timeline = info, timeline
        self._length, self._out = length, out
        rate = min(timeline.rate, _FASTEST)
        self.encoder = SegmentEncoder(out.suffix, rate, crf, lossless, codec, pixels, captions)
        self.folder = beside(out, "lipwright-parts")
        self._list = self.folder / "segments.jsonl"
        self._writer: VideoWriter | None = None
        self.warnings: list[str] = []
        self._identity = json.loads(json.dumps({**identity, "segment": length}))
        self.start = self._found() if resume else 0
        if self.start == 0:
            self._begin()

    def _begin(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        with system_errors(
            f"The folder {self._out.parent} cannot be written",
            "choose another output or correct its permissions",
        ):
            self.folder.mkdir()
            self._note(self._identity)

    def _found(self) -> int:
        """The first frame after the segments that an equal job has finished."""
        try:
            lines = self._list.read_bytes().split(b"\n")[:-1]  # what a kill cut off does not count
            if json.loads(lines[0]) != self._identity:
                return 0
            done = 0
            for index, line in enumerate(lines[1:]):
                if self._part(index).stat().st_size != json.loads(line)["bytes"]:
                    break
                done += 1
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            return 0
        return min(done * self._length, len(self._timeline))

    def _part(self, index: int) -> Path:
        return self.folder / f"{index:05d}{self._out.suffix}"

    def _note(self, line: dict[str, Any]) -> None:
        with self._list.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def write(self, k: int, native: av.VideoFrame) -> None:
        """Encode output frame ``k``."""
        if self._writer is None:
            self._trim(k // self._length)
            path = self._part(k // self._length)
            self._writer = self.encoder.open(path, self._info)
            self._warn(self._writer.warnings, str(path))
        self._writer.write(native, k, 1)
        self._last = k

    def _warn(self, sentences: Iterable[str], path: str) -> None:
        for sentence in sentences:
            general = sentence.replace(path, str(self._out))
            self.warnings += [general] if general not in self.warnings else []

    def take(self, index: int, data: bytes, sentences: Iterable[str]) -> None:
        """Take the next segment as it was encoded elsewhere, with :attr:`encoder`.

        Args:
            index: of the segment; all before it are finished.
            data: the file.
            sentences: that its writer had to say; they name the file ``PART``.
        """
        self._trim(index)
        self._warn(sentences, PART)
        with self._part(index).open("wb") as file:
            file.write(data)
        self._last = min((index + 1) * self._length, len(self._timeline)) - 1
        self._write_digest()

    def _trim(self, index: int) -> None:
        """Forget the notes on segments from ``index`` on, which are about to be made anew."""
        lines = self._list.read_bytes().split(b"\n")[: index + 1]
        self._list.write_bytes(b"\n".join(lines) + b"\n")

    def end_segment(self) -> None:
        """Finish the segment of the last frame written."""
        assert self._writer is not None
        self._writer.close()
        self._writer = None
        self._write_digest()

    def _write_digest(self) -> None:
        """Note down the segment of the last frame, once it is on the disk."""
        path = self._part(self._last // self._length)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        self._note({"bytes": path.stat().st_size})
        self.start = self._last + 1

    def close(self, keep: bool) -> None:
        """Give up an unfinished segment; remove everything unless it is to be kept."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def join(
        self,
        target: Path,
        speech: Path,
        streams: Path | None,
        offset: Fraction = Fraction(0),
        start: Fraction = Fraction(0),
        speech_stream: int | None = None,
    ) -> list[str]:
        """Copy all segments and the speech into one file.

        Args:
            target: to be written.
            speech: file with the speech.
            streams: video whose other streams, tags and chapters are kept, or None.
            offset: so many seconds later the speech begins.
            start: time in the source video of the first frame.
            speech_stream: number of the stream in ``speech``; None: the default one.

        Returns:
            Sentences about what could not be kept.
        """
        kind, line = kind_of(self._out), self._timeline
        parts = [self._part(i) for i in range(-(-len(line) // self._length))]
        warnings: list[str] = []
        with explained(self._out), ExitStack() as stack:
            options = {"movflags": "+faststart"} if kind in ("mp4", "mov") else {}
            output = stack.enter_context(
                av.open(f"file:{target}", "w", format=MUXERS[kind], container_options=options)
            )
            with av.open(f"file:{parts[0]}") as first:
                picture = output.add_stream_from_template(first.streams.video[0], opaque=True)
                if "alpha_mode" in first.streams.video[0].metadata:
                    picture.metadata["alpha_mode"] = "1"  # packets of VP9 bring it beside them
                if first.streams.video[0].codec_context.field_order > 1:
                    order = self._info.field_order
                    picture.codec_context.field_order = 2 if order == "tff" else 3
            picture.time_base = line.time_base
            picture.disposition = Disposition.default
            # The container's declaration: Matroska's default duration, the unit of a time code.
            picture.codec_context.framerate = line.rate if line.is_steady else Fraction(0)
            if self._info.display_matrix is not None:
                picture.set_display_matrix(self._info.display_matrix)
            tracks: list[Track] = [
                speech_track(output, kind, speech, stack, speech_stream, offset, warnings)
            ]
            if streams is not None:
                begins = self._info.start_pts * self._info.time_base + start
                spoken = (speech, speech_stream)
                track, lost = kept_streams(
                    output, kind, streams, begins, stack, spoken, drop_early=start > 0
                )
                warnings += lost
                tracks += [track] if track is not None else []
                source = stack.enter_context(open_media(streams, "video"))
                warnings += keep_description(output, picture, source, self._info, start, line.end)
            for track in tracks:
                track.start(Fraction(0))
            delay = max(_reordering(path) for path in parts)
            for packet, time in self._packets(parts, delay):
                packet.stream = picture
                output.mux_one(packet)
                for track in tracks:
                    track.advance(time, line.end)
            for track in tracks:
                track.advance(None, line.end)
        return warnings

    def _packets(self, parts: list[Path], delay: int) -> Iterator[tuple[av.Packet[Any], Fraction]]:
        """All packets with the timeline's timestamps, and when they are decoded, in seconds."""
        line = self._timeline
        step = int(line.durations.min())
        k = 0
        for index, path in enumerate(parts):
            first = index * self._length
            count = min(self._length, len(line) - first)
            rank = {pts: n for n, pts in enumerate(sorted(_timestamps(path)))}
            if len(rank) != count:
                raise LipwrightError(
                    f"A part of {self._out} holds {len(rank)} instead of {count} frames; start "
                    "again without --resume."
                )
            with av.open(f"file:{path}") as container:
                for packet in container.demux(video=0):
                    if not packet.size:
                        continue
                    shown = first + rank[packet.pts or 0]
                    packet.time_base = line.time_base
                    packet.pts = int(line.pts[shown])
                    # Decoding runs ``delay`` frames ahead of showing, over all segments alike.
                    ahead = k - delay
                    dts = int(line.pts[ahead]) if ahead >= 0 else ahead * step
                    duration = int(line.durations[shown])
                    k += 1
                    if k == len(line) and kind_of(self._out) in ("mp4", "mov"):
                        end = int(line.pts[-1] + line.durations[-1])
                        dts, duration = last_packet_times(packet.pts, dts, -delay * step, 0, end)
                    packet.dts, packet.duration = dts, duration
                    yield packet, dts * line.time_base


def _timestamps(path: Path) -> list[int]:
    """Timestamps of the packets of a segment, as stored."""
    with av.open(f"file:{path}") as container:
        return [int(p.pts or 0) for p in container.demux(video=0) if p.size]


def _reordering(path: Path) -> int:
    """By how many places a frame is decoded after its place in the order of showing, at most."""
    stored = _timestamps(path)
    place = {pts: n for n, pts in enumerate(sorted(stored))}
    return max(k - place[pts] for k, pts in enumerate(stored))
