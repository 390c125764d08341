"""Draws what a generator in code space learns from: frames of a clip, and looks of its person.

One example is a clip with ``window`` target frames, in a row or scattered over the clip, and looks
that all of them share. Looks about a target are barred for it, so that it cannot be copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lipwright.data.codes import CodeCorpus
from lipwright.data.packed import ClipRow
from lipwright.media.mel import SILENCE, AudioSpec, windows


@dataclass(frozen=True)
class Draw:
    """One example.

    Attributes:
        row: the clip.
        times: (window,) frames of the clip.
        references: (R,) frames of the corpus.
        excluded: (window, R) looks that a target must not use.
        silent: the speech is to be replaced by silence.
    """

    row: ClipRow
    times: NDArray[np.int64]
    references: NDArray[np.int64]
    excluded: NDArray[np.bool_]
    silent: bool


@dataclass(frozen=True)
class WindowSampler:
    """Draws examples and makes tensors of them.

    Args:
        codes: cached code grids.
        audio: window of speech that a frame sees.
        window: target frames of an example.
        scattered: take them from all over the clip instead of in a row.
        fewest, most: bounds of the number of looks; each batch has one number.
        min_distance: frames between a target and a look of the same clip.
        other_clip: probability that the looks come from another clip of the person.
        silence: probability that a single frame with a resting mouth is shown with silence.
        lip_noise: deviation of the noise added to lip motions.
        gain, floor: jitter of the speech level and of its noise floor, in mel units.
        speech: whether the network hears speech (the paper's) or is told lip motions (ours).
    """

    codes: CodeCorpus
    audio: AudioSpec
    window: int
    scattered: bool
    fewest: int
    most: int
    min_distance: int
    other_clip: float
    silence: float
    lip_noise: float
    gain: float
    floor: float
    speech: bool

    def draw(
        self, rows: list[ClipRow], p: NDArray[np.float64], rng: np.random.Generator, n: int
    ) -> list[Draw]:
        """``n`` examples of clips drawn with probabilities ``p``."""
        count = int(rng.integers(self.fewest, self.most + 1))
        picks = []
        for _ in range(n):
            row = rows[int(rng.choice(len(rows), p=p))]
            if self.scattered:
                times = np.sort(rng.choice(row.frames, self.window, row.frames < self.window))
            else:
                first = int(rng.integers(max(1, row.frames - self.window + 1)))
                times = np.minimum(np.arange(first, first + self.window), row.frames - 1)
            silent = self.speech and self.window == 1 and bool(rng.random() < self.silence)
            if silent:
                opening = self.codes.packed.opening[row.start : row.start + row.frames]
                times = rng.choice(np.flatnonzero(opening <= np.quantile(opening, 0.1)), 1)
            references, excluded = self._references(row, times, count, rng)
            picks.append(Draw(row, times, references, excluded, silent))
        return picks

    def _references(
        self, row: ClipRow, times: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Looks spread over the quantiles of mouth opening, and which of them are barred."""
        source = row
        if rng.random() < self.other_clip:
            others = [
                r
                for r in self.codes.packed.rows
                if r.identity == row.identity and r.clip != row.clip
            ]
            source = others[int(rng.integers(len(others)))] if others else row
        frames = np.arange(source.frames)
        if source is row and self.window == 1:
            far = np.abs(frames - times[0]) >= self.min_distance
            frames = frames[far] if far.any() else frames
        order = frames[np.argsort(self.codes.packed.opening[source.start + frames])]
        bins = np.array_split(order, count) if len(order) >= count else [order] * count
        chosen = np.array([int(rng.choice(b)) for b in bins])
        excluded = np.zeros((len(times), count), bool)
        if source is row:
            excluded = np.abs(times[:, None] - chosen[None]) < self.min_distance
            excluded[excluded.all(axis=1)] = False
        return source.start + chosen, excluded

    def tensors(
        self, picks: list[Draw], rng: np.random.Generator | None, device: torch.device
    ) -> dict[str, Tensor]:
        """Network inputs and targets; jitter and mirrored variants only with ``rng``.

        Returns:
            For G examples with T targets and R looks: ``index`` (G T, 16, 16), ``target`` and
            ``pose`` (G T, ., 16, 16), ``references`` and ``reference_poses`` (G, R, ., 16, 16),
            ``reference_motions`` (G, R, K), ``excluded`` (G T, R), and ``predicted``, speech
            (G T, 80, steps) or lip motions (G T, K).
        """
        codes, variants = self.codes, self.codes.face.shape[0]
        # Mirrored lips have other motions, so a network that is told these sees plain ones only.
        mirrored = rng is not None and self.speech and variants > 1
        v = [int(rng.integers(variants)) if mirrored and rng else 0 for _ in picks]
        at = [p.row.start + p.times for p in picks]

        def embed(
            grids: NDArray[np.uint16], frames: list[NDArray[np.int64]], book: Tensor
        ) -> Tensor:
            index = np.stack([grids[i, f] for i, f in zip(v, frames, strict=True)])
            on_device = torch.from_numpy(index.astype(np.int64)).to(device)
            return F.embedding(on_device, book.to(device)).movedim(-1, 2)

        index = np.concatenate([codes.face[i, f] for i, f in zip(v, at, strict=True)])
        references = [p.references for p in picks]
        motions = torch.from_numpy(np.stack([codes.motion[f] for f in references]))
        pose = embed(codes.pose, at, codes.pose_book).flatten(0, 1)
        return {
            "index": torch.from_numpy(index.astype(np.int64)).to(device),
            "target": embed(codes.face, at, codes.face_book).flatten(0, 1),
            "pose": pose.contiguous(memory_format=torch.channels_last),
            "references": embed(codes.face, references, codes.face_book),
            "reference_poses": embed(codes.pose, references, codes.pose_book),
            "reference_motions": self._noisy(motions, rng).to(device),
            "excluded": torch.from_numpy(np.concatenate([p.excluded for p in picks])).to(device),
            "predicted": self._predicted(picks, rng).to(device),
        }

    def _predicted(self, picks: list[Draw], rng: np.random.Generator | None) -> Tensor:
        if not self.speech:
            motions = [self.codes.motion[p.row.start + p.times] for p in picks]
            return self._noisy(torch.from_numpy(np.concatenate(motions)), rng)
        heard = []
        for p in picks:
            mel = self.codes.clip_mel(p.row.clip)
            mel = torch.full_like(mel, SILENCE) if p.silent else mel
            if rng is not None:
                mel = jitter_speech(mel, rng, self.gain, self.floor)
            heard.append(windows(mel, [Fraction(int(t), 25) for t in p.times], self.audio))
        return torch.cat(heard)

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
