"""Speech as it comes: a file in real time, raw samples from a pipe, an address, a microphone.

A source gives pieces of 20 ms, each with the clock's time at which its last sample was there. What
comes faster than real time (a file, a pipe that is filled at once) is held back to real time.
"""

from __future__ import annotations

import queue
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Protocol

import av
import av.error
import numpy as np

from lipwright.errors import LipwrightError, missing_extra
from lipwright.live.clock import Clock
from lipwright.live.relay import Relay, needs_relay
from lipwright.media.audio import speech_origin
from lipwright.media.choice import pick_audio_stream
from lipwright.media.sound import Sound, aligned_sound, decoded_sound
from lipwright.media.source import open_media

CHUNK_SECONDS = Fraction(1, 50)
MOST_BEHIND = 0.5
"""A file or pipe that falls behind real time by less than this many seconds makes up for it."""
OPEN_SECONDS, SILENT_SECONDS = 30.0, 5.0
"""An address has to answer within the first, and to send something within the second."""

Piece = tuple[Sound, float]


class Source(Protocol):
    """Where speech comes from.

    Attributes:
        name: for the report.
        path: the file, where it is one.
    """

    name: str
    path: Path | None

    def pieces(self) -> Iterator[Piece]:
        """Pieces of sound and when their last sample was there, until the end.

        Raises:
            LipwrightError: the source is unusable or broke off.
        """
        ...


class FileSource:
    """Any file with sound, in real time.

    Args:
        path: the file.
        clock: paces it.
        stream: number of the audio stream; None: the default one.
    """

    def __init__(self, path: Path, clock: Clock, stream: int | None = None) -> None:
        self.name = str(path)
        self.path: Path | None = path
        self._clock, self._stream = clock, stream
        self._origin = speech_origin(path, stream)  # says at once what is wrong with the file

    def pieces(self) -> Iterator[Piece]:
        """See :class:`Source`."""
        assert self.path is not None
        with open_media(self.path, "speech file") as container:
            stream = pick_audio_stream(container, self.path, self._stream)
            sounds = aligned_sound(container, stream, self.path, self._origin)
            yield from paced(chunks(sounds), self._clock)


@dataclass(frozen=True)
class PcmFormat:
    """How raw samples are laid out: native order of little-endian machines, interleaved.

    Attributes:
        kind: ``s16le`` or ``f32le``.
        rate: samples per second.
        channels: 1 or 2.
    """

    kind: str = "s16le"
    rate: int = 16_000
    channels: int = 1

    @classmethod
    def parse(cls, text: str) -> PcmFormat:
        """``s16le:16000:1``; later parts may be omitted.

        Raises:
            LipwrightError: it is something else.
        """
        found = re.fullmatch(r"(s16le|f32le)(?::(\d{4,6}))?(?::([12]))?", text)
        rate = int(found[2] or 16_000) if found else 0
        if found is None or not 8_000 <= rate <= 192_000:
            raise LipwrightError(
                f"The sample format {text!r} is unknown; give s16le or f32le, the rate (8000 to "
                "192000) and the channels (1 or 2), as s16le:16000:1."
            )
        return cls(found[1], rate, int(found[3] or 1))


