"""Stages ``vqgan`` and ``pose-vqgan``: the Face-VQGAN and the Pose-VQGAN.

Gupta et al. (WACV 2023, section 3.1). Both train the same network with the same losses; the
Pose-VQGAN sees, and is asked for, faces whose lower half is blanked with black (-1), so that no
trace of the mouth can be in its codes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lipwright.data.augment import NONE, Jitter, crop_batch
from lipwright.data.clip_windows import ClipWindows
from lipwright.data.packed import PackedCorpus
from lipwright.face_regions import blank_lower_half
from lipwright.models.cosine_quantiser import CosineQuantiser
from lipwright.models.discriminator import PatchDiscriminator
from lipwright.models.quantiser import perplexity
from lipwright.models.vqgan import VQGAN
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.losses.adversarial import (
    adaptive_weight,
    discriminator_hinge,
    generator_hinge,
)
from lipwright.training.losses.perceptual import build_perceptual
from lipwright.training.losses.reconstruction import gradient_l1, mouth_weight_map, weighted_l1
from lipwright.training.pictures import write_sheet
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.taken_vqgan import take_vqgan
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint


class VQGANLoss(Section):
    """Weights of the terms; ``adversarial_start`` is the step at which the PatchGAN joins."""

    mouth_weight: float = 1.0
    gradient: float = 0.0
    perceptual: str = "none"
    perceptual_weight: float = 1.0
    perceptual_start: int = 0
    adversarial: float = 0.0
    adversarial_start: int = 30_000
    codebook: float = 1.0


class VQGANConfig(Section):
    """Config of the stages ``vqgan`` and ``pose-vqgan``.

    Attributes:
        identity_balance: 0 draws every frame alike, 1 every identity.
        initial: a VQGAN's checkpoint to start from.
        taken_from: a joined checkpoint, or a method that ships one (``vq``), whose VQGAN is taken
            as it is; then nothing is trained, and the other keys do not matter.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    jitter: dict[str, float] = Field(default_factory=dict)
    loss: VQGANLoss = VQGANLoss()
    optimiser: OptimiserConfig = OptimiserConfig()
    run: RunConfig = RunConfig()
    identity_balance: float = 0.5
    initial: Path | None = None
    taken_from: str = ""


