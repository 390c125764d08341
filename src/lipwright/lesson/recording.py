"""The speech of a clip: what a synthesiser wrote, with silence before and after it.

Whoever reads lips needs the resting mouth on both sides of a word.
"""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipwright.errors import LipwrightError
from lipwright.media.choice import pick_audio_stream
from lipwright.media.sound import aligned_sound
from lipwright.media.source import open_media

REST = Fraction(1, 2)
"""Seconds of silence before the speech and after it."""


def with_rests(speech: Path, target: Path) -> Fraction:
    """Write a speech with ``REST`` before and after it as a mono WAV file of 16 bit.

    Args:
        speech: any file with sound.
        target: the file to write.

    Returns:
        Seconds of the speech alone.

    Raises:
        LipwrightError: there is no sound in it.
    """
    pieces: list[np.ndarray] = []
    rate = 0
    with open_media(speech, "sound") as container:
        stream = pick_audio_stream(container, speech, None)
        for sound in aligned_sound(container, stream, speech, Fraction(0)):
            if rate and sound.rate != rate:
                raise LipwrightError(f"The sound {speech} changes its rate in the middle.")
            rate = sound.rate
            pieces.append(sound.samples.mean(axis=0))
    count = sum(piece.size for piece in pieces)
    if not count:
        raise LipwrightError(f"The sound {speech} is empty.")
    rest = np.zeros(round(REST * rate), np.float32)
    samples = np.concatenate([rest, *pieces, rest])
    with wave.open(str(target), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return Fraction(count, rate)
