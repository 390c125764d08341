"""Speech in: any file with an audio stream becomes mono samples at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import numpy as np
import numpy.typing as npt
import soxr

from lipwright.errors import LipwrightError
from lipwright.media.info import probe
from lipwright.media.mel import SAMPLE_RATE
from lipwright.media.source import open_media

__all__ = [
    "SAMPLE_RATE",
    "aligned_audio",
    "decoded_audio",
    "load_speech",
    "mix_down",
    "speech_origin",
]

Samples = npt.NDArray[np.float32]

_SHORTEST_GAP = Fraction(1, 20)
_LONGEST_GAP = Fraction(600)
_LARGEST_OFFSET = Fraction(60)
_MAX_RATE = 768_000
_LOUDEST = 16.0
_FRONT, _SURROUND = 0.5, 0.5 * 0.5**0.5
_WEIGHTS = {
    **dict.fromkeys(("FC",), 1.0),
    **dict.fromkeys(("FL", "FR", "FLC", "FRC", "DL", "DR", "WL", "WR"), _FRONT),
    **dict.fromkeys(("BL", "BR", "BC", "SL", "SR"), _SURROUND),
}  # the low-frequency and height channels carry no speech


def load_speech(path: str | Path) -> Samples:
    """Decode the first audio stream of a file to mono at 16 kHz.

    Sample 0 belongs to the file's own zero: in a video that is the time of the first picture, so
    that a video's own speech stays in step with its lips; in a sound file it is the first sample
    that the stream presents (encoder padding removed). Several channels are mixed down as
    :func:`mix_down` says. Holes in the stream's timestamps become silence, so that sample n always
    sounds at n / 16000 s. A file that breaks off gives what it holds up to there.

    Args:
        path: any media file with sound, also a video.

    Returns:
        (n,) float32, nominally in [-1, 1], n >= 1.

    Raises:
        LipwrightError: missing, empty or unreadable file, no audio stream, nothing decodable.
    """
    path = Path(path)
    with open_media(path, "speech file") as container:
        if not container.streams.audio:
            raise LipwrightError(
                f"The speech file {path} has no audio stream; give a file with sound."
            )
        pieces = list(_resampled(aligned_audio(container, speech_origin(path))))
    wave = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if wave.size == 0:
        raise LipwrightError(
            f"The audio in {path} could not be decoded: the file is damaged or holds no samples; "
            "check that it plays, and convert it to WAV."
        )
    return wave


def speech_origin(path: Path) -> Fraction:
    """The time on a file's clock, in seconds, at which its speech starts to count."""
    first = _first_sample_time(path)
    try:
        info = probe(path)
    except LipwrightError:
        return first  # no pictures, or none that decode
    pictures = info.start_pts * info.time_base
    if info.is_still or abs(first - pictures) > _LARGEST_OFFSET:
        return first
    return pictures


def aligned_audio(
    container: av.container.InputContainer, origin: Fraction
) -> Iterator[av.AudioFrame]:
    """The sound from the time ``origin`` on: silence put before it, or its start cut off."""
    waiting = True
    for frame in decoded_audio(container):
        if waiting and frame.pts is not None and frame.time_base is not None:
            samples = round((frame.pts * frame.time_base - origin) * frame.sample_rate)
            if samples <= -frame.samples:
                continue
            if samples < 0:
                frame = _without_start(frame, -samples)
            yield from _silence(frame, samples)
        waiting = False
        yield frame


