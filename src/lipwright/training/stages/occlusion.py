"""Stage ``occlusion``: the network that says what lies before a face.

It learns on frames of a corpus before whose faces things are painted
(:mod:`lipwright.data.occluders`), and as many frames as they are: beards, teeth, tongues, glasses
and shadows are in those, so that it takes none of them for a thing. Binary cross-entropy, only
where the lower face is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.data.augment import NONE, Jitter, crop_batch
from lipwright.data.occluders import paint
from lipwright.data.packed import ClipRow, PackedCorpus, row_weights
from lipwright.models.occlusion import OcclusionNetwork, lower_face
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.pictures import write_sheet
from lipwright.training.stages.run import StageRun
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import save_checkpoint

JITTER = Jitter(0.05, 0.12, 6.0, 0.5, 0.3, 0.3, 0.5)
JPEG_QUALITY = (25, 95)
SMALLER = (1.0, 3.5)
"""Faces of a film are often smaller than the crop: they are made so, and enlarged again."""
ALARM = 0.01
"""A clean frame is a false alarm when more of its lower face than this is taken for a thing."""


class OcclusionConfig(Section):
    """Config of the stage ``occlusion``.

    Attributes:
        model: arguments of the network.
        painted: share of the frames before which something is painted.
        worse: share of the frames that are made smaller, noisy or JPEG.
        balance: see :func:`~lipwright.data.packed.row_weights`.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    painted: float = Field(default=0.5, gt=0.0, lt=1.0)
    worse: float = Field(default=0.5, ge=0.0, le=1.0)
    balance: float = Field(default=0.5, ge=0.0, le=1.0)
    optimiser: OptimiserConfig = OptimiserConfig()
    run: RunConfig = RunConfig()


