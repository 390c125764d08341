"""How the log-mel of speech is varied in training: another voice, microphone and room."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lipwright.media.mel import SILENCE
from lipwright.training.config import Section

MEL_MAX = 4.0


class SpeechJitter(Section):
    """How speech is varied, in mel units (0.08 is 1 dB) and mel bands.

    Attributes:
        gain: level. tilt: of five points of a smooth equaliser (standard deviation).
        floor: how far a noise floor may rise above silence.
        shift, stretch: of the mel axis in bands and as a share: other voices.
        band: widest band that is blanked.
        tempo: share by which speech and lips are slowed down or sped up together.
    """

    gain: float = 0.5
    tilt: float = 0.15
    floor: float = 1.5
    shift: float = 2.0
    stretch: float = 0.05
    band: int = 12
    tempo: float = 0.0


def vary_speech(mel: Tensor, rng: np.random.Generator, jitter: SpeechJitter) -> Tensor:
    """Another voice, microphone and room for (80, T) log-mel; the same lips."""
    bands = len(mel)
    place = np.arange(bands) * (1.0 + rng.uniform(-jitter.stretch, jitter.stretch))
    place = (place + rng.uniform(-jitter.shift, jitter.shift)).clip(0, bands - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, bands - 1)
    share = torch.from_numpy((place - low).astype(np.float32))[:, None]
    mel = mel[low] * (1 - share) + mel[high] * share
    knots = rng.normal(0.0, jitter.tilt, 5)
    curve = np.interp(np.arange(bands), np.linspace(0, bands - 1, 5), knots)
    mel = mel + torch.from_numpy(curve.astype(np.float32))[:, None]
    mel = mel + float(rng.uniform(-jitter.gain, jitter.gain))
    mel = mel.clamp(SILENCE + jitter.floor * float(rng.random()) ** 2, MEL_MAX)
    if jitter.band:
        first = int(rng.integers(0, bands - jitter.band))
        mel[first : first + int(rng.integers(0, jitter.band))] = mel.mean()
    return mel