class VQGANStage:
    """One VQGAN on the crops of a packed corpus.

    Args:
        config: see :class:`VQGANConfig`.
        corpus: the packed corpus.
        pose: blank the lower half of input and target.
    """

    def __init__(
        self,
        config: VQGANConfig,
        corpus: PackedCorpus,
        pose: bool = False,
    ) -> None:
        self.name = "pose-vqgan" if pose else "vqgan"
        self.config = config
        self.run = config.run
        self.optimiser = config.optimiser
        self.corpus = corpus
        self.pose = pose
        torch.manual_seed(config.run.seed)
        self.network: nn.Module = VQGAN(**config.model)
        if config.initial is not None:
            load_checkpoint(config.initial).load_into("vqgan", self.network)
            quantiser = self.network.quantiser
            if isinstance(quantiser, CosineQuantiser):
                quantiser.warmup = 0
                quantiser.calls.fill_(2)
        loss = config.loss
        self.discriminator: nn.Module | None = (
            PatchDiscriminator() if loss.adversarial > 0 else None
        )
        self.perceptual = build_perceptual(loss.perceptual)
        self.jitter = Jitter(**config.jitter)
        self.weight = mouth_weight_map(corpus.size, 1.0 if pose else loss.mouth_weight)
        self.clips = ClipWindows(corpus.split("train"), 1, balance=config.identity_balance)
        self._last: tuple[Tensor, Tensor] | None = None

    def batch(self, step: int, context: Context) -> Tensor:
        """(B, 3, S, S) jittered crops of step ``step``."""
        rng = context.rng(self.run.seed, step)
        index = self.clips.draw(rng, self.run.batch).frames[:, 0]
        frames = torch.from_numpy(np.stack([self.corpus.frames[i] for i in index]))
        x = crop_batch(frames.to(context.device), self.corpus.size, self.jitter, rng)
        return blank_lower_half(x) if self.pose else x

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Autoencoder losses of one batch."""
        loss = self.config.loss
        x = self.batch(step, context).contiguous(memory_format=torch.channels_last)
        weight = self.weight.to(context.device)
        with context.autocast():
            y, quantised = network(x)
        y = y.float()
        out = {"l1": weighted_l1(y, x, weight), "codebook": quantised.loss}
        nll = out["l1"]
        if loss.gradient > 0:
            out["gradient"] = gradient_l1(y, x, weight)
            nll = nll + loss.gradient * out["gradient"]
        if self.perceptual is not None and step >= loss.perceptual_start:
            self.perceptual.to(context.device)
            with context.autocast():
                out["perceptual"] = self.perceptual(y, x)
            nll = nll + loss.perceptual_weight * out["perceptual"]
        total = nll + loss.codebook * quantised.loss
        if self.discriminator is not None and step >= loss.adversarial_start:
            adversarial = generator_hinge(self.discriminator(y))
            plain = getattr(network, "module", network)
            assert isinstance(plain, VQGAN)
            last = plain.decoder.head.weight
            lam = adaptive_weight(nll, adversarial, last, loss.adversarial)
            out |= {"adversarial": adversarial, "lambda": lam}
            total = total + lam * adversarial
        self._last = (x, y.detach())
        out["loss"] = total
        out["perplexity"] = perplexity(quantised.indices.detach(), self.config_codes)
        return out

    @property
    def config_codes(self) -> int:
        """Number of codebook entries."""
        network = self.network
        assert isinstance(network, VQGAN)
        return network.n_codes

    def discriminator_step(
        self, discriminator: nn.Module, step: int, context: Context
    ) -> Tensor | None:
        """Hinge loss of the PatchGAN on the batch just drawn."""
        if step < self.config.loss.adversarial_start or self._last is None:
            return None
        x, y = self._last
        return discriminator_hinge(discriminator(x), discriminator(y))

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """PSNR (whole crop and mouth box) and code perplexity on validation identities."""
        assert isinstance(network, VQGAN)
        box = mouth_weight_map(self.corpus.size, 2.0, context.device) > 1.0
        squares, mouths, seen = [], [], []
        for x in self._held_out(context):
            with context.autocast():
                y, quantised = network(x)
            e = (y.float().clamp(-1, 1) - x).square() / 4.0
            squares.append(e.mean(dim=(1, 2, 3)))
            mouths.append((e * box).sum(dim=(1, 2, 3)) / (3.0 * box.sum()))
            seen.append(quantised.indices)
        return {
            "psnr": float((-10 * torch.cat(squares).log10()).mean()),
            "mouth_psnr": float((-10 * torch.cat(mouths).clamp_min(1e-8).log10()).mean()),
            "perplexity": float(perplexity(torch.cat(seen), network.n_codes)),
        }

    def _held_out(self, context: Context) -> list[Tensor]:
        """A fixed set of validation crops, spread over identities."""
        rows = sorted(self.corpus.split("val"), key=lambda r: r.clip)
        rng = np.random.default_rng(7)
        batches = []
        for _ in range(self.run.validate_batches):
            picked = [rows[i] for i in rng.integers(0, len(rows), 16)]
            frames = [self.corpus.frames[r.start + int(rng.integers(r.frames))] for r in picked]
            stacked = torch.from_numpy(np.stack(frames)).to(context.device)
            x = crop_batch(stacked, self.corpus.size, NONE)
            batches.append(blank_lower_half(x) if self.pose else x)
        return batches

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """Originals over reconstructions, validation identities."""
        assert isinstance(network, VQGAN)
        x = self._held_out(context)[0][:12]
        network.eval()
        with torch.no_grad(), context.autocast():
            y, _ = network(x)
        write_sheet([x, y.float()], folder / f"{step:07d}.png")

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Network ``vqgan`` with its arguments and its training in the header."""
        header = {
            "method": self.name,
            "size": self.corpus.size,
            "networks": {"vqgan": self.config.model},
            **trained(history, self.corpus, loss=self.config.loss),
        }
        save_checkpoint(path, header, {"vqgan": network})


def build(run: StageRun[VQGANConfig]) -> VQGANStage | None:
    """The stage ``vqgan`` or ``pose-vqgan``; None where the network is taken from elsewhere."""
    if run.config.taken_from:
        take_vqgan(run.config.taken_from, run.spec.name, run.corpus.size, run.result)
        return None
    return VQGANStage(run.config, run.corpus, pose=run.spec.name == "pose-vqgan")
