"""The speech of a dub as its method gets it: from the output's first frame on, at a usual level."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.media import voice_activity
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.stored_sound import amplify


def shifted_speech(
    speech: Path, stream: int | None, offset: Fraction, notices: list[str]
) -> NDArray[np.float32]:
    """The speech as it is to be heard, mono at 16 kHz from the output's first frame on.

    Args:
        speech: the file.
        stream: which of its streams, or None.
        offset: seconds by which it begins later, below 0 what is left out of its beginning.
        notices: gets what the user should know of the file.

    Raises:
        LipwrightError: nothing of the speech is left, or it cannot be read.
    """
    wave = load_speech(speech, stream, notices)
    samples = round(offset * SAMPLE_RATE)
    if samples >= 0:
        return np.concatenate([np.zeros(samples, np.float32), wave])
    if -samples >= wave.size:
        raise LipwrightError(
            f"The speech {speech} lasts {wave.size / SAMPLE_RATE:.2f} s only; leave out "
            "less of it with --speech-offset."
        )
    return wave[-samples:]


def levelled(wave: NDArray[np.float32], speech: Path, notices: list[str]) -> NDArray[np.float32]:
    """The speech at a level that methods know; what is muxed keeps its own."""
    gain = voice_activity.speech_gain(voice_activity.band_level(wave, SAMPLE_RATE))
    if not gain:
        return wave
    if abs(gain) >= 1.0:
        fits = np.abs(wave).max() <= 1.0  # the encoder's limiter says what becomes of the rest
        notices.append(
            f"The speech {speech} is {'quiet' if gain > 0 else 'loud'}; for the mouth it "
            f"was {'raised' if gain > 0 else 'lowered'} by {abs(gain):.0f} dB"
            f"{', in the output it sounds as it is' if fits else ''}."
        )
    amplify(wave, gain)
    return wave
