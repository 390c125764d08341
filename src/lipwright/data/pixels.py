"""Batches of face windows with their speech, straight from a packed corpus, for pixel methods.

The choice of clips, times and references depends on the seed, the step and the window only, so
that two methods with equal seeds and windows see the same examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lipwright.data.augment import NONE, Jitter, crop_batch
from lipwright.data.clip_windows import (
    ClipWindow,
    ClipWindows,
    Frames,
    ReferenceRule,
    WindowBatch,
)
from lipwright.data.encoded_speech import EncodedSpeech, rows_about
from lipwright.data.packed import PackedCorpus
from lipwright.media.mel import MODEL_FPS, AudioSpec, speech_of, windows


@dataclass(frozen=True)
class PixelBatch:
    """B windows of T frames.

    Attributes:
        target: (B, T, 3, S, S) in [0, 1].
        reference: (B, R, 3, S, S) in [0, 1], other moments of the same clip.
        mel: (B, T, 80, steps) window of each frame, or (B, T, C, 1 + 2 context) features of a
            speech encoder.
        long_mel: (B, 80, 4T) all speech of the window.
        labels: (B,) True where ``long_mel`` is that of the frames.
    """

    target: Tensor
    reference: Tensor
    mel: Tensor
    long_mel: Tensor
    labels: Tensor


class PixelWindows:
    """Draws :class:`PixelBatch` es.

    Args:
        corpus: the packed corpus.
        split: ``train`` or ``val``.
        size: side of the pictures; the corpus' crops are resized.
        window: frames T.
        references: how the R reference pictures are chosen.
        audio: of the short windows.
        min_offset: least distance in frames between the starts of mismatched windows; 0 for none.
        balance: 0 draws every frame alike, 1 every identity.
        encoded: features of a speech encoder to hear in the place of ``audio``; of their variants,
            which have to keep the pace, any one.
        context: frames of them on either side of a frame.

    Raises:
        LipwrightError: no clip is long enough.
    """

    def __init__(
        self,
        corpus: PackedCorpus,
        split: str,
        size: int,
        window: int,
        references: ReferenceRule,
        audio: AudioSpec,
        min_offset: int = 0,
        balance: float = 0.5,
        encoded: EncodedSpeech | None = None,
        context: int = 0,
    ) -> None:
        self.corpus, self.size, self.audio = corpus, size, audio
        self.encoded, self.context = encoded, context
        self._variants = 1 if encoded is None or split != "train" else len(encoded.arrays)
        self.clips = ClipWindows(
            corpus.split(split), window, references, min_offset=min_offset, balance=balance
        )

    def draw(
        self,
        rng: np.random.Generator,
        count: int,
        device: torch.device,
        jitter: Jitter = NONE,
        shifted: bool = False,
    ) -> PixelBatch:
        """One batch.

        Args:
            rng: of this step.
            count: B.
            device: where the pictures go.
            jitter: one change per window, its reference included.
            shifted: half of the ``long_mel`` come from a mismatched window.
        """
        batch = self.clips.draw(rng, count)
        matching = rng.random(count) < 0.5 if shifted else np.ones(count, bool)
        index = np.concatenate([batch.frames, batch.reference_frames], axis=1)
        x = self._pictures(index, rng, device, jitter)
        speech = [
            self._speech(w, w.first if match else w.mismatched, rng)
            for w, match in zip(batch, matching, strict=True)
        ]
        mel, long_mel = (torch.stack(part).to(device) for part in zip(*speech, strict=True))
        window = self.clips.length
        labels = torch.from_numpy(np.asarray(matching)).to(device)
        return PixelBatch(x[:, :window], x[:, window:], mel, long_mel, labels)

    def draw_groups(
        self,
        rng: np.random.Generator,
        count: int,
        device: torch.device,
        jitter: Jitter = NONE,
        group: int = 6,
    ) -> tuple[Tensor, Tensor, WindowBatch]:
        """Windows in groups of one clip: lower halves (B, T, 3, S/2, S) in [0, 1], and their
        speech (B, 80, 4T).
        """
        batch = self.clips.draw_groups(rng, count, group)
        mel = [speech_of(self.corpus.speech(w.row), w.first, self.clips.length) for w in batch]
        pictures = self._pictures(batch.frames, rng, device, jitter, lower=True)
        return pictures, torch.stack(mel).to(device), batch

    def _pictures(
        self,
        index: Frames,
        rng: np.random.Generator,
        device: torch.device,
        jitter: Jitter,
        lower: bool = False,
    ) -> Tensor:
        """(B, n, 3, S, S), or their lower halves, in [0, 1]; one change per window of n frames."""
        flat, group = index.reshape(-1), index.shape[1]
        stacked = torch.from_numpy(np.stack([self.corpus.frames[i] for i in flat])).to(device)
        x = crop_batch(stacked, self.corpus.size, jitter, rng, group, lower) * 0.5 + 0.5
        if self.size != self.corpus.size:
            height = self.size - self.size // 2 if lower else self.size
            x = F.interpolate(x, (height, self.size), mode="bilinear", antialias=True)
        return x.reshape(len(index), group, *x.shape[1:])

    def _speech(
        self, window: ClipWindow, start: int, rng: np.random.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Short windows of the target frames, and the long window that begins at ``start``."""
        mel = self.corpus.speech(window.row)
        long_mel = speech_of(mel, start, self.clips.length)
        if self.encoded is not None:
            return self.features(window, rng), long_mel
        times = [Fraction(int(t), MODEL_FPS) for t in window.times]
        return windows(mel, times, self.audio), long_mel

    def features(self, window: ClipWindow, rng: np.random.Generator | None = None) -> Tensor:
        """(T, C, 1 + 2 context) features of the speech encoder about each frame of a window, of
        any of their variants if there is ``rng``.
        """
        assert self.encoded is not None
        variant = 0 if rng is None else int(rng.integers(self._variants))
        found, _ = self.encoded.of(window.row, variant)
        width = 2 * self.context + 1
        about = [rows_about(found, int(t) - self.context, width).T for t in window.times]
        return torch.from_numpy(np.stack(about))
