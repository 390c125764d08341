"""The sound as a method wants to see it: log-mel, MFCC, or the log power of a speech encoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipwright.media.mel import AudioSpec, mel_spectrogram
from lipwright.media.mfcc import shifted_mfcc
from lipwright.media.whisper_mel import whisper_log_power


@dataclass(frozen=True)
class MfccSpec(AudioSpec):
    """A window of MFCC columns instead of log-mel; by default that of AT-net, 28 from 12 before.

    Column j of the MFCC covers the samples from 160 j on, so that frame n sees 0.12 s before its
    time and 0.175 s after it.
    """

    steps: int = 28
    before: int = 12


@dataclass(frozen=True)
class WhisperSpec(AudioSpec):
    """The log power that Whisper's encoder hears; networks on top of it hear whole recordings."""

    steps: int = 1
    before: int = 0


_KINDS: dict[str, type[AudioSpec]] = {"mel": AudioSpec, "mfcc": MfccSpec, "whisper": WhisperSpec}


def audio_spec(features: str, steps: int, before: int) -> AudioSpec:
    """The window as a checkpoint's header describes it.

    Args:
        features: ``mel``, ``mfcc`` or ``whisper``.
        steps: see :class:`~lipwright.media.mel.AudioSpec`.
        before: likewise.
    """
    if features not in _KINDS:
        raise ValueError(f"features are one of {', '.join(_KINDS)}, not {features}")
    return _KINDS[features](steps, before)


def speech_features(wave: ArrayLike, spec: AudioSpec) -> NDArray[np.float32]:
    """Features of a whole recording, 100 columns a second.

    Silence is ``SILENCE`` in log-mel and MFCC, and ``LOG_SILENCE`` in Whisper's log power.

    Args:
        wave: (n,) float in [-1, 1] at 16 kHz.
        spec: its type says which features.

    Returns:
        (80 or 12, 1 + n // 160) float32.
    """
    if isinstance(spec, WhisperSpec):
        return whisper_log_power(wave)
    return shifted_mfcc(wave) if isinstance(spec, MfccSpec) else mel_spectrogram(wave)
