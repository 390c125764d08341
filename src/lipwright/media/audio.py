"""Speech in: any file with an audio stream becomes mono samples at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lipwright.errors import LipwrightError
from lipwright.media import limits
from lipwright.media.choice import choice_notice, pick_audio_stream
from lipwright.media.clock import clock_of
from lipwright.media.info import probe
from lipwright.media.inversion import Inversion
from lipwright.media.mel import SAMPLE_RATE
from lipwright.media.mix import mono_weights
from lipwright.media.sound import Sound, aligned_sound, decoded_sound, resampled
from lipwright.media.source import open_media
from lipwright.media.stored_sound import collect

__all__ = ["SAMPLE_RATE", "load_speech", "mix_down", "speech_origin"]

Samples = npt.NDArray[np.float32]

_LARGEST_OFFSET = Fraction(60)


def load_speech(
    path: str | Path, stream: int | None = None, notices: list[str] | None = None
) -> Samples:
    """Decode an audio stream of a file to mono at 16 kHz.

    Sample 0 belongs to the file's own zero: in a video that is the time of the first picture, so
    that a video's own speech stays in step with its lips; in a sound file it is the first sample
    that the stream presents (encoder padding removed). Several channels are mixed down as
    :mod:`lipwright.media.mix` says; where two channels cancel each other because one of them is
    inverted, their difference is taken instead. Holes in the stream's timestamps become silence,
    so that sample n always sounds at n / 16000 s. A file that breaks off gives what it holds up to
    there.

    Args:
        path: any media file with sound, also a video.
        stream: number of the stream; None: see :mod:`lipwright.media.choice`.
        notices: takes sentences about what was found and chosen.

    Returns:
        (n,) float32, nominally in [-1, 1], n >= 1.

    Raises:
        LipwrightError: missing, empty or unreadable file, no audio stream, nothing decodable, or
            more sound than the limits allow.
    """
    path = Path(path)
    notices = notices if notices is not None else []
    origin = speech_origin(path, stream)
    inversion = Inversion()
    wave = _decoded(path, stream, origin, inversion, notices, first=True)
    if wave.size == 0:
        raise LipwrightError(
            f"The audio in {path} could not be decoded: the file is damaged or holds no samples; "
            "check that it plays, and convert it to WAV."
        )
    if inversion.decide():
        notices.append(inversion.sentence(path))
        wave = _decoded(path, stream, origin, inversion, notices, first=False)
    return wave


def _decoded(
    path: Path,
    stream: int | None,
    origin: Fraction,
    inversion: Inversion,
    notices: list[str],
    *,
    first: bool,
) -> Samples:
    with open_media(path, "speech file") as container:
        picked = pick_audio_stream(container, path, stream)
        if first:
            clock = clock_of(path, container)
            said = choice_notice(container, path, picked, "--speech-stream")
            found = [clock.sentence(path) if clock else None, said]
            notices += [sentence for sentence in found if sentence]
        sounds = aligned_sound(container, picked, path, origin)
        return _joined(resampled(_mono(sounds, inversion), SAMPLE_RATE, 1), path)


def _mono(sounds: Iterator[Sound], inversion: Inversion) -> Iterator[tuple[int, Samples]]:
    for sound in sounds:
        yield sound.rate, inversion.mix(sound) if sound.samples.shape[0] == 2 else mix_down(sound)


def _joined(pieces: Iterator[Samples], path: Path) -> Samples:
    """One array of all pieces, see :mod:`lipwright.media.stored_sound`."""
    most = limits.active().sound_seconds * SAMPLE_RATE

    def check(size: int) -> None:
        if size > most:
            raise LipwrightError(
                f"The speech in {path} lasts more than {limits.active().sound_seconds / 3600:g} "
                "hours; cut it into parts, or raise the limit with --limit sound_seconds=N."
            )

    return collect(pieces, check)


def speech_origin(path: Path, stream: int | None = None) -> Fraction:
    """The time on a file's clock, in seconds, at which its speech starts to count."""
    first = _first_sample_time(path, stream)
    try:
        info = probe(path)
    except LipwrightError:
        return first  # no pictures, or none that decode
    pictures = info.start_pts * info.time_base
    if info.is_still or abs(first - pictures) > _LARGEST_OFFSET:
        return first
    return pictures


def _first_sample_time(path: Path, stream: int | None) -> Fraction:
    """Timestamp of the first sample in seconds; 0 if unknown."""
    with open_media(path, "speech file") as container:
        for sound in decoded_sound(container, pick_audio_stream(container, path, stream), path):
            return sound.time if sound.time is not None else Fraction(0)
    return Fraction(0)


def mix_down(sound: Sound) -> Samples:
    """One channel, (n,) float32, by the rule of :mod:`lipwright.media.mix`."""
    if sound.samples.shape[0] == 1:
        mono: Samples = sound.samples[0]
        return mono
    mixed: Samples = mono_weights(sound.channels, sound.samples.shape[0]) @ sound.samples
    return mixed
