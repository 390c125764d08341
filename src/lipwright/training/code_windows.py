"""What a generator in code space learns from: code grids of target frames and of references.

Which frames these are :class:`~lipwright.data.clip_windows.ClipWindows` decides; here tensors are
made of them. One example is a clip with ``window`` target frames, in a row or scattered over the
clip, and reference frames that all of them share, none of them near any target.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lipwright.data.clip_windows import ClipWindow, ClipWindows, ReferenceRule
from lipwright.data.codes import CodeCorpus
from lipwright.data.packed import ClipRow
from lipwright.media.mel import SILENCE, AudioSpec, windows
from lipwright.training.speech_jitter import SpeechJitter, vary_speech

REST = 0.1
"""Share of a clip's frames, those with the smallest opening, that count as a mouth at rest."""


@dataclass(frozen=True)
class CodeBatch:
    """G examples with T target frames and R references each; D and D' channels of the codes.

    Attributes:
        index: (G T, 16, 16) entries of the target frames.
        target: (G T, D, 16, 16) their face codes, of unit component variance.
        pose: (G T, D', 16, 16) their pose codes.
        references, reference_poses: (G, R, D or D', 16, 16) codes of the references.
        reference_motions: (G, R, K) lip motion in them.
        condition: what the generator follows: speech (G T, 80, steps) or lip motion (G T, K).
    """

    index: Tensor
    target: Tensor
    pose: Tensor
    references: Tensor
    reference_poses: Tensor
    reference_motions: Tensor
    condition: Tensor


@dataclass(frozen=True)
class CodeExample:
    """A clip window, and whether its speech is to be replaced by silence."""

    window: ClipWindow
    silent: bool = False


class CodeWindows:
    """Draws examples and makes tensors of them.

    Args:
        codes: cached code grids.
        rows: the clips to draw from.
        audio: window of speech that a frame sees.
        window: target frames of an example.
        references: how references are chosen; their order is that of mouth opening.
        scattered: take the targets from all over the clip instead of in a row.
        silence: probability that a single frame with a resting mouth is shown with silence.
        lip_noise: deviation of the noise added to lip motions.
        gain, floor: jitter of the speech level and of its noise floor, in mel units.
        jitter: how speech is varied further, each example as a whole.
        speech: whether the condition is speech (the paper's) or lip motion (ours).
        balance: 0 draws every frame alike, 1 every identity.
    """

    def __init__(
        self,
        codes: CodeCorpus,
        rows: list[ClipRow],
        audio: AudioSpec,
        window: int,
        references: ReferenceRule,
        *,
        scattered: bool = False,
        silence: float = 0.0,
        lip_noise: float = 0.0,
        gain: float = 0.0,
        floor: float = 0.0,
        jitter: SpeechJitter | None = None,
        speech: bool = False,
        balance: float = 0.5,
    ) -> None:
        self.codes, self.audio, self.speech = codes, audio, speech
        self.silence = silence if speech and window == 1 else 0.0
        self.jitter = jitter
        self.lip_noise, self.gain, self.floor = lip_noise, gain, floor
        self.clips = ClipWindows(
            rows,
            window,
            references,
            scattered=scattered,
            balance=balance,
            opening=codes.packed.opening,
        )

    def draw(self, rng: np.random.Generator, count: int) -> list[CodeExample]:
        """``count`` examples with equally many references."""
        references = self.clips.references.batch_count(rng)
        out = []
        for _ in range(count):
            silent = self.silence > 0 and bool(rng.random() < self.silence)
            among = self._at_rest if silent else None
            out.append(CodeExample(self.clips.one(rng, references=references, among=among), silent))
        return out

    def _at_rest(self, row: ClipRow) -> NDArray[np.bool_]:
        """(frames,) of a clip: where its mouth rests."""
        opening = self.codes.packed.opening[row.start : row.start + row.frames]
        return np.asarray(opening <= np.quantile(opening, REST))

    def tensors(
        self, examples: list[CodeExample], rng: np.random.Generator | None, device: torch.device
    ) -> CodeBatch:
        """Network inputs and targets; jitter and mirrored variants only with ``rng``."""
        codes, variants = self.codes, self.codes.face.shape[0]
        # Mirrored lips have other motions, so a network that follows motions sees plain ones only.
        mirrored = rng is not None and self.speech and variants > 1
        v = [int(rng.integers(variants)) if mirrored and rng else 0 for _ in examples]
        at = [e.window.frames for e in examples]
        references = [e.window.reference_frames for e in examples]

        def embed(
            grids: NDArray[np.uint16], frames: list[NDArray[np.int64]], book: Tensor
        ) -> Tensor:
            index = np.stack([grids[i, f] for i, f in zip(v, frames, strict=True)])
            on_device = torch.from_numpy(index.astype(np.int64)).to(device)
            return F.embedding(on_device, book.to(device)).movedim(-1, 2)

        index = np.concatenate([codes.face[i, f] for i, f in zip(v, at, strict=True)])
        motions = torch.from_numpy(np.stack([codes.motion[f] for f in references]))
        pose = embed(codes.pose, at, codes.pose_book).flatten(0, 1)
        return CodeBatch(
            index=torch.from_numpy(index.astype(np.int64)).to(device),
            target=embed(codes.face, at, codes.face_book).flatten(0, 1),
            pose=pose.contiguous(memory_format=torch.channels_last),
            references=embed(codes.face, references, codes.face_book),
            reference_poses=embed(codes.pose, references, codes.pose_book),
            reference_motions=self._noisy(motions, rng).to(device),
            condition=self._condition(examples, rng).to(device),
        )

    def _condition(self, examples: list[CodeExample], rng: np.random.Generator | None) -> Tensor:
        if not self.speech:
            motions = [self.codes.motion[e.window.frames] for e in examples]
            return self._noisy(torch.from_numpy(np.concatenate(motions)), rng)
        speech = []
        for e in examples:
            mel = self.codes.clip_mel(e.window.row.clip)
            mel = torch.full_like(mel, SILENCE) if e.silent else mel
            if rng is not None:
                if self.jitter is not None:
                    mel = vary_speech(mel, rng, self.jitter)
                mel = jitter_speech(mel, rng, self.gain, self.floor)
            times = [Fraction(int(t), 25) for t in e.window.times]
            speech.append(windows(mel, times, self.audio))
        return torch.cat(speech)

    def _noisy(self, motions: Tensor, rng: np.random.Generator | None) -> Tensor:
        if rng is None or self.speech:
            return motions
        noise = rng.standard_normal(tuple(motions.shape)).astype(np.float32)
        return motions + self.lip_noise * torch.from_numpy(noise)


def jitter_speech(mel: Tensor, rng: np.random.Generator, gain: float, floor: float) -> Tensor:
    """Change the level by up to ``gain`` mel units and raise the noise floor by up to ``floor``."""
    level = float(rng.uniform(-gain, gain))
    bottom = SILENCE + floor * float(rng.random()) ** 3
    return (mel + level).clamp(bottom, 4.0)
