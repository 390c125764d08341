"""Stage ``restorer``: the second stage, which sharpens what the first one draws.

Gupta et al. (WACV 2023, section 3.2) put a network for faces behind theirs. This one
(:mod:`lipwright.models.restorer`) learns on what the first stage really does
(:mod:`lipwright.training.drawn_mouths`) from L1, the L1 of gradients, a perceptual term and a
PatchGAN, conditioned on other frames of the person whose lips were brought onto the drawn ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from lipwright.data.mouth_windows import Crops, MouthWindows, WindowClip, cut_windows
from lipwright.data.packed import PackedCorpus
from lipwright.faces.lip_align import align_window
from lipwright.models.discriminator import PatchDiscriminator
from lipwright.models.layers import channels_last
from lipwright.models.restorer import Restorer
from lipwright.models.vqgan import VQGAN
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.devices import check_device
from lipwright.training.drawn_mouths import drawn_mouths, encoded, kernel_weights, lip_mask
from lipwright.training.losses.adversarial import (
    balanced,
    discriminator_hinge,
    generator_hinge,
)
from lipwright.training.losses.perceptual import build_perceptual
from lipwright.training.losses.reconstruction import gradient_l1, weighted_l1
from lipwright.training.mouth_copies import mouth_copies
from lipwright.training.patches import cut_patches, patch_corners
from lipwright.training.pictures import write_sheet
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint


class RestorerLoss(Section):
    """Weights of the terms; ``mouth_weight`` counts where the first stage has drawn."""

    mouth_weight: float = Field(default=3.0, ge=1.0)
    gradient: float = 1.0
    perceptual: str = "none"
    perceptual_weight: float = 0.1
    adversarial: float = 0.0
    adversarial_start: int = 1000


class RestorerConfig(Section):
    """Config of the stage ``restorer``.

    Attributes:
        model: arguments of the network.
        size: side of the degraded window, even; the result has ``model.scale`` times as many.
        crops: ``hd``: windows out of the large crops; ``packed``: out of the packed crops.
        per_clip: frames of a clip that are used.
        references: aligned frames beside the degraded one.
        mixed: frames whose residual is mixed.
        codec: share of the examples that go through a codec.
        patch: side of the random part of the degraded window that a step is computed on; 0: all.
        discriminator: arguments of the PatchGAN.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    size: int = Field(default=128, ge=8, multiple_of=2)
    crops: Crops = "hd"
    per_clip: int = Field(default=24, ge=2)
    references: int = Field(default=2, ge=0, le=8)
    mixed: int = Field(default=4, ge=1, le=16)
    codec: float = Field(default=0.5, ge=0.0, le=1.0)
    patch: int = Field(default=0, ge=0, multiple_of=2)
    discriminator: dict[str, Any] = Field(default_factory=dict)
    loss: RestorerLoss = RestorerLoss()
    optimiser: OptimiserConfig = OptimiserConfig()
    run: RunConfig = RunConfig()


