"""Batches for the Audio-Lip Memory: stretches of speech, faces to draw, and lips to store.

From every stretch of n frames the speech is encoded as a whole; one or a few consecutive frames of
it are drawn, with the two frames before and after that their lip windows need and a reference
picture from elsewhere in the clip; and of some further frames only the lips are encoded, which
costs little and fills the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipwright.data.augment import NONE, Jitter, crop_batch
from lipwright.data.clip_windows import ClipWindow, ClipWindows, Frames, ReferenceRule
from lipwright.data.encoded_speech import EncodedSpeech, rows_about
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.media.mel import AudioSpec, speech_of

REACH = 2
"""Frames that a lip window sees on either side."""


@dataclass(frozen=True)
class TalkingBatch:
    """B stretches of n frames; the first D of them are drawn at T frames each.

    Attributes:
        speech: (B, 80, steps + 4 (n - 1)) log-mel of the stretches, or (B, C, n + 2 context)
            features of a frozen speech encoder by frame.
        motion: (B, n, K) what the lips do.
        valid: (B, n) which of the frames exist.
        frames: (D, T + 4, 3, S, S) in [-1, 1], the drawn frames and two on either side.
        reference: (D, 3, S, S) in [-1, 1].
        reference_lips, reference_motion: (D, P, 2) its lip points in parts of S, before any jitter,
            and (D, K) its lip motion.
        drawn_frames: (D, T) which frames of the stretch are drawn.
        long_mel: (D, 80, 4 T) speech of the drawn frames alone.
        lips: (B, M, 5, 3, S/2, S) uint8, the lower halves of further lip windows, and
        lip_frames: (B, M) their frames.
    """

    speech: Tensor
    motion: Tensor
    valid: Tensor
    frames: Tensor
    reference: Tensor
    drawn_frames: Tensor
    long_mel: Tensor
    lips: Tensor
    lip_frames: Tensor
    reference_lips: Tensor
    reference_motion: Tensor

    @property
    def target(self) -> Tensor:
        """(D, T, 3, S, S) the frames to be drawn."""
        return self.frames[:, REACH:-REACH]

    @property
    def windows(self) -> Tensor:
        """(D, T, 5, 3, S, S) the lip window of every drawn frame."""
        return self.frames.unfold(1, 2 * REACH + 1, 1).movedim(-1, 2)


@dataclass(frozen=True)
class _Stretch:
    """Frames ``first`` to ``first + count`` of a clip, about its target frames."""

    window: ClipWindow
    first: int
    count: int

    @property
    def row(self) -> ClipRow:
        return self.window.row

    @property
    def drawn_frames(self) -> Frames:
        """(T,) the target frames in the stretch."""
        return self.window.times - self.first


class TalkingClips:
    """Draws :class:`TalkingBatch` es.

    Args:
        corpus: the packed corpus.
        split: ``train`` or ``val``.
        motion: (N, K) of all frames of the corpus.
        audio: window of one frame.
        stretch: frames n.
        more: M further lip windows per stretch.
        min_distance: least distance of the reference from every target, in frames.
        balance: 0 draws every frame alike, 1 every identity.
        encoded: features of a speech encoder to hear in the place of the mel; of their variants,
            which have to keep the pace, any one.
        context: frames of them on either side of a stretch.

    Raises:
        LipwrightError: no clip of this split is long enough.
    """

    def __init__(
        self,
        corpus: PackedCorpus,
        split: str,
        motion: NDArray[np.float32],
        audio: AudioSpec,
        stretch: int,
        more: int = 0,
        min_distance: int = 6,
        balance: float = 0.5,
        encoded: EncodedSpeech | None = None,
        context: int = 0,
    ) -> None:
        self.corpus, self.motion, self.audio = corpus, motion, audio
        self.encoded, self.context = encoded, context
        self._variants = 1 if encoded is None or split != "train" else len(encoded.arrays)
        self.stretch, self.more = stretch, more
        rows, rule = corpus.split(split), ReferenceRule(1, min_distance)
        # Single frames, and the few in a row that sync losses look at, leave out other clips.
        self._of = cache(lambda times: ClipWindows(rows, times, rule, balance=balance))
        self._of(1)

    def draw(
        self,
        rng: np.random.Generator,
        count: int,
        drawn: int,
        times: int,
        device: torch.device,
        jitter: Jitter = NONE,
    ) -> TalkingBatch:
        """One batch.

        Args:
            rng: of this step.
            count: B stretches.
            drawn: D of them are drawn, D <= B,
            times: at T consecutive frames, T <= n.
            device: where it goes.
            jitter: one change per drawn stretch, its reference included.
        """
        stretches = [self._about(rng, w) for w in self._of(times).draw(rng, count)]
        audio, motion, valid = zip(*(self._audio_features(s, rng) for s in stretches), strict=True)
        index, long_mel = [], []
        for s in stretches[:drawn]:
            w = s.window
            around = np.arange(w.first - REACH, w.first + times + REACH)
            index.append(s.row.start + np.append(_inside(around, s.row), w.references))
            long_mel.append(speech_of(self.corpus.speech(s.row), w.first, times))
        last = np.array([i[-1] for i in index])
        stacked = np.stack([self.corpus.frames[i] for i in np.concatenate(index)])
        group = times + 2 * REACH + 1
        crops = crop_batch(
            torch.from_numpy(stacked).to(device), self.corpus.size, jitter, rng, group
        )
        x = crops.reshape(drawn, group, *crops.shape[1:])
        lip_frames = np.stack([rng.integers(0, s.count, self.more) for s in stretches])
        lips = [self._lips(s, p) for s, p in zip(stretches, lip_frames, strict=True)]
        return TalkingBatch(
            torch.stack(audio).to(device),
            torch.stack(motion).to(device),
            torch.stack(valid).to(device),
            x[:, :-1],
            x[:, -1],
            torch.from_numpy(np.stack([s.drawn_frames for s in stretches[:drawn]])).to(device),
            torch.stack(long_mel).to(device),
            torch.from_numpy(np.stack(lips)).to(device),
            torch.from_numpy(lip_frames).to(device),
            torch.from_numpy(self.corpus.lips[last].reshape(drawn, -1, 2)).to(device),
            torch.from_numpy(self.motion[last]).to(device),
        )

    def _about(self, rng: np.random.Generator, window: ClipWindow) -> _Stretch:
        """A stretch of the clip that holds the target frames."""
        times, frames = len(window.times), window.row.frames
        count = max(min(self.stretch, frames), times)
        earliest = max(0, window.first + times - count)
        latest = min(window.first, frames - count)
        return _Stretch(window, int(rng.integers(earliest, latest + 1)), count)

    def _audio_features(
        self, s: _Stretch, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Speech (80 or C, columns), motion (n, K), valid (n,)."""
        if self.encoded is not None:
            variant = int(rng.integers(self._variants)) if self._variants > 1 else 0
            features, _ = self.encoded.of(s.row, variant)
            count = self.stretch + 2 * self.context
            audio = torch.from_numpy(rows_about(features, s.first - self.context, count).T)
        else:
            audio = self.corpus.heard(s.row, self.audio, s.first, self.stretch)
        motion = torch.zeros(self.stretch, self.motion.shape[1])
        start = s.row.start + s.first
        motion[: s.count] = torch.from_numpy(self.motion[start : start + s.count])
        return audio, motion, torch.arange(self.stretch) < s.count

    def _lips(self, s: _Stretch, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(M, 5, 3, S/2, S) lower halves of the windows about these frames, centre crops."""
        size = self.corpus.size
        window = frames[:, None] + s.first + np.arange(-REACH, REACH + 1)
        index, where = np.unique(_inside(window, s.row), return_inverse=True)
        if not index.size:
            return np.zeros((0, 2 * REACH + 1, 3, size - size // 2, size), np.uint8)
        crops = self.corpus.crops(self.corpus.frames[s.row.start + index])[:, size // 2 :]
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2)[where.reshape(window.shape)])


def _inside(index: NDArray[np.int64], row: ClipRow) -> NDArray[np.int64]:
    """Frames outside the clip become its first or last one."""
    return np.asarray(index.clip(0, row.frames - 1))
