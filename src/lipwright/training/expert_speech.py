"""What a sync expert hears of a clip: log-mel, or features of a frozen speech encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lipwright.data.clip_windows import ClipWindow
from lipwright.data.encoded_speech import EncodedSpeech
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.data.vary_speech import SpeechVariation
from lipwright.media.mel import speech_of


class ExpertSpeech:
    """Speech of stretches of a clip as an expert wants it.

    Args:
        packed: the corpus.
        encoded: features of a speech encoder; None for log-mel.
    """

    def __init__(self, packed: PackedCorpus, encoded: EncodedSpeech | None = None) -> None:
        self.packed, self.encoded = packed, encoded
        self._mel: dict[str, Tensor] = {}

    @property
    def inputs(self) -> int:
        """Numbers per frame of the encoder; 0 for log-mel."""
        return 0 if self.encoded is None else self.encoded.arrays[0].shape[1]

    @property
    def variants(self) -> int:
        """How many ways there are to hear a training clip."""
        return 1 if self.encoded is None else len(self.encoded.arrays)

    def of(self, row: ClipRow, first: int, count: int, variant: int = 0) -> Tensor:
        """(80, 4 count) log-mel or (C, count) features of the frames from ``first`` on.

        Variants were spoken faster or slower; each frame has the features of its own moment.
        """
        if self.encoded is None:
            if row.clip not in self._mel:
                self._mel[row.clip] = self.packed.speech(row)
            return speech_of(self._mel[row.clip], first, count)
        features, pace = self.encoded.of(row, variant)
        index = np.round(np.arange(first, first + count) / pace).astype(np.int64)
        picked = features[index.clip(0, len(features) - 1)]
        return torch.from_numpy(picked.astype(np.float32).T)

    def of_windows(self, windows: list[ClipWindow], count: int) -> Tensor:
        """(B, C, columns) of windows as they are."""
        return torch.stack([self.of(w.row, w.first, count) for w in windows])


def speech_for(
    packed: PackedCorpus,
    encoder: str,
    folder: Path,
    variants: int = 0,
    variation: SpeechVariation | None = None,
) -> ExpertSpeech:
    """Speech for an expert; the encoder's features are computed once and kept in ``folder``.

    Args:
        packed: the corpus.
        encoder: ``whisper-tiny-en``, or empty for log-mel.
        folder: where features are kept.
        variants: varied copies beside the speech as it is.
        variation: of them.
    """
    if not encoder:
        return ExpertSpeech(packed)
    from lipwright.training.speech_encoding import encode_by, load_whisper

    how = folder, variants, variation or SpeechVariation()
    return ExpertSpeech(packed, encode_by(load_whisper(), packed, *how))
