"""The sound as a method wants to see it: log-mel, or MFCC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipwright.media.mel import AudioSpec, mel_spectrogram
from lipwright.media.mfcc import shifted_mfcc


@dataclass(frozen=True)
class MfccSpec(AudioSpec):
    """A window of MFCC columns instead of log-mel; by default that of AT-net, 28 from 12 before.

    Column j of the MFCC covers the samples from 160 j on, so that frame n sees 0.12 s before its
    time and 0.175 s after it.
    """

    steps: int = 28
    before: int = 12


def audio_spec(features: str, steps: int, before: int) -> AudioSpec:
    """The window as a checkpoint's header describes it; ``features`` is ``mel`` or ``mfcc``."""
    if features not in ("mel", "mfcc"):
        raise ValueError(f"features are mel or mfcc, not {features}")
    return MfccSpec(steps, before) if features == "mfcc" else AudioSpec(steps, before)


def speech_features(wave: ArrayLike, spec: AudioSpec) -> NDArray[np.float32]:
    """Features of a whole recording, 100 columns a second; silence is ``SILENCE`` in each of them.

    Args:
        wave: (n,) float in [-1, 1] at 16 kHz.
        spec: a :class:`MfccSpec` asks for MFCC, any other for log-mel.

    Returns:
        (80 or 12, 1 + n // 160) float32.
    """
    return shifted_mfcc(wave) if isinstance(spec, MfccSpec) else mel_spectrogram(wave)
