"""A small expert, trained for minutes: can it overfit one batch, and can it learn at all?

It sees either the code grids of a run, or, where there are none yet, the mouths themselves: the
lower half of the crops at 64 x 64 px in grey, rearranged to the 16 x 16 grid that the expert's
network expects.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from lipwright.data.clip_windows import ClipWindows
from lipwright.data.codes import CodeCorpus
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.media.mel import STEPS_PER_FRAME
from lipwright.models.expert import SyncExpert
from lipwright.training.losses.sync import sync_accuracy, sync_loss

SHIFTS = tuple(range(-15, 16))
LEARNT = 0.1
"""Loss below which one batch counts as overfitted."""
SMALL = {
    "stem": 16,
    "channels": (48, 64, 96, 128),
    "dim": 128,
    "audio_channels": (16, 32, 48, 64),
    "audio_blocks": 1,
}


@dataclass(frozen=True)
class TrialSettings:
    """How long is tried.

    Attributes:
        window: frames that the small expert sees.
        batch: pairs per step.
        overfit_steps: at most, on one batch.
        steps: at most, of the short training.
        minutes: at most, of both.
        lr: learning rate.
        min_offset: frames between a negative's two times.
        pairs: validation pairs.
        seed: of everything random.
    """

    window: int = 10
    batch: int = 24
    overfit_steps: int = 200
    steps: int = 400
    minutes: float = 4.0
    lr: float = 1e-3
    min_offset: int = 5
    pairs: int = 192
    seed: int = 0


@dataclass
class Trial:
    """What came of it.

    Attributes:
        overfit: losses on the one batch, step by step.
        train: losses of the short training, step by step.
        val_loss, val_accuracy: on 50/50 pairs of validation identities.
        curve: mean cosine on validation, by frames that the sound is shifted.
        choice: how often the sound in step beats the shifted one, by shift.
        source: ``codes`` or ``pictures``; ``expert`` when a trained one was looked at.
        steps: of the short training.
    """

    overfit: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    val_loss: float = float("nan")
    val_accuracy: float = float("nan")
    curve: dict[int, float] = field(default_factory=dict)
    choice: dict[int, float] = field(default_factory=dict)
    source: str = "pictures"
    steps: int = 0


class Grids(Protocol):
    """Where a window of frames comes from."""

    channels: int

    def window(self, row: ClipRow, start: int, count: int) -> Tensor:
        """(count, channels, 16, 16) of frames start .. start + count - 1 of a clip."""
        ...


class MouthGrids:
    """Mouths of the packed pictures."""

    channels = 16

    def __init__(self, packed: PackedCorpus) -> None:
        self.packed = packed

    def window(self, row: ClipRow, start: int, count: int) -> Tensor:
        """See :class:`Grids`."""
        size, first = self.packed.size, row.start + start
        crops = self.packed.crops(self.packed.frames[first : first + count])
        mouths = crops[:, size // 2 :, size // 5 : size - size // 5].mean(axis=3)
        small = np.stack([cv2.resize(m, (64, 64), interpolation=cv2.INTER_AREA) for m in mouths])
        x = torch.from_numpy(small.astype(np.float32))[:, None] / 127.5 - 1.0
        return nn.functional.pixel_unshuffle(x, 4)


class CodeGrids:
    """Code grids of a run."""

    def __init__(self, codes: CodeCorpus) -> None:
        self.codes = codes
        self.channels = codes.face_book.shape[1]

    def window(self, row: ClipRow, start: int, count: int) -> Tensor:
        """See :class:`Grids`."""
        first = row.start + start
        index = torch.from_numpy(self.codes.face[0, first : first + count].astype(np.int64))
        return nn.functional.embedding(index, self.codes.face_book).permute(0, 3, 1, 2)


class Pairs:
    """Draws windows and sounds of a split."""

    def __init__(
        self, packed: PackedCorpus, grids: Grids, split: str, settings: TrialSettings, window: int
    ) -> None:
        self.packed, self.grids, self.settings, self.window = packed, grids, settings, window
        self.clips = ClipWindows(
            packed.split(split), window, min_offset=max(1, settings.min_offset)
        )

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (B, T, C, 16, 16), mel (B, 80, 4T) and labels (B,), half of each kind."""
        faces, mels, labels = [], [], []
        for n, w in enumerate(self.clips.draw(rng, count)):
            label = n % 2 == 0
            faces.append(self.grids.window(w.row, w.first, self.window))
            mels.append(self.sound(w.row, w.first if label else w.mismatched))
            labels.append(float(label))
        return torch.stack(faces), torch.stack(mels), torch.tensor(labels)

    def sound(self, row: ClipRow, start: int) -> Tensor:
        """(80, 4T) mel of the window that begins at a frame of a clip."""
        first = row.column + STEPS_PER_FRAME * start
        part = self.packed.mel[first : first + STEPS_PER_FRAME * self.window]
        return torch.from_numpy(part.T.astype(np.float32))