class PcmSource:
    """Raw samples from a pipe.

    Args:
        stream: is read.
        layout: of the samples.
        clock: paces what comes too fast.
    """

    path: Path | None = None

    def __init__(self, stream: IO[bytes], layout: PcmFormat, clock: Clock) -> None:
        self.name = "standard input"
        self._stream, self._layout, self._clock = stream, layout, clock

    def pieces(self) -> Iterator[Piece]:
        """See :class:`Source`."""
        yield from paced(chunks(self._sounds()), self._clock)

    def _sounds(self) -> Iterator[Sound]:
        layout = self._layout
        dtype, scale = ("<i2", 32768.0) if layout.kind == "s16le" else ("<f4", 1.0)
        names = ("FC",) if layout.channels == 1 else ("FL", "FR")
        block = layout.channels * np.dtype(dtype).itemsize
        count = round(layout.rate * CHUNK_SECONDS)
        while True:
            data = self._stream.read(count * block)
            data = data[: len(data) // block * block]
            if not data:
                return
            table = np.frombuffer(data, dtype).astype(np.float32) / np.float32(scale)
            table = np.nan_to_num(table, nan=0.0, posinf=1.0, neginf=-1.0)
            samples = np.ascontiguousarray(table.reshape(-1, layout.channels).T)
            yield Sound(samples, layout.rate, names, None)


class AddressSource:
    """The sound of an address that libav reads: udp, rtp, srt, rtmp, rtsp, http.

    Args:
        address: its URL.
        clock: says when something came.
    """

    path: Path | None = None

    def __init__(self, address: str, clock: Clock) -> None:
        self.name, self._clock = address, clock

    def pieces(self) -> Iterator[Piece]:
        """See :class:`Source`."""
        options = {"fflags": "nobuffer", "analyzeduration": "1000000", "probesize": "500000"}
        relay = Relay(self.name, sends=False) if needs_relay(self.name) else None
        try:
            where: Any = self.name if relay is None else relay.pipe
            container = av.open(where, options=options, timeout=(OPEN_SECONDS, SILENT_SECONDS))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise LipwrightError(
                f"The speech source {self.name} could not be opened ({reason_of(error)}); check "
                "the address, and that something is being sent."
            ) from error
        with container:
            if not container.streams.audio:
                raise LipwrightError(f"{self.name} has no sound; send a stream with speech.")
            watched = _Watched(self.name)
            stream = container.streams.audio[0]
            sounds = decoded_sound(watched.over(container), stream, Path(self.name))  # type: ignore[arg-type]
            for sound in chunks(sounds):
                yield sound, self._clock.now()
        if relay is not None:
            watched.broken = watched.broken or relay.close()
        if watched.broken:
            raise LipwrightError(watched.broken)


class _Watched:
    """A container whose reading remembers how it ended; ``decoded_sound`` takes any end quietly."""

    def __init__(self, name: str) -> None:
        self._name, self.broken = name, ""

    def over(self, container: av.container.InputContainer) -> _Watched:
        """Watch this one."""
        self._container = container
        return self

    def __getattr__(self, name: str) -> object:
        return getattr(self._container, name)

    def demux(self, stream: av.AudioStream) -> Iterator[av.Packet[av.AudioStream]]:
        """Packets until the end."""
        try:
            yield from self._container.demux(stream)
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            self.broken = (
                f"The speech source {self._name} broke off ({reason_of(error)}); what came until "
                "then is complete."
            )


class MicrophoneSource:
    """A microphone, by ``sounddevice`` (extra ``live``).

    Args:
        device: name or number; None: the system's default.
        clock: says when something came.

    Raises:
        LipwrightError: there is no such microphone.
    """

    path: Path | None = None

    def __init__(self, device: str | None, clock: Clock) -> None:
        self._clock = clock
        self._sounddevice = sounddevice_module("The microphone")
        self._device = int(device) if device is not None and device.isdigit() else device
        try:
            found = self._sounddevice.query_devices(self._device, "input")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise LipwrightError(
                f"There is no microphone {device or ''}".rstrip()
                + " here; give microphone:NAME, with a name or number that "
                "'python -m sounddevice' lists."
            ) from error
        self.name = f"microphone {found['name']}"
        self._rate = round(found["default_samplerate"])

    def pieces(self) -> Iterator[Piece]:
        """See :class:`Source`."""
        waiting: queue.Queue[np.ndarray] = queue.Queue()
        block = round(self._rate * CHUNK_SECONDS)

        def take(data: np.ndarray, frames: int, times: object, status: object) -> None:
            waiting.put(data.T.copy())

        try:
            with self._sounddevice.InputStream(
                self._rate, block, self._device, 1, "float32", callback=take
            ) as stream:
                while True:
                    try:
                        samples = waiting.get(timeout=SILENT_SECONDS)
                    except queue.Empty:
                        raise LipwrightError(f"The {self.name} has fallen silent.") from None
                    yield Sound(samples, self._rate, ("FC",), None), self._clock.now()
                    if not stream.active and waiting.empty():
                        return
        except self._sounddevice.PortAudioError as error:
            raise LipwrightError(f"The {self.name} cannot be used ({error}).") from error


def sounddevice_module(what: str) -> Any:
    """The module ``sounddevice``.

    Raises:
        LipwrightError: it or the PortAudio library is not installed.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: no PortAudio
        if isinstance(error, OSError):
            raise LipwrightError(
                f"{what} needs the library PortAudio; install it (Debian: libportaudio2)."
            ) from error
        raise missing_extra(what, "live") from error
    return sounddevice


def chunks(sounds: Iterator[Sound]) -> Iterator[Sound]:
    """Cut longer pieces to 20 ms."""
    for sound in sounds:
        step = max(1, round(sound.rate * CHUNK_SECONDS))
        for first in range(0, sound.count, step):
            yield sound.part(first, first + step)


def paced(sounds: Iterator[Sound], clock: Clock) -> Iterator[Piece]:
    """Hold pieces back until their last sample would have been spoken.

    A source that fell behind a little (a busy machine) makes up for it at once; one that paused for
    longer (a pipe) goes on from there.
    """
    due = clock.now()
    for sound in sounds:
        now = clock.now()
        due = max(due, now - MOST_BEHIND) + sound.count / sound.rate
        clock.sleep(due - now)
        yield sound, due


def speech_source(
    text: str, clock: Clock, pcm: PcmFormat, standard_input: IO[bytes], stream: int | None = None
) -> Source:
    """The source that a word stands for.

    Args:
        text: ``-`` for raw samples on standard input, ``microphone[:NAME]``, an address with
            ``://``, or a file.
        clock: of the session.
        pcm: format of standard input.
        standard_input: the pipe.
        stream: number of a file's audio stream.

    Raises:
        LipwrightError: it cannot be used.
    """
    if text == "-":
        return PcmSource(standard_input, pcm, clock)
    if text == "microphone" or text.startswith("microphone:"):
        return MicrophoneSource(text.partition(":")[2] or None, clock)
    if "://" in text:
        return AddressSource(text, clock)
    return FileSource(Path(text), clock, stream)


def reason_of(error: BaseException) -> str:
    """Why something on a network failed, in a few words."""
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {SILENT_SECONDS:g} s"
    return str(getattr(error, "strerror", None) or error)
