"""Stage ``pixel-expert``: Wav2Lip's lip-sync expert on pixels, at any crop size.

Prajwal et al. (ACM MM 2020, section 3.2); speech at 100 columns a second. It is the sync loss of
the Wav2Lip baseline and, by its accuracy at several sizes, a test of what Gupta et al. (WACV 2023)
say: that a pixel expert stops learning as resolution grows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lipwright.data.augment import NONE, Jitter
from lipwright.data.clip_windows import ReferenceRule
from lipwright.data.packed import PackedCorpus
from lipwright.data.pixels import PixelBatch, PixelWindows
from lipwright.face_regions import lower_half
from lipwright.media.mel import AudioSpec
from lipwright.models.pixel_expert import PixelExpert
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.losses.sync import sync_accuracy, sync_loss
from lipwright.training.stages.matching import (
    Batch,
    LipTargets,
    Matching,
    MatchingConfig,
    expert_measures,
    matching_losses,
    varied,
)
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context, Stage
from lipwright.weights.checkpoint import save_checkpoint


class PixelExpertConfig(Section):
    """Config of the stage; ``min_offset`` in frames between a negative's two times.

    ``gain`` varies the level of single pairs; groups vary speech by ``matching.jitter``.
    """

    size: int = 96
    window: int = 5
    width: float = 1.0
    shared: bool = False
    optimiser: OptimiserConfig = OptimiserConfig(name="adam", lr=1e-4, schedule="constant")
    run: RunConfig = RunConfig(batch=64)
    min_offset: int = 5
    gain: float = 0.4
    balance: float = 0.5
    jitter: dict[str, float] = Field(default_factory=dict)
    matching: MatchingConfig = MatchingConfig()


class PixelExpertStage(Stage):
    """Trains :class:`~lipwright.models.pixel_expert.PixelExpert` on packed crops."""

    name = "pixel-expert"

    def __init__(self, config: PixelExpertConfig, corpus: PackedCorpus) -> None:
        self.config, self.corpus = config, corpus
        self.run, self.optimiser = config.run, config.optimiser
        torch.manual_seed(config.run.seed)
        matching = config.matching
        self.arguments: dict[str, Any] = {
            "size": config.size,
            "window": config.window,
            "steps": 4 * config.window,
            "width": config.width,
            "shared": config.shared,
        }
        expert = PixelExpert(**self.arguments)
        predicted = matching.lips_predicted(config.window)
        self.lips = LipTargets(corpus, matching.lip_dim, config.window) if predicted else None
        self.network: nn.Module = Matching(expert, predicted)
        self.jitter = Jitter(**config.jitter)
        self.pairs = self._windows("train", config.min_offset, config.balance)
        self.held_out = self._windows("val", config.min_offset, 1.0)
        self.held_out_near = self._windows("val", 1, 1.0)

    def _windows(self, split: str, min_offset: int, balance: float) -> PixelWindows:
        c, none = self.config, ReferenceRule(count=0)
        return PixelWindows(
            self.corpus, split, c.size, c.window, none, AudioSpec(), max(min_offset, 1), balance
        )

    def _cosine(self, network: nn.Module, batch: PixelBatch, context: Context) -> Tensor:
        with context.autocast():
            seen, audio_embedding, _ = network(lower_half(batch.target), batch.long_mel)
        return torch.sum(seen * audio_embedding, dim=1)

    def _groups(
        self, windows: PixelWindows, rng: np.random.Generator, jitter: Jitter, context: Context
    ) -> Batch:
        """Faces, mel, pairs and lips of groups of windows of one clip."""
        faces, mel, drawn = windows.draw_groups(
            rng, self.run.batch, context.device, jitter, self.config.matching.group
        )
        return faces, mel, drawn.pairs, self.lips.of(drawn) if self.lips else None

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch, of groups of moments or of single 50/50 pairs."""
        c = self.config
        rng = context.rng(self.run.seed, step)
        if c.matching.group:
            groups = varied(
                self._groups(self.pairs, rng, self.jitter, context), rng, c.matching.jitter
            )
            with context.autocast():
                return matching_losses(network, groups, c.matching, step)
        batch = self.pairs.draw(rng, self.run.batch, context.device, self.jitter, shifted=True)
        level = rng.uniform(-c.gain, c.gain, (self.run.batch, 1, 1))
        mel = batch.long_mel + torch.from_numpy(level.astype(np.float32)).to(context.device)
        cosine = self._cosine(network, replace(batch, long_mel=mel.clamp(-4, 4)), context)
        return {
            "loss": sync_loss(cosine, batch.labels),
            "accuracy": sync_accuracy(cosine.detach(), batch.labels),
        }

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """Loss and accuracy on 50/50 pairs of validation identities, at two minimum offsets."""

        def judge(pairs: PixelWindows, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
            batch = pairs.draw(rng, self.run.batch, context.device, shifted=True)
            return self._cosine(network, batch, context), batch.labels

        return expert_measures(
            network,
            judge,
            self.held_out_near,
            self.held_out,
            lambda rng: self._groups(self.held_out, rng, NONE, context),
            self.run.validate_batches,
            self.config.matching,
            context,
        )

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Network ``expert``; the header carries the validation accuracy."""
        header = {
            "method": self.name,
            "size": self.config.size,
            "networks": {"expert": self.arguments},
            **trained(history, self.corpus, matching=self.config.matching),
        }
        assert isinstance(network, Matching)
        save_checkpoint(path, header, {"expert": network.expert})


def build(run: StageRun[PixelExpertConfig]) -> PixelExpertStage:
    """The stage ``pixel-expert``."""
    return PixelExpertStage(run.config, run.corpus)