def pairs_of(
    packed: PackedCorpus, grids: Grids, split: str, settings: TrialSettings, window: int
) -> Pairs | None:
    """The pairs of a split; None where no clip is long enough, which the facts tell."""
    try:
        return Pairs(packed, grids, split, settings, window)
    except LipwrightError:
        return None


def run_trial(
    packed: PackedCorpus,
    settings: TrialSettings,
    codes: CodeCorpus | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Trial:
    """Train a small expert on one batch, then another on all of it, and look at validation."""
    grids: Grids = CodeGrids(codes) if codes is not None else MouthGrids(packed)
    trial = Trial(source="codes" if codes is not None else "pictures")
    train, held_out = (
        pairs_of(packed, grids, split, settings, settings.window) for split in ("train", "val")
    )
    if train is None or held_out is None:
        return trial
    end = time.monotonic() + 60 * settings.minutes
    rng = np.random.default_rng(settings.seed)
    batch = train.draw(rng, settings.batch)
    report("overfitting one batch")
    _learn(_expert(grids, settings), lambda: batch, settings.overfit_steps, trial.overfit, settings)
    report("training for a short while")
    network = _expert(grids, settings)
    _learn(
        network,
        lambda: train.draw(rng, settings.batch),
        settings.steps,
        trial.train,
        settings,
        end,
    )
    trial.steps = len(trial.train)
    report("looking at validation")
    sample_predictions(network, held_out, trial)
    return trial


def sample_predictions(network: SyncExpert, pairs: Pairs, trial: Trial) -> None:
    """Loss, accuracy and the curves over shifts of an expert on validation pairs."""
    network.eval()
    rng = np.random.default_rng(11)
    with torch.no_grad():
        cosines, labels = [], []
        for _ in range(max(1, pairs.settings.pairs // 16)):
            faces, mel, label = pairs.draw(rng, 16)
            cosines.append(network(faces, mel))
            labels.append(label)
        cosine, label = torch.cat(cosines), torch.cat(labels)
        trial.val_loss = float(sync_loss(cosine, label))
        trial.val_accuracy = float(sync_accuracy(cosine, label))
        _curves(network, pairs, trial, rng)


def _curves(network: SyncExpert, pairs: Pairs, trial: Trial, rng: np.random.Generator) -> None:
    """Cosines of windows with sound from every shift that their clips hold."""
    sums: dict[int, list[float]] = {s: [] for s in SHIFTS}
    wins: dict[int, list[float]] = {s: [] for s in SHIFTS}
    for _ in range(max(1, pairs.settings.pairs // 4)):
        window = pairs.clips.one(rng)
        row, t, last = window.row, window.first, window.row.frames - pairs.window
        shifts = [s for s in SHIFTS if 0 <= t + s <= last]
        face = network.embed_faces(pairs.grids.window(row, t, pairs.window)[None])
        sound = network.embed_speech(torch.stack([pairs.sound(row, t + s) for s in shifts]))
        cosine = nn.functional.cosine_similarity(face, sound, dim=1, eps=1e-6).tolist()
        own = cosine[shifts.index(0)]
        for s, value in zip(shifts, cosine, strict=True):
            sums[s].append(value)
            wins[s].append(1.0 if own > value else 0.5 if own == value else 0.0)
    trial.curve = {s: float(np.mean(v)) for s, v in sums.items() if v}
    trial.choice = {s: float(np.mean(v)) for s, v in wins.items() if v and s}


def _expert(grids: Grids, settings: TrialSettings) -> SyncExpert:
    torch.manual_seed(settings.seed)
    return SyncExpert(window=settings.window, code_dim=grids.channels, **SMALL)  # type: ignore[arg-type]


def _learn(
    network: SyncExpert,
    draw: Callable[[], tuple[Tensor, Tensor, Tensor]],
    steps: int,
    losses: list[float],
    settings: TrialSettings,
    end: float | None = None,
) -> None:
    """Adam until the steps or the time are used up, or the batch is overfitted."""
    optimiser = torch.optim.Adam(network.parameters(), settings.lr)
    network.train()
    for _ in range(steps):
        faces, mel, labels = draw()
        loss = sync_loss(network(faces, mel), labels)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss.detach()))
        if end is None and losses[-1] < LEARNT:
            return
        if end is not None and time.monotonic() > end:
            return
