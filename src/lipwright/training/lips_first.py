"""Lips first: the speech encoder of a generator learns what lips do before anything is drawn.

Through the whole generator an hour of speech teaches little: the error of a picture or a code grid
is mostly not about the mouth. A linear layer on the speech vector, left out of the checkpoint,
predicts the lip motion of the frame, which is known from landmarks (the sync experts of
:mod:`lipwright.training.stages.matching` learn likewise). That needs no pictures, so that it is
cheap, and clips count that are too short for a generator's windows. Not as published.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from lipwright.data.clip_windows import ClipWindow, ClipWindows
from lipwright.data.codes import lip_motions
from lipwright.data.packed import PackedCorpus
from lipwright.media.mel import AudioSpec, window
from lipwright.training.code_windows import CodeExample
from lipwright.training.config import Section
from lipwright.training.speech_jitter import SpeechJitter, vary_speech
from lipwright.training.trainer import Context

Hear = Callable[[ClipWindow, np.random.Generator], Tensor]
"""The speech of a window of one frame, as the generator hears it, varied."""


class SpeechLips(Section):
    """How a generator's speech encoder learns about lips.

    Attributes:
        weight: of the squared error of lip motions beside the generator's losses; 0 for nothing of
            all this, as published.
        first: so many steps nothing else is learned.
        batch: frames of such a step.
        jitter: how speech is varied, in these steps and later.
    """

    weight: float = 0.0
    first: int = 0
    batch: int = 256
    jitter: SpeechJitter = SpeechJitter()


class LipsFirst:
    """Speech windows with the lip motion of their frames.

    Args:
        packed: the corpus; short clips are drawn as well.
        dim: K, numbers of a lip motion.
        audio: the window of mel.
        config: see :class:`SpeechLips`.
        balance: see :func:`~lipwright.data.packed.row_weights`.
        hear: another hearing than the varied window of mel.
    """

    def __init__(
        self,
        packed: PackedCorpus,
        dim: int,
        audio: AudioSpec,
        config: SpeechLips,
        balance: float,
        hear: Hear | None = None,
    ) -> None:
        self.audio, self.config, self.packed = audio, config, packed
        self.hear = hear or self._mel
        _, self.motion = lip_motions(packed, dim)
        self.clips = ClipWindows(packed.split("train"), 1, balance=balance)

    def _mel(self, w: ClipWindow, rng: np.random.Generator) -> Tensor:
        mel = window(self.packed.speech(w.row), Fraction(w.first, 25), self.audio)
        return vary_speech(mel, rng, self.config.jitter)

    def draw(self, rng: np.random.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
        """(B, 80, steps) varied speech, or what else is heard, and (B, K) lip motions."""
        drawn = self.clips.draw(rng, self.config.batch)
        speech = [self.hear(w, rng) for w in drawn]
        motions = torch.from_numpy(self.motion[drawn.frames[:, 0]])
        return torch.stack(speech).to(device), motions.to(device)

    def of(self, examples: list[CodeExample], context: Context) -> Tensor:
        """(G T, K) lip motions of drawn windows; a silent mouth rests."""
        rows = [self.motion[e.window.frames] * (not e.silent) for e in examples]
        return torch.from_numpy(np.concatenate(rows)).to(context.device)
