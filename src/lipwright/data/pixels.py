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
from lipwright.data.moments import Moments, draw_moments
from lipwright.data.packed import ClipRow, PackedCorpus, row_weights
from lipwright.errors import LipwrightError
from lipwright.media.mel import MODEL_FPS, AudioSpec, speech_of, windows


@dataclass(frozen=True)
class PixelBatch:
    """B windows of T frames.

    Attributes:
        target: (B, T, 3, S, S) in [0, 1].
        reference: (B, R, 3, S, S) in [0, 1], other moments of the same clip.
        mel: (B, T, 80, steps) window of each frame.
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
        references: pictures R: T for a window that matches, else single pictures.
        audio: of the short windows.
        far: least distance in frames between target and reference, and of a shifted pair.
        balance: 0 draws every frame alike, 1 every identity.

    Raises:
        LipwrightError: no clip is long enough.
    """

    def __init__(
        self,
        corpus: PackedCorpus,
        split: str,
        size: int,
        window: int,
        references: int,
        audio: AudioSpec,
        far: int = 6,
        balance: float = 0.5,
    ) -> None:
        self.corpus, self.size, self.window = corpus, size, window
        self.references, self.audio, self.far = references, audio, far
        self.rows = [r for r in corpus.split(split) if r.frames >= window + far]
        if not self.rows:
            raise LipwrightError(
                f"no clip of split '{split}' has the {window + far} frames that a window of "
                f"{window} and another moment need."
            )
        self.weights = row_weights(self.rows, balance)

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
            shifted: half of the ``long_mel`` come from another time of the clip.
        """
        rows, starts, others, speech = [], [], [], []
        for _ in range(count):
            row = self.rows[int(rng.choice(len(self.rows), p=self.weights))]
            last = row.frames - self.window
            t = int(rng.integers(last + 1))
            wrong = shifted and bool(rng.random() < 0.5)
            u = self._elsewhere(rng, t, last)
            rows.append(row)
            starts.append(t)
            others.append(self._reference_frames(rng, row, t))
            speech.append(u if wrong and u is not None else t)
        index = [
            np.concatenate([row.start + np.arange(t, t + self.window), row.start + ref])
            for row, t, ref in zip(rows, starts, others, strict=True)
        ]
        x = self._pictures(index, rng, device, jitter)
        mel, long_mel = zip(
            *(self._speech(r, t, s) for r, t, s in zip(rows, starts, speech, strict=True)),
            strict=True,
        )
        labels = torch.tensor([s == t for s, t in zip(speech, starts, strict=True)], device=device)
        return PixelBatch(
            x[:, : self.window],
            x[:, self.window :],
            torch.stack(mel).to(device),
            torch.stack(long_mel).to(device),
            labels,
        )

    def draw_moments(
        self,
        rng: np.random.Generator,
        count: int,
        device: torch.device,
        jitter: Jitter = NONE,
        group: int = 6,
    ) -> tuple[Tensor, Tensor, Moments]:
        """Windows in groups of one clip: lower halves (B, T, 3, S/2, S) in [0, 1], and their
        speech (B, 80, 4T).
        """
        moments = draw_moments(
            rng, self.rows, self.weights, count, self.window, max(1, self.far), group
        )
        drawn = list(zip(moments.rows, moments.starts, strict=True))
        index = [row.start + np.arange(t, t + self.window) for row, t in drawn]
        mel = [
            speech_of(torch.from_numpy(self.corpus.clip_mel(r).astype(np.float32)), t, self.window)
            for r, t in drawn
        ]
        return (
            self._pictures(index, rng, device, jitter, lower=True),
            torch.stack(mel).to(device),
            moments,
        )

    def _pictures(
        self,
        index: list[np.ndarray[tuple[int], np.dtype[np.int64]]],
        rng: np.random.Generator,
        device: torch.device,
        jitter: Jitter,
        lower: bool = False,
    ) -> Tensor:
        """(B, n, 3, S, S), or their lower halves, in [0, 1]; one change per window of n frames."""
        flat, group = np.concatenate(index), len(index[0])
        stacked = torch.from_numpy(np.stack([self.corpus.frames[i] for i in flat])).to(device)
        x = crop_batch(stacked, self.corpus.size, jitter, rng, group, lower) * 0.5 + 0.5
        if self.size != self.corpus.size:
            height = self.size - self.size // 2 if lower else self.size
            x = F.interpolate(x, (height, self.size), mode="bilinear", antialias=True)
        return x.reshape(len(index), group, *x.shape[1:])

    def _elsewhere(self, rng: np.random.Generator, t: int, last: int) -> int | None:
        """A start at least ``far`` frames from t."""
        choices = [u for u in range(last + 1) if abs(u - t) >= self.far]
        return int(rng.choice(choices)) if choices else None

    def _reference_frames(
        self, rng: np.random.Generator, row: ClipRow, t: int
    ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Frames of the reference: a window elsewhere, or single pictures."""
        last = row.frames - self.window
        if self.references == self.window:
            u = self._elsewhere(rng, t, last)
            first = u if u is not None else (0 if t > last // 2 else last)
            return np.arange(first, first + self.window)
        return np.sort(rng.integers(0, row.frames, self.references))

    def _speech(self, row: ClipRow, t: int, other: int) -> tuple[Tensor, Tensor]:
        """Short windows of frames t.. and the long window of frames ``other``.."""
        mel = torch.from_numpy(self.corpus.clip_mel(row).astype(np.float32))
        times = [Fraction(t + k, MODEL_FPS) for k in range(self.window)]
        return windows(mel, times, self.audio), speech_of(mel, other, self.window)
