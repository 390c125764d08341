"""Stage ``expert``: the lip-sync expert in code space.

Gupta et al. (WACV 2023, section 3.1): positives share the time step, negatives are windows of
another time of the same clip. A minimum distance between the two keeps near-positives out (with
windows of 25 frames a shift of one frame still shares 24).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from lipwright.data.codes import CodeCorpus
from lipwright.data.moments import draw_moments
from lipwright.data.packed import ClipRow, row_weights
from lipwright.errors import LipwrightError
from lipwright.media.mel import speech_of
from lipwright.models.expert import SyncExpert
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.losses.sync import sync_accuracy, sync_loss
from lipwright.training.stages.matching import (
    Batch,
    LipTargets,
    Matching,
    MatchingConfig,
    held_out_measures,
    matching_losses,
    varied,
)
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import save_checkpoint


class ExpertConfig(Section):
    """Config of the stage ``expert``; ``min_offset`` in frames between a negative's two times.

    ``gain`` varies the level of single pairs; groups vary speech by ``matching.jitter``.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    optimiser: OptimiserConfig = OptimiserConfig(lr=1e-4, schedule="constant")
    run: RunConfig = RunConfig(batch=64)
    min_offset: int = 5
    gain: float = 0.4
    balance: float = 0.5
    matching: MatchingConfig = MatchingConfig()


