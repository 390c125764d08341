"""Where a session goes: a file, an address on the network, a virtual camera."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import av.error

from lipwright.errors import LipwrightError, reason_of
from lipwright.files.beside import beside
from lipwright.live.encoder import MuxSink
from lipwright.live.engine import DrawnFrame
from lipwright.live.report import LiveStatistics
from lipwright.lock import OutputLock
from lipwright.media.encoding import MUXERS, kind_of
from lipwright.media.info import VideoInfo
from lipwright.media.sound import Sound
from lipwright.provenance.session import Provenance

STREAM_MUXERS = {
    "udp": "mpegts",
    "tcp": "mpegts",
    "srt": "mpegts",
    "rtp": "rtp_mpegts",
    "rtmp": "flv",
    "rtmps": "flv",
    "rtsp": "rtsp",
}
"""Containers by the scheme of the address."""
NETWORK_SECONDS = 5
_QUERIES = {
    "udp": "pkt_size=1316",
    "tcp": f"timeout={NETWORK_SECONDS * 1_000_000}",
    "srt": "pkt_size=1316",
}
"""What an address without a query of its own gets."""
_LIVE_VIDEO = {"preset": "superfast", "tune": "zerolatency", "crf": "21", "maxrate": "4M"}
_FILE_VIDEO = {"preset": "veryfast", "crf": "18", "bf": "0"}


class Sink(Protocol):
    """Takes the sound and the frames of a session; no call blocks but :meth:`close`.

    Attributes:
        name: for messages and the report.
        error: what went wrong, None as long as nothing did.
    """

    name: str

    @property
    def error(self) -> LipwrightError | None:
        """See the class."""
        ...

    def sound(self, piece: Sound) -> None:
        """The sound that follows."""
        ...

    def picture(self, frame: DrawnFrame) -> None:
        """A frame; its pixels do not change afterwards."""
        ...

    def close(self) -> None:
        """The session has ended; also after an error, elsewhere or here."""
        ...


@dataclass(frozen=True)
class Target:
    """What sinks are made for.

    Attributes:
        info: of the frames.
        rate: frames per second.
        statistics: takes what was not taken in time.
        provenance: marks and signs.
        is_synthetic: whether anything was generated, once the session has ended.
        delay: seconds after its sound at which a device of this computer shows a frame.
    """

    info: VideoInfo
    rate: Fraction
    statistics: LiveStatistics
    provenance: Provenance
    is_synthetic: Callable[[], bool] = lambda: True
    delay: float = 0.4


def scheme_of(address: str) -> str:
    """How something is streamed to an address, one of :data:`STREAM_MUXERS`.

    Raises:
        LipwrightError: an unknown kind of address.
    """
    scheme = address.partition("://")[0].lower()
    if scheme not in STREAM_MUXERS:
        known = ", ".join(STREAM_MUXERS)
        raise LipwrightError(f"There is no way to stream to {address}; use one of {known}.")
    return scheme


def address_sink(address: str, target: Target) -> Sink:
    """A stream to a network address: MPEG-TS, or FLV for RTMP.

    Raises:
        LipwrightError: an unknown kind of address.
    """
    scheme = scheme_of(address)
    video, query = {**_LIVE_VIDEO, "bufsize": "2M"}, _QUERIES.get(scheme)
    return MuxSink(
        address,
        address if "?" in address or not query else f"{address}?{query}",
        STREAM_MUXERS[scheme],
        target.info,
        target.rate,
        target.statistics,
        video,
        {},
    )


class RecordingSink:
    """A file that is complete whenever the session ends.

    While it goes on, the recording grows in a hidden neighbour (fragmented MP4), which plays up to
    its last two seconds even if the process was killed. At the end it is copied, without being
    encoded again, into the file that was asked for, signed and given its name.

    Args:
        out: the file: .mp4, .mov or .mkv.
        target: see there.

    Raises:
        LipwrightError: unknown suffix, unwritable place, another job writes there.
    """

    def __init__(self, out: Path, target: Target) -> None:
        self.name = str(out)
        self._out = out.resolve() if out.is_symlink() else out
        kind = kind_of(out)
        if kind == "webm":
            raise LipwrightError(f"A session is not recorded as WebM; name {out} .mp4 or .mkv.")
        self._muxer = MUXERS[kind]
        self._lock = OutputLock(self._out)
        self._lock.__enter__()
        self._provenance, self._rate = target.provenance, target.rate
        self._is_synthetic = target.is_synthetic
        self.growing = beside(self._out, "lipwright-live.mp4")
        self._own_error: LipwrightError | None = None
        self.complete = False
        self.warnings: list[str] = []
        self._mux = MuxSink(
            str(out),
            f"file:{self.growing}",
            "mp4",
            target.info,
            target.rate,
            target.statistics,
            dict(_FILE_VIDEO),
            {"movflags": "+frag_keyframe+delay_moov+default_base_moof"},
        )

    @property
    def error(self) -> LipwrightError | None:
        """What went wrong."""
        return self._own_error or self._mux.error

    def sound(self, piece: Sound) -> None:
        """See :class:`Sink`."""
        self._mux.sound(piece)

    def picture(self, frame: DrawnFrame) -> None:
        """See :class:`Sink`."""
        self._mux.picture(frame)

    def close(self) -> None:
        """Complete, sign and name the file."""
        try:
            self._mux.close()
            if self._mux.began:
                self._finish()
        finally:
            self._lock.__exit__(None, None, None)

    def _finish(self) -> None:
        made = beside(self._out, f"lipwright-made{self._out.suffix}")
        try:
            _copied(self.growing, made, self._muxer, self._rate)
            if self._is_synthetic():
                self._provenance.finish(made, self._out)
                self.warnings += self._provenance.warnings
            else:
                self.warnings.append(f"{self._out} is not signed: nothing in it was generated.")
            os.replace(made, self._out)
            self.growing.unlink(missing_ok=True)
            self.complete = True
        except (av.error.FFmpegError, OSError, LipwrightError) as error:
            self._own_error = LipwrightError(
                f"{self._out} could not be completed ({reason_of(error)}); what was recorded is in "
                f"{self.growing}."
            )
            with contextlib.suppress(OSError):
                made.unlink(missing_ok=True)


def _copied(growing: Path, made: Path, muxer: str, rate: Fraction) -> None:
    """Copy all packets into another container."""
    options = {"movflags": "+faststart"} if muxer in ("mp4", "mov") else {}
    with (
        av.open(f"file:{growing}") as source,
        av.open(f"file:{made}", "w", format=muxer, options=options) as target,
    ):
        streams = {
            stream.index: target.add_stream_from_template(stream, opaque=True)
            for stream in source.streams
        }
        for packet in source.demux():
            if packet.size and packet.dts is not None:
                if not packet.duration and packet.stream.type == "video":  # the last one
                    packet.duration = round(1 / rate / packet.time_base)
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