class RestorerStage:
    """The restorer on mouth windows of a corpus.

    Args:
        config: see :class:`RestorerConfig`.
        corpus: the packed corpus.
        windows: its mouth windows.
        copies: (N, 3, F, F) the windows after the Face-VQGAN that draws.
    """

    name = "restorer"

    def __init__(
        self,
        config: RestorerConfig,
        corpus: PackedCorpus,
        windows: MouthWindows,
        copies: NDArray[np.float16],
    ) -> None:
        self.config, self.run, self.optimiser = config, config.run, config.optimiser
        self.corpus, self.windows, self.copies = corpus, windows, copies
        torch.manual_seed(config.run.seed)
        self.network: nn.Module = Restorer(**config.model)
        loss = config.loss
        self.discriminator: nn.Module | None = (
            channels_last(PatchDiscriminator(**config.discriminator))
            if loss.adversarial > 0
            else None
        )
        self.perceptual = build_perceptual(loss.perceptual)
        self.clips = windows.split("train")
        self.large = windows.pixels.shape[1]
        weight = 1.0 + (loss.mouth_weight - 1.0) * lip_mask(self.large)
        self.weight = weight / weight.mean()
        self._last: tuple[Tensor, Tensor] | None = None

    def batch(
        self, clips: list[WindowClip], count: int, rng: np.random.Generator, context: Context
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Drawn windows (B, 3, S, S), references (B, R, 3, kS, kS), targets (B, 3, kS, kS)."""
        rows, mixed, borrowed = [], [], []
        for _ in range(count):
            clip = clips[int(rng.integers(len(clips)))]
            place = int(rng.integers(clip.count))
            others = [i for i in range(clip.count) if i != place]
            rows.append((clip, place))
            mixed.append([(clip, int(i)) for i in rng.choice(others, self.config.mixed)])
            near = sorted(rng.permutation(others)[:8], key=lambda i: self._apart(clip, place, i))
            taken = [near[i % len(near)] for i in range(self.config.references)]
            borrowed.append([self._aligned(clip, int(i), place) for i in taken])
        device = context.device
        flat = [pair for pairs in mixed for pair in pairs]
        m = self.config.mixed

        def grouped(x: Tensor) -> Tensor:
            return x.reshape(count, m, *x.shape[1:])

        target, theirs = self._windows(rows).to(device), self._windows(flat).to(device)
        weights = kernel_weights(self._lips(rows), grouped(self._lips(flat))).to(device)
        drawn = drawn_mouths(
            self._copies(rows).to(device),
            grouped(self._copies(flat).to(device)),
            weights,
            target,
            grouped(theirs),
            self.config.size,
        )
        drawn = encoded(drawn, rng, self.config.codec)
        side = self.large
        references = torch.zeros(count, 0, 3, side, side)
        if self.config.references:
            stacked = np.stack([np.stack(pictures) for pictures in borrowed])
            references = _unit(stacked.reshape(-1, side, side, 3)).reshape(count, -1, 3, side, side)
        return drawn, references.to(device), target

    def _apart(self, clip: WindowClip, a: int, b: int) -> float:
        lips = self.corpus.lips[[clip.frames[a], clip.frames[b]]]
        return float(np.square(lips[0] - lips[1]).sum())

    def _aligned(self, clip: WindowClip, index: int, place: int) -> np.ndarray:
        shapes = self.corpus.lips[[clip.frames[index], clip.frames[place]]].reshape(2, -1, 2)
        return align_window(self.windows.pixels[clip.first + index], shapes[0], shapes[1])

    def _windows(self, rows: list[tuple[WindowClip, int]]) -> Tensor:
        return _unit(np.stack([self.windows.pixels[clip.first + i] for clip, i in rows]))

    def _copies(self, rows: list[tuple[WindowClip, int]]) -> Tensor:
        return torch.from_numpy(np.stack([self.copies[clip.first + i] for clip, i in rows])).float()

    def _lips(self, rows: list[tuple[WindowClip, int]]) -> Tensor:
        shapes = np.stack([self.corpus.lips[clip.frames[i]] for clip, i in rows])
        return torch.from_numpy(shapes.reshape(len(rows), -1, 2).astype(np.float32))

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch."""
        loss = self.config.loss
        rng = context.rng(self.run.seed, step)
        drawn, references, target = self.batch(self.clips, self.run.batch, rng, context)
        weight = self.weight.to(context.device)
        if self.config.patch and self.config.patch < self.config.size:
            patch, k = self.config.patch, self.large // self.config.size
            corners = patch_corners(rng, len(drawn), self.config.size, patch)
            drawn = cut_patches(drawn, corners, patch)
            references, target, weight = (
                cut_patches(x, corners, patch, k) for x in (references, target, weight)
            )
        with context.autocast():
            made = network(drawn, references)
        made = made.float()
        out = {"l1": weighted_l1(made, target, weight)}
        total = out["l1"]
        if loss.gradient > 0:
            out["gradient"] = gradient_l1(made, target, weight)
            total = total + loss.gradient * out["gradient"]
        if self.perceptual is not None:
            self.perceptual.to(context.device)
            with context.autocast():
                out["perceptual"] = self.perceptual(made, target)
            total = total + loss.perceptual_weight * out["perceptual"]
        if self.discriminator is not None and step >= loss.adversarial_start:
            adversarial = generator_hinge(self.discriminator(made))
            plain = self.network  # ``network`` may be wrapped for several processes, or compiled
            assert isinstance(plain, Restorer)
            total, lam = balanced(made, plain.last.weight, total, adversarial, loss.adversarial)
            out |= {"adversarial": adversarial, "lambda": lam}
        self._last = (target, made.detach())
        return out | {"loss": total}

    def discriminator_step(
        self, discriminator: nn.Module, step: int, context: Context
    ) -> Tensor | None:
        """Hinge loss of the PatchGAN on the batch just drawn."""
        if step < self.config.loss.adversarial_start or self._last is None:
            return None
        target, made = self._last
        return discriminator_hinge(discriminator(target), discriminator(made))

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """PSNR where the lips are and energy of the gradients over the real one; held-out people.

        ``psnr_enlarged`` and ``energy_enlarged`` are those of the input, merely enlarged.
        """
        mask = lip_mask(self.large, context.device)
        errors: dict[str, list[Tensor]] = {"": [], "_enlarged": []}
        energies: dict[str, list[Tensor]] = {"": [], "_enlarged": []}
        for drawn, references, target in self._held_out(context):
            with context.autocast():
                made = network(drawn, references).float()
            size = (self.large, self.large)
            plain = nn.functional.interpolate(drawn, size=size, mode="bicubic")
            for name, x in (("", made), ("_enlarged", plain)):
                off = (x.clamp(-1, 1) - target).square() / 4
                errors[name].append((off * mask).sum((1, 2, 3)) / (3 * mask.sum()))
                energies[name].append(_energy(x, mask) / _energy(target, mask).clamp_min(1e-6))
        found = {}
        for name in errors:
            mean_error = torch.cat(errors[name]).clamp_min(1e-8)
            found[f"psnr{name}"] = float((-10 * mean_error.log10()).mean())
            found[f"energy{name}"] = float(torch.cat(energies[name]).mean())
        return found

    def _held_out(self, context: Context) -> list[tuple[Tensor, Tensor, Tensor]]:
        rng = np.random.default_rng(7)
        clips = self.windows.split("val")
        return [self.batch(clips, 4, rng, context) for _ in range(self.run.validate_batches)]

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """Drawn (enlarged), restored and real windows of held-out people."""
        drawn, references, target = self._held_out(context)[0]
        network.eval()
        with torch.no_grad(), context.autocast():
            made = network(drawn, references).float()
        plain = nn.functional.interpolate(drawn, size=(self.large, self.large), mode="bicubic")
        write_sheet([plain, made, target], folder / f"{step:07d}.png")

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Network ``restorer`` with its arguments and its training in the header."""
        config = self.config
        header = {
            "method": "restorer",
            "size": config.size,
            "references": config.references,
            "networks": {"restorer": config.model},
            **trained(history, self.corpus, windows=len(self.windows.pixels), loss=config.loss),
        }
        save_checkpoint(path, header, {"restorer": network})


def _unit(pictures: np.ndarray) -> Tensor:
    """(N, h, w, 3) uint8 -> (N, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _energy(x: Tensor, mask: Tensor) -> Tensor:
    """(B,) energy of the differences of neighbours where the mask is."""
    across = (x[..., 1:] - x[..., :-1]).square() * mask[..., 1:]
    down = (x[..., 1:, :] - x[..., :-1, :]).square() * mask[..., 1:, :]
    return across.sum((1, 2, 3)) + down.sum((1, 2, 3))


def build(run: StageRun[RestorerConfig]) -> RestorerStage:
    """The stage; its mouth windows are cut first."""
    config = run.config
    side = config.size * Restorer(**config.model).scale
    windows = cut_windows(run.corpus, run.folder / "windows", side, config.per_clip, config.crops)
    vqgan = load_checkpoint(run.made("vqgan"))
    copies = mouth_copies(
        vqgan.build("vqgan", VQGAN),
        vqgan.sha256,
        run.corpus,
        windows,
        run.folder / "windows",
        check_device(run.device),
    )
    return RestorerStage(config, run.corpus, windows, copies)
