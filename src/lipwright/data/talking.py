"""Batches for the Audio-Lip Memory: stretches of speech, faces to draw, and lips to store.

From every stretch of n frames the speech is heard as a whole; one or a few consecutive frames of
it are drawn, with the two frames before and after that their lip windows need and a reference
picture from elsewhere in the clip; and of some further frames only the lips are looked at, which
costs little and fills the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lipwright.data.augment import NONE, Jitter, crop_batch
from lipwright.data.packed import ClipRow, PackedCorpus, row_weights
from lipwright.errors import LipwrightError
from lipwright.media.mel import SILENCE, STEPS_PER_FRAME, AudioSpec, speech_of

REACH = 2
"""Frames that a lip window sees on either side."""


@dataclass(frozen=True)
class TalkingBatch:
    """B stretches of n frames; the first D of them are drawn at T frames each.

    Attributes:
        mel: (B, 80, steps + 4 (n - 1)) speech of the stretches.
        motion: (B, n, K) what the lips do.
        valid: (B, n) which of the frames exist.
        frames: (D, T + 4, 3, S, S) in [-1, 1], the drawn frames and two on either side.
        reference: (D, 3, S, S) in [-1, 1].
        reference_lips, reference_motion: (D, P, 2) its lip points in parts of S, before any jitter,
            and (D, K) its lip motion.
        place: (D, T) which frames of the stretch are drawn.
        long_mel: (D, 80, 4 T) speech of the drawn frames alone.
        lips: (B, M, 5, 3, S/2, S) uint8, the lower halves of further lip windows, and
        lip_place: (B, M) their frames.
    """

    mel: Tensor
    motion: Tensor
    valid: Tensor
    frames: Tensor
    reference: Tensor
    place: Tensor
    long_mel: Tensor
    lips: Tensor
    lip_place: Tensor
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
    """Frames ``first`` to ``first + count`` of a clip."""

    row: ClipRow
    first: int
    count: int


class TalkingClips:
    """Draws :class:`TalkingBatch` es.

    Args:
        corpus: the packed corpus.
        split: ``train`` or ``val``.
        motion: (N, K) of all frames of the corpus.
        audio: window of one frame.
        stretch: frames n.
        more: M further lip windows per stretch.
        far: least distance of the reference in frames, where the clip is long enough.
        balance: 0 draws every frame alike, 1 every identity.

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
        far: int = 6,
        balance: float = 0.5,
    ) -> None:
        self.corpus, self.motion, self.audio = corpus, motion, audio
        self.stretch, self.more, self.far = stretch, more, far
        least = 2 * REACH + 1
        self.rows = [r for r in corpus.split(split) if r.frames >= least]
        if not self.rows:
            raise LipwrightError(f"no clip of split '{split}' has {least} frames.")
        self.weights = row_weights(self.rows, balance)

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
        stretches = [self._stretch(rng, times) for _ in range(count)]
        mel, motion, valid = zip(*(self._heard(s) for s in stretches), strict=True)
        index, places, long_mel = [], [], []
        for s in stretches[:drawn]:
            p = int(rng.integers(s.count - times + 1))
            places.append(np.arange(p, p + times))
            around = np.arange(p - REACH, p + times + REACH) + s.first
            index.append(np.append(_inside(around, s.row), self._reference(rng, s, p + times // 2)))
            long_mel.append(self._speech(s.row, s.first + p, times))
        rows = [s.row.start + i for s, i in zip(stretches, index, strict=False)]
        last = np.array([r[-1] for r in rows])
        stacked = np.stack([self.corpus.frames[i] for i in np.concatenate(rows)])
        group = times + 2 * REACH + 1
        crops = crop_batch(
            torch.from_numpy(stacked).to(device), self.corpus.size, jitter, rng, group
        )
        x = crops.reshape(drawn, group, *crops.shape[1:])
        lip_place = np.stack([rng.integers(0, s.count, self.more) for s in stretches])
        lips = [self._lips(s, p) for s, p in zip(stretches, lip_place, strict=True)]
        return TalkingBatch(
            torch.stack(mel).to(device),
            torch.stack(motion).to(device),
            torch.stack(valid).to(device),
            x[:, :-1],
            x[:, -1],
            torch.from_numpy(np.stack(places)).to(device),
            torch.stack(long_mel).to(device),
            torch.from_numpy(np.stack(lips)).to(device),
            torch.from_numpy(lip_place).to(device),
            torch.from_numpy(self.corpus.lips[last].reshape(drawn, -1, 2)).to(device),
            torch.from_numpy(self.motion[last]).to(device),
        )

    def _stretch(self, rng: np.random.Generator, times: int) -> _Stretch:
        row = self.rows[int(rng.choice(len(self.rows), p=self.weights))]
        n = max(min(self.stretch, row.frames), times)
        return _Stretch(row, int(rng.integers(row.frames - n + 1)), n)

    def _heard(self, s: _Stretch) -> tuple[Tensor, Tensor, Tensor]:
        """Mel (80, columns), motion (n, K), valid (n,)."""
        columns = self.audio.steps + STEPS_PER_FRAME * (self.stretch - 1)
        whole = torch.from_numpy(self.corpus.clip_mel(s.row).astype(np.float32))
        padded = F.pad(whole, (self.audio.before, columns), value=SILENCE)
        mel = padded[:, STEPS_PER_FRAME * s.first :][:, :columns]
        motion = torch.zeros(self.stretch, self.motion.shape[1])
        start = s.row.start + s.first
        motion[: s.count] = torch.from_numpy(self.motion[start : start + s.count])
        return mel, motion, torch.arange(self.stretch) < s.count

    def _reference(self, rng: np.random.Generator, s: _Stretch, place: int) -> int:
        at = s.first + place
        choices = [u for u in range(s.row.frames) if abs(u - at) >= self.far]
        return int(rng.choice(choices)) if choices else int(rng.integers(s.row.frames))

    def _speech(self, row: ClipRow, first: int, times: int) -> Tensor:
        mel = torch.from_numpy(self.corpus.clip_mel(row).astype(np.float32))
        return speech_of(mel, first, times)

    def _lips(self, s: _Stretch, place: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(M, 5, 3, S/2, S) lower halves of the windows about these frames, centre crops."""
        m, size = self.corpus.margin, self.corpus.size
        window = place[:, None] + s.first + np.arange(-REACH, REACH + 1)
        index, where = np.unique(_inside(window, s.row), return_inverse=True)
        if not index.size:
            return np.zeros((0, 2 * REACH + 1, 3, size - size // 2, size), np.uint8)
        crops = self.corpus.frames[s.row.start + index]
        crops = crops[:, m + size // 2 : m + size, m : m + size]
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2)[where.reshape(window.shape)])


def _inside(index: NDArray[np.int64], row: ClipRow) -> NDArray[np.int64]:
    """Frames outside the clip become its first or last one."""
    return np.asarray(index.clip(0, row.frames - 1))
