"""Sound and frames of a session, encoded and put into one container, on a thread of its own.

Sound is put in as it comes and never waits for pictures: the container's writer holds it back for
no more than ``INTERLEAVE_SECONDS``. Both carry their time in the session, so that they belong
together however late a frame is.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from fractions import Fraction
from typing import Any

import av
import av.container
import av.error
import numpy as np
from av.video.frame import PictureType

from lipwright.errors import LipwrightError, reason_of
from lipwright.live.engine import DrawnFrame
from lipwright.live.relay import Relay, needs_relay
from lipwright.live.report import LiveStatistics
from lipwright.media.colour import output_tags
from lipwright.media.info import VideoInfo
from lipwright.media.mix import stereo_weights
from lipwright.media.sound import Sound

INTERLEAVE_SECONDS = 0.5
WAITING_FRAMES = 50
"""Frames that may wait for the encoder; more are left out."""
WAITING_SOUND = 20.0
"""Seconds of sound that may wait; a receiver that takes nothing for so long is gone."""
CLOSE_SECONDS = 20.0
AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 8_000)
TICK = Fraction(1, 90_000)
KEY_SECONDS = 2
"""A key frame comes so often, however few frames are drawn: a receiver can join there, and a
recording that is broken off plays up to the last one."""


class MuxSink:
    """Encodes H.264 and AAC into a container that libav writes.

    Args:
        name: for messages.
        target: address or file as ``av.open`` takes it.
        muxer: name of the container.
        info: of the frames.
        rate: frames per second.
        statistics: takes what was not taken in time.
        video: options of x264.
        options: of the container.

    Attributes:
        error: what went wrong, None as long as nothing did.
        is_file: whether there is something to complete at the end.
    """

    def __init__(
        self,
        name: str,
        target: str,
        muxer: str,
        info: VideoInfo,
        rate: Fraction,
        statistics: LiveStatistics,
        video: dict[str, str],
        options: dict[str, str],
    ) -> None:
        self.name, self._target, self._muxer = name, target, muxer
        self._info, self._rate, self._statistics = info, rate, statistics
        self._video, self._options = video, options
        self.error: LipwrightError | None = None
        self._items: queue.Queue[Sound | DrawnFrame | None] = queue.Queue()
        self._frames_waiting = 0
        self._sound_waiting = Fraction(0)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"live-{muxer}", daemon=True)
        self._container: Any = None
        self._relay: Relay | None = None
        self._samples = 0
        self._key: Fraction | None = None  # time of the newest key frame
        self._thread.start()

    def sound(self, piece: Sound) -> None:
        """Take the sound that follows; never blocks."""
        if self.error is not None:
            return
        with self._lock:
            self._sound_waiting += Fraction(piece.count, piece.rate)
            if self._sound_waiting > WAITING_SOUND:
                self.error = LipwrightError(
                    f"{self.name} has taken nothing for {WAITING_SOUND:g} s; check the network, or "
                    "choose another receiver."
                )
        self._items.put(piece)

    def picture(self, frame: DrawnFrame) -> None:
        """Take a frame; left out, and counted, while too many wait. Never blocks."""
        if self.error is not None:
            return
        with self._lock:
            if self._frames_waiting >= WAITING_FRAMES:
                self._statistics.refused(self.name)
                return
            self._frames_waiting += 1
        self._items.put(frame)

    def close(self) -> None:
        """Write what waits, and the end of the container."""
        self._items.put(None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive() and self.error is None:
            self.error = LipwrightError(
                f"{self.name} did not take the end of the stream within {CLOSE_SECONDS:g} s."
            )

    @property
    def began(self) -> bool:
        """Whether anything was written."""
        return self._container is not None

    def _run(self) -> None:
        try:
            while self.error is None:
                item = self._items.get()
                if item is None:
                    self._end()
                    return
                if isinstance(item, Sound):
                    with self._lock:
                        self._sound_waiting -= Fraction(item.count, item.rate)
                    self._encode_sound(item)
                else:
                    with self._lock:
                        self._frames_waiting -= 1
                    self._encode_picture(item)
        except LipwrightError as error:
            self.error = error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.error = LipwrightError(
                f"{self.name} cannot be written to any more ({reason_of(error)}); check the "
                "receiver and the network."
            )
        finally:
            if self.error is not None and self._container is not None:
                with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
                    self._container.close()
            if self._relay is not None:
                said = self._relay.close()
                if said and self.error is None:
                    self.error = LipwrightError(f"{self.name} did not take everything ({said}).")

    def _open(self, first: Sound) -> None:
        options = {
            "max_interleave_delta": str(round(INTERLEAVE_SECONDS * 1_000_000)),
            "flush_packets": "1",
            **self._options,
        }
        target: Any = self._target
        if "://" in self._target and needs_relay(self._target):
            self._relay = Relay(self._target, sends=True)
            target = self._relay.pipe
        container = av.open(target, "w", format=self._muxer, options=options)
        self._container = container
        info = self._info
        stream: Any = container.add_stream("libx264", rate=self._rate.limit_denominator(100_000))
        context = stream.codec_context
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, "yuv420p"
        stream.time_base = context.time_base = TICK
        context.sample_aspect_ratio = info.sample_aspect
        context.thread_count = 1 if info.height <= 576 else 2
        group = max(1, round(KEY_SECONDS * self._rate))
        context.options = {"g": str(group), **self._video}
        colour = output_tags(info.colour, False, info.height)
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        context.colorspace, context.color_range = colour.matrix, colour.range
        rate = first.rate if first.rate in AAC_RATES else 48_000
        self._layout = "mono" if first.samples.shape[0] == 1 else "stereo"
        self._picture_stream = stream
        self._sound_stream: Any = container.add_stream(
            "aac", rate=rate, layout=self._layout, options={"b": "128k"}
        )
        container.start_encoding()  # connects now, rather than with the first packet

    def _encode_sound(self, piece: Sound) -> None:
        if self._container is None:
            self._open(piece)
        count = piece.samples.shape[0]
        table = piece.samples
        if self._layout == "mono" and count > 1:
            table = stereo_weights(piece.channels, count).mean(0, keepdims=True) @ table
        elif self._layout == "stereo" and count != 2:
            table = stereo_weights(piece.channels, count) @ table
        limited = np.ascontiguousarray(table.clip(-1.0, 1.0), np.float32)
        frame = av.AudioFrame.from_ndarray(limited, format="fltp", layout=self._layout)
        frame.sample_rate, frame.time_base = piece.rate, Fraction(1, piece.rate)
        frame.pts = self._samples
        self._samples += piece.count
        self._container.mux(self._sound_stream.encode(frame))

    def _encode_picture(self, drawn: DrawnFrame) -> None:
        if self._container is None:
            return
        picture = drawn.native
        picture.pts, picture.time_base = round(drawn.time / TICK), TICK
        picture.pict_type = PictureType.NONE
        if self._key is None or drawn.time - self._key >= KEY_SECONDS:
            picture.pict_type, self._key = PictureType.I, drawn.time
        self._container.mux(self._picture_stream.encode(picture))

    def _end(self) -> None:
        if self._container is None:
            return
        for stream in (self._picture_stream, self._sound_stream):
            self._container.mux(stream.encode(None))
        self._container.close()