def decoded_audio(container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    """Decodable frames of the first audio stream without holes.

    Damaged packets are skipped; where timestamps leave a hole, frames of silence fill it.
    """
    expected: Fraction | None = None
    for frame in _decodable(container):
        rate = frame.sample_rate
        if not 0 < rate <= _MAX_RATE or frame.samples == 0:
            continue
        if frame.pts is not None and frame.time_base is not None:
            start = frame.pts * frame.time_base
            if expected is not None and _SHORTEST_GAP < start - expected < _LONGEST_GAP:
                yield from _silence(frame, round((start - expected) * rate))
            expected = start
        if expected is not None:
            expected += Fraction(frame.samples, rate)
        yield frame


def _first_sample_time(path: Path) -> Fraction:
    """Timestamp of the first sample in seconds; 0 if unknown."""
    with open_media(path, "speech file") as container:
        for frame in decoded_audio(container):
            if frame.pts is not None and frame.time_base is not None:
                return Fraction(frame.pts * frame.time_base)
            break
    return Fraction(0)


def _decodable(container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    packets = container.demux(container.streams.audio[0])
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError):
            return  # the file breaks off here
        try:
            yield from packet.decode()
        except (av.error.FFmpegError, ValueError):
            continue


def _silence(like: av.AudioFrame, samples: int) -> Iterator[av.AudioFrame]:
    """Silent frames of at most a second in the format of another frame."""
    while samples > 0:
        count = min(samples, like.sample_rate)
        frame = av.AudioFrame(like.format.name, like.layout, count)
        frame.sample_rate = like.sample_rate
        level = 128 if like.format.name in ("u8", "u8p") else 0
        planes: tuple[Any, ...] = frame.planes
        for plane in planes:
            np.frombuffer(plane, np.uint8)[:] = level
        yield frame
        samples -= count


def _without_start(frame: av.AudioFrame, drop: int) -> av.AudioFrame:
    raw: npt.NDArray[Any] = frame.to_ndarray()
    step = 1 if frame.format.is_planar else frame.layout.nb_channels
    rest = np.ascontiguousarray(raw[:, drop * step :])
    try:
        result = av.AudioFrame.from_ndarray(rest, frame.format.name, frame.layout.name)
    except ValueError:  # a layout without a name: up to a frame too early
        return frame
    result.sample_rate = frame.sample_rate
    return result


def _resampled(frames: Iterator[av.AudioFrame]) -> Iterator[Samples]:
    """Mix down and bring everything to 16 kHz with soxr's high-quality filter."""
    converter: soxr.ResampleStream | None = None
    current_rate = 0
    for frame in frames:
        rate = frame.sample_rate
        if converter is None or rate != current_rate:
            if converter is not None:
                yield converter.resample_chunk(np.zeros(0, np.float32), last=True)
            converter = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
            current_rate = rate
        yield converter.resample_chunk(mix_down(frame))
    if converter is not None:
        yield converter.resample_chunk(np.zeros(0, np.float32), last=True)


def mix_down(frame: av.AudioFrame) -> Samples:
    """One channel from any sample format and layout, (n,) float32.

    A voice in the middle, be it in the centre channel or equally in left and right, keeps its
    level; surrounds come in 3 dB below the fronts. The weights are not scaled down further to rule
    out overshoot (floats do not clip): that would make speech from a 5.1 mix 10 dB too quiet.
    """
    raw: npt.NDArray[Any] = frame.to_ndarray()
    channels = [channel.name for channel in frame.layout.channels]
    count = frame.layout.nb_channels
    table = raw if frame.format.is_planar else raw.reshape(-1, count).T
    if table.dtype == np.uint8:
        samples = (table.astype(np.float32) - 128.0) / 128.0
    elif np.issubdtype(table.dtype, np.integer):
        samples = table.astype(np.float32) / -float(np.iinfo(table.dtype).min)
    else:
        # Floats may hold anything, and one infinity would spoil its surroundings.
        finite = np.nan_to_num(table, nan=0.0, posinf=1.0, neginf=-1.0)
        samples = np.clip(finite, -_LOUDEST, _LOUDEST).astype(np.float32)
    if count == 1:
        mono: Samples = samples[0]
        return mono
    weights = np.array([_WEIGHTS.get(name, 0.0) for name in channels], np.float32)
    if weights.size != count or not weights.any():  # a layout whose channels have no names
        weights = np.full(count, 1.0 / count, np.float32)
    mixed: Samples = weights @ samples
    return mixed
