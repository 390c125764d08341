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
from lipwright.errors import LipwrightError
from lipwright.face_regions import blank_lower_half
from lipwright.models.cosine_quantiser import CosineQuantiser
from lipwright.models.discriminator import PatchDiscriminator
from lipwright.models.quantiser import perplexity
from lipwright.models.vqgan import VQGAN
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.losses.adversarial import (
    balanced,
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
    """Weights of the terms, and when they join.

    Attributes:
        adversarial_start: step from which on the network is to deceive the PatchGAN.
        discriminator_start: step from which on the PatchGAN learns; None: ``adversarial_start``.
            A finished VQGAN should be given to one that has learnt already: the adaptive weight
            is large as long as the PatchGAN knows nothing.
    """

    mouth_weight: float = 1.0
    gradient: float = 0.0
    perceptual: str = "none"
    perceptual_weight: float = 1.0
    perceptual_start: int = 0
    adversarial: float = 0.0
    adversarial_start: int = 30_000
    discriminator_start: int | None = None
    codebook: float = 1.0


class VQGANConfig(Section):
    """Config of the stages ``vqgan`` and ``pose-vqgan``.

    Attributes:
        identity_balance: 0 draws every frame alike, 1 every identity.
        initial: a VQGAN's checkpoint to start from.
        decoder_only: encoder and codebook stay those of ``initial``, so that codes, and all that
            was trained on them, stay valid.
        discriminator: arguments of the PatchGAN.
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
    decoder_only: bool = False
    discriminator: dict[str, Any] = Field(default_factory=dict)
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
        network = VQGAN(**config.model)
        self.network: nn.Module = network
        if config.initial is not None:
            load_checkpoint(config.initial).load_into("vqgan", network)
            quantiser = network.quantiser
            if isinstance(quantiser, CosineQuantiser):
                quantiser.warmup = 0
                quantiser.calls.fill_(2)
        if config.decoder_only:
            fix_codes(network, config.initial)
        loss = config.loss
        self.discriminator: nn.Module | None = (
            PatchDiscriminator(**config.discriminator) if loss.adversarial > 0 else None
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
        plain = self.network  # ``network`` may be wrapped for several processes, or compiled
        assert isinstance(plain, VQGAN)
        if self.config.decoder_only:
            plain.quantiser.eval()  # the trainer has set everything to training mode
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
        if self.discriminator is not None and step >= loss.adversarial_start:
            adversarial = generator_hinge(self.discriminator(y))
            last = plain.decoder.head.weight
            nll, lam = balanced(y, last, nll, adversarial, loss.adversarial)
            out |= {"adversarial": adversarial, "lambda": lam}
        self._last = (x, y.detach())
        out["loss"] = nll if self.config.decoder_only else nll + loss.codebook * quantised.loss
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
        loss = self.config.loss
        start = loss.discriminator_start
        if step < (loss.adversarial_start if start is None else start) or self._last is None:
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


def fix_codes(network: VQGAN, initial: Path | None) -> None:
    """Leave only the decoder and the convolution before it to be trained.

    Raises:
        LipwrightError: there are no codes that could be kept.
    """
    if initial is None:
        raise LipwrightError(
            "decoder_only keeps the codes of a trained VQGAN; name its checkpoint with 'initial'."
        )
    network.requires_grad_(False)
    network.decoder.requires_grad_(True)
    network.post.requires_grad_(True)


def build(run: StageRun[VQGANConfig]) -> VQGANStage | None:
    """The stage ``vqgan`` or ``pose-vqgan``; None where the network is taken from elsewhere."""
    if run.config.taken_from:
        take_vqgan(run.config.taken_from, run.spec.name, run.corpus.size, run.result)
        return None
    return VQGANStage(run.config, run.corpus, pose=run.spec.name == "pose-vqgan")