class PairSampler:
    """Draws windows of codes with matching or shifted speech.

    Raises:
        LipwrightError: no clip is long enough for a window and a negative.
    """

    def __init__(self, codes: CodeCorpus, split: str, window: int, min_offset: int) -> None:
        self.codes = codes
        self.window = window
        self.min_offset = min_offset
        self.rows = [r for r in codes.packed.split(split) if r.frames >= window + min_offset]
        if not self.rows:
            raise LipwrightError(
                f"no clip of split '{split}' has the {window + min_offset} frames that a window of "
                f"{window} and a shifted one need; use a smaller model.window or longer clips."
            )

    def draw(self, rng: np.random.Generator, weights: NDArray[np.float64]) -> tuple[Any, ...]:
        """One pair: (row, start of the speech, start of the frames, label, variant)."""
        row = self.rows[int(rng.choice(len(self.rows), p=weights))]
        last = row.frames - self.window
        t = int(rng.integers(last + 1))
        label = bool(rng.random() < 0.5)
        other = t
        if not label:
            far = [u for u in range(last + 1) if abs(u - t) >= self.min_offset]
            if far:
                other = int(rng.choice(far))
            else:
                label = True
        return row, t, other, label, int(rng.integers(self.codes.face.shape[0]))

    def tensors(
        self, draws: list[tuple[Any, ...]], device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (B, T, D, 16, 16), mel (B, 80, 4T) and labels (B,) of drawn pairs."""
        faces = [(row, other, variant) for row, _, other, _, variant in draws]
        labels = torch.tensor([d[3] for d in draws], device=device)
        mel = self.speech([(row, t) for row, t, *_ in draws])
        return self.faces(faces, device), mel.to(device), labels

    def faces(self, windows: list[tuple[ClipRow, int, int]], device: torch.device) -> Tensor:
        """(B, T, D, 16, 16) codes of windows (row, first frame, variant)."""
        grids = [
            self.codes.face[variant, row.start + t : row.start + t + self.window].astype(np.int64)
            for row, t, variant in windows
        ]
        index = torch.from_numpy(np.stack(grids)).to(device)
        book = self.codes.face_book.to(device)
        return torch.nn.functional.embedding(index, book).permute(0, 1, 4, 2, 3)

    def speech(self, windows: list[tuple[ClipRow, int]]) -> Tensor:
        """(B, 80, 4T) speech of windows (row, first frame)."""
        return torch.stack(
            [speech_of(self.codes.clip_mel(row.clip), t, self.window) for row, t in windows]
        )


class ExpertStage:
    """Trains :class:`~lipwright.models.expert.SyncExpert` on cached codes."""

    name = "expert"

    def __init__(self, config: ExpertConfig, codes: CodeCorpus) -> None:
        self.config = config
        self.run = config.run
        self.optimiser = config.optimiser
        self.codes = codes
        torch.manual_seed(config.run.seed)
        model = {"code_dim": codes.face_book.shape[1], **config.model}
        self.arguments = model
        expert = SyncExpert(**model)
        window = expert.window
        predicted = config.matching.lips_predicted(window)
        self.lips = LipTargets(codes.packed, config.matching.lip_dim, window) if predicted else None
        self.network: nn.Module = Matching(expert, predicted)
        self.discriminator: nn.Module | None = None
        self.train_pairs = PairSampler(codes, "train", window, config.min_offset)
        self.held_out = PairSampler(codes, "val", window, config.min_offset)
        self.weights = row_weights(self.train_pairs.rows, config.balance)

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch, of groups of moments or of single 50/50 pairs."""
        rng = context.rng(self.run.seed, step)
        if self.config.matching.group:
            c = self.config.matching
            moments = varied(
                self._moments(self.train_pairs, self.weights, rng, context), rng, c.jitter
            )
            with context.autocast():
                return matching_losses(network, moments, c, step)
        draws = [self.train_pairs.draw(rng, self.weights) for _ in range(self.run.batch)]
        grids, mel, labels = self.train_pairs.tensors(draws, context.device)
        level = rng.uniform(-self.config.gain, self.config.gain, (len(draws), 1, 1))
        mel = (mel + torch.from_numpy(level.astype(np.float32)).to(mel.device)).clamp(-4, 4)
        cosine = self._cosine(network, grids, mel, context)
        return {
            "loss": sync_loss(cosine, labels),
            "accuracy": sync_accuracy(cosine.detach(), labels),
        }

    def _cosine(self, network: nn.Module, grids: Tensor, mel: Tensor, context: Context) -> Tensor:
        with context.autocast():
            seen, audio_embedding, _ = network(grids, mel)
        return torch.sum(seen * audio_embedding, dim=1)

    def _moments(
        self,
        pairs: PairSampler,
        weights: NDArray[np.float64],
        rng: np.random.Generator,
        context: Context,
    ) -> Batch:
        """Codes, mel, pairs and lips of groups of moments (see :mod:`lipwright.data.moments`)."""
        far, group = max(1, pairs.min_offset), self.config.matching.group
        moments = draw_moments(rng, pairs.rows, weights, self.run.batch, pairs.window, far, group)
        drawn = list(zip(moments.rows, moments.starts, strict=True))
        variants = rng.integers(self.codes.face.shape[0], size=len(drawn))
        windows = [(row, t, int(v)) for (row, t), v in zip(drawn, variants, strict=True)]
        mel = pairs.speech(drawn).to(context.device)
        lips = self.lips.of(moments) if self.lips else None
        return pairs.faces(windows, context.device), mel, moments.pairs, lips

    def discriminator_step(
        self, discriminator: nn.Module, step: int, context: Context
    ) -> Tensor | None:
        """There is no discriminator."""
        return None

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """Loss and accuracy on 50/50 pairs of validation identities, at two minimum offsets."""
        out: dict[str, float] = {}
        for name, offset in (("", self.config.min_offset), ("_offset1", 1)):
            sampler = PairSampler(self.codes, "val", self.held_out.window, offset)
            weights = row_weights(sampler.rows, 1.0)
            rng = np.random.default_rng(11)
            losses, accuracies = [], []
            for _ in range(self.run.validate_batches):
                draws = [sampler.draw(rng, weights) for _ in range(self.run.batch)]
                grids, mel, labels = sampler.tensors(draws, context.device)
                cosine = self._cosine(network, grids, mel, context)
                losses.append(float(sync_loss(cosine, labels)))
                accuracies.append(float(sync_accuracy(cosine, labels)))
            out[f"sync_loss{name}"] = float(np.mean(losses))
            out[f"accuracy{name}"] = float(np.mean(accuracies))
        rng, weights = np.random.default_rng(12), row_weights(self.held_out.rows, 1.0)
        return out | held_out_measures(
            network,
            lambda: self._moments(self.held_out, weights, rng, context),
            self.run.validate_batches,
            self.config.matching,
            context,
        )

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """An expert draws nothing."""

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Network ``expert``; the header carries the validation accuracy that gates its use."""
        header = {
            "method": "expert",
            "size": self.codes.packed.size,
            "networks": {"expert": self.arguments},
            "training": {
                **history,
                "data": self.codes.packed.summary(),
                "matching": self.config.matching.model_dump(),
            },
            "parents": {"vqgan": self.codes.header["face"]},
            "licence": "research use only (see LICENSE_weights)",
        }
        assert isinstance(network, Matching)
        save_checkpoint(path, header, {"expert": network.expert})