class OcclusionStage:
    """Trains an :class:`~lipwright.models.occlusion.OcclusionNetwork`."""

    name = "occlusion"

    def __init__(self, config: OcclusionConfig, corpus: PackedCorpus) -> None:
        self.config, self.run, self.optimiser = config, config.run, config.optimiser
        self.corpus = corpus
        torch.manual_seed(config.run.seed)
        self.network: nn.Module = OcclusionNetwork(**config.model)
        self.discriminator: nn.Module | None = None
        self._train = _Split(corpus.split("train"), config.balance)

    def batch(
        self, split: _Split, count: int, rng: np.random.Generator, jitter: Jitter
    ) -> tuple[Tensor, Tensor]:
        """Crops (B, 3, S, S) in [-1, 1] and how far they are covered (B, 1, S / 2, S / 2).

        The first ``painted`` of them have something before the face.
        """
        frames, covers = [], []
        for place in range(count):
            picture, other = (self.corpus.frames[split.frame(rng)] for _ in range(2))
            cover = np.zeros(picture.shape[:2], np.float32)
            if place < round(self.config.painted * count):
                picture, cover = paint(picture, other, rng)
            frames.append(_worse(picture, rng) if rng.random() < self.config.worse else picture)
            covers.append(np.repeat(np.rint(cover[:, :, None] * 255).astype(np.uint8), 3, axis=2))
        size, seed = self.corpus.size, int(rng.integers(1 << 32))
        # The same places in both: the same random numbers.
        crops = crop_batch(
            torch.from_numpy(np.stack(frames)), size, jitter, np.random.default_rng(seed)
        )
        plain = Jitter(jitter.shift, jitter.scale, jitter.turn, jitter.flip, 0.0, 0.0, 0.0)
        plain = NONE if jitter == NONE else plain
        cover_crops = crop_batch(
            torch.from_numpy(np.stack(covers)), size, plain, np.random.default_rng(seed)
        )
        return crops, F.avg_pool2d((cover_crops[:, :1] + 1) / 2, 2)

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Loss of one batch."""
        rng = context.rng(self.run.seed, step)
        crops, cover = self.batch(self._train, self.run.batch, rng, JITTER)
        crops, cover = crops.to(context.device), cover.to(context.device)
        with context.autocast():
            found = network(crops)
        where = lower_face(cover.shape[-1], context.device)
        each = F.binary_cross_entropy_with_logits(found.float(), cover, reduction="none")
        return {"loss": (each * where).mean() / where.mean()}

    def discriminator_step(
        self, discriminator: nn.Module, step: int, context: Context
    ) -> Tensor | None:
        """There is no discriminator."""
        return None

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """Shares on held-out people, of the lower face.

        ``found``: of covered places, those that are found; ``false``: of the others of the same
        frames, those that are taken for covered; ``alarms``: of clean frames, those with more of
        that than ``ALARM``.
        """
        totals = np.zeros(6)
        for crops, cover in self._held_out():
            with context.autocast():
                found = network(crops.to(context.device)).float().cpu() > 0
            where = lower_face(cover.shape[-1]) > 0.5
            painted = round(self.config.painted * len(crops))
            hit, covered = found[:painted], cover[:painted] > 0.5
            clean = (found[painted:] & where).sum((1, 2, 3)) / where.sum()
            totals += [
                float((hit & covered & where).sum()),
                float((covered & where).sum()),
                float((hit & ~covered & where).sum()),
                float((~covered & where).sum()),
                float((clean > ALARM).sum()),
                len(clean),
            ]
        shares = totals[::2] / np.maximum(totals[1::2], 1)
        return dict(zip(("found", "false", "alarms"), shares.tolist(), strict=True))

    def _held_out(self) -> list[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng(7)
        split = _Split(self.corpus.split("val"), 1.0)
        return [
            self.batch(split, self.run.batch, rng, NONE) for _ in range(self.run.validate_batches)
        ]

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """Held-out crops, what covers them, and what the network says."""
        crops, cover = self._held_out()[0]
        network.eval()
        with torch.no_grad(), context.autocast():
            found = network(crops.to(context.device)).float().cpu().sigmoid()
        sizes = crops.shape[-2:]
        maps = [
            F.interpolate(each, size=sizes).expand(-1, 3, -1, -1) * 2 - 1 for each in (cover, found)
        ]
        every = max(1, len(crops) // 12)
        write_sheet([row[::every] for row in (crops, *maps)], folder / f"{step:07d}.png")

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Network ``occlusion`` with its training in the header, and its graph."""
        from lipwright.methods.export import Export, add_graphs

        header = {
            "method": "occlusion",
            "size": self.corpus.size,
            "networks": {"occlusion": self.config.model},
            "training": {**history, "data": self.corpus.summary()},
            "licence": "research use only (see LICENSE_weights)",
        }
        save_checkpoint(path, header, {"occlusion": network})
        example = torch.zeros(1, 3, self.corpus.size, self.corpus.size)
        module = network.float().cpu().eval()
        add_graphs(path, {"occlusion": Export(module, (example,), {0: 0})})


class _Split:
    """Draws frames of some clips."""

    def __init__(self, rows: list[ClipRow], balance: float) -> None:
        self._rows, self._weights = rows, row_weights(rows, balance)

    def frame(self, rng: np.random.Generator) -> int:
        row = self._rows[int(rng.choice(len(self._rows), p=self._weights))]
        return row.start + int(rng.integers(row.frames))


def _worse(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Smaller and enlarged again, noisy, JPEG."""
    size = len(picture)
    small = max(8, round(size / rng.uniform(*SMALLER)))
    shrunk = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
    picture = np.asarray(shrunk, np.uint8)
    if rng.random() < 0.5:
        noise = rng.standard_normal(picture.shape, np.float32) * rng.uniform(1, 8)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG_QUALITY))]
        data = cv2.imencode(".jpg", picture, quality)[1]
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def build(run: StageRun[OcclusionConfig]) -> OcclusionStage:
    """The stage ``occlusion``."""
    return OcclusionStage(run.config, run.corpus)
