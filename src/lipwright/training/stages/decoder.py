"""Stage ``decoder``: the Face-VQGAN's decoder and the generator learn to draw together, in pixels.

A mixture of codes is no code, and a decoder that saw codes only draws mixtures soft. Here the
generator's grids are decoded and compared with the real frames; the decoder and the generator both
follow. The same decoder draws true codes beside them, so that it stays the decoder of its encoder.
Encoder and codebook do not change: cached codes and the Pose-VQGAN stay valid.

Not in Gupta et al. (WACV 2023), who freeze the decoder; docs/methods/vq.md says what it brought.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lipwright.data.augment import NONE, crop_batch
from lipwright.data.clip_windows import ReferenceRule
from lipwright.data.codes import CodeCorpus, load_vqgan
from lipwright.errors import LipwrightError
from lipwright.face_regions import MOUTH_BOX, cut_box
from lipwright.media.mel import AudioSpec
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.vqgan import VQGAN
from lipwright.training.code_windows import CodeBatch, CodeExample, CodeWindows
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.losses.perceptual import build_perceptual
from lipwright.training.losses.reconstruction import (
    gradient_l1,
    mouth_weight_map,
    weighted_l1,
)
from lipwright.training.pictures import write_sheet
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context, Stage
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint


class DecoderLoss(Section):
    """Weights: gradient L1 and perceptual distance beside L1; true codes beside drawn ones."""

    gradient: float = 1.0
    perceptual: str = "none"
    perceptual_weight: float = 0.05
    mouth_weight: float = 4.0
    true_codes: float = 0.5


class DecoderConfig(Section):
    """Config of the stage ``decoder``.

    Attributes:
        model: arguments of the generator that are to differ from its checkpoint's.
        window, references, min_references, min_distance, other_clip, lip_noise, balance: as of the
            stage ``generator``.
        true_frames: so many frames of a batch are drawn from their true codes too.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    loss: DecoderLoss = DecoderLoss()
    optimiser: OptimiserConfig = OptimiserConfig(lr=2e-4)
    run: RunConfig = RunConfig(batch=12)
    window: int = 6
    references: int = 32
    min_references: int = 12
    min_distance: int = 3
    other_clip: float = 0.25
    lip_noise: float = 0.25
    balance: float = 0.5
    true_frames: int = 4


class Drawer(nn.Module):
    """Generator and decoder, from a batch of codes to pictures."""

    def __init__(self, generator: GalleryGenerator, vqgan: VQGAN, sigma: float) -> None:
        super().__init__()
        self.generator = generator
        self.vqgan = vqgan
        self.sigma = sigma

    def forward(self, batch: CodeBatch, true_frames: int) -> Tensor:
        """All frames as the generator has them, then the first few from their true codes."""
        each = len(batch.pose) // len(batch.references)
        references = self.generator.encode_references(
            batch.references, batch.reference_poses, batch.reference_motions
        ).each(each)
        codes, _ = self.generator(batch.pose, references, batch.condition)
        codes = torch.cat([codes, batch.target[:true_frames]]) * self.sigma
        return self.vqgan.decode(codes)


class DecoderStage(Stage):
    """Trains decoder and generator jointly.

    Args:
        config: see :class:`DecoderConfig`.
        codes: cached code grids.
        face: checkpoint of the Face-VQGAN.
        generator: checkpoint of the stage ``generator``; of ``arch: gallery``.
    """

    name = "decoder"

    def __init__(
        self, config: DecoderConfig, codes: CodeCorpus, face: Path, generator: Path
    ) -> None:
        self.config = config
        self.run = config.run
        self.optimiser = config.optimiser
        self.codes = codes
        torch.manual_seed(config.run.seed)
        drawn = load_checkpoint(generator)
        if drawn.header["arch"] != "gallery":
            raise LipwrightError(
                f"the stage 'decoder' needs a generator of arch gallery, but {generator} is of "
                f"arch {drawn.header['arch']}; leave the stage out."
            )
        self.parents = {**drawn.header["parents"], "generator": drawn.sha256}
        self.arguments = {**drawn.header["networks"]["generator"], **config.model}
        network = GalleryGenerator(**self.arguments)
        # What the config fixes (the kernel's widths) is not taken over.
        state = {k: v for k, v in drawn.network("generator").items() if k not in config.model}
        network.load_state_dict(state, strict=False)
        checkpoint = load_checkpoint(face)
        self.face_arguments = checkpoint.header["networks"]["vqgan"]
        vqgan = load_vqgan(checkpoint)
        vqgan.decoder.requires_grad_(True)
        vqgan.post.requires_grad_(True)
        self.network: nn.Module = Drawer(network, vqgan, codes.face_sigma)
        self.perceptual = build_perceptual(config.loss.perceptual)
        self.weight = mouth_weight_map(codes.packed.size, config.loss.mouth_weight)
        self.clips = self._windows("train", config.balance)
        self.held_out = self._windows("val", 1.0)

    def _windows(self, split: str, balance: float) -> CodeWindows:
        c = self.config
        return CodeWindows(
            self.codes,
            self.codes.packed.split(split),
            AudioSpec(),
            c.window,
            ReferenceRule(c.references, c.min_distance, c.other_clip, "opening", c.min_references),
            scattered=True,
            lip_noise=c.lip_noise,
            balance=balance,
        )

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch."""
        c, loss = self.config, self.config.loss
        rng = context.rng(self.run.seed, step)
        examples = self.clips.draw(rng, max(1, self.run.batch // c.window))
        batch = self.clips.tensors(examples, rng, context.device)
        real = self._frames(examples, context)
        with context.autocast():
            pictures = network(batch, c.true_frames)
        drawn, true = pictures.float().split([len(real), c.true_frames])
        weight = self.weight.to(context.device)
        out = {"l1": weighted_l1(drawn, real, weight)}
        total = out["l1"] + loss.gradient * gradient_l1(drawn, real, weight)
        if c.true_frames:
            same = real[: c.true_frames]
            out["true_l1"] = weighted_l1(true, same, weight)
            total = total + loss.true_codes * (
                out["true_l1"] + loss.gradient * gradient_l1(true, same, weight)
            )
        if self.perceptual is not None:
            self.perceptual.to(context.device)
            with context.autocast():
                out["perceptual"] = self.perceptual(_lower(drawn), _lower(real))
            total = total + loss.perceptual_weight * out["perceptual"]
        out["loss"] = total
        return out

    def _frames(self, examples: list[CodeExample], context: Context) -> Tensor:
        """(B, 3, S, S) the real frames."""
        index = np.concatenate([e.window.frames for e in examples])
        frames = torch.from_numpy(np.stack([self.codes.packed.frames[i] for i in index]))
        return crop_batch(frames.to(context.device), self.codes.packed.size, NONE)

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """Mouth box on validation identities: PSNR and sharpness, drawn and from true codes."""
        sums: dict[str, list[float]] = {}
        for real, drawn, true in self._drawn(network, context, self.run.validate_batches):
            for name, picture in (("", drawn), ("true_", true)):
                ours, theirs = _mouth(picture), _mouth(real)
                error = (ours - theirs).square().mean(dim=(1, 2, 3))
                psnr = float((10 * torch.log10(4.0 / error.clamp_min(1e-9))).mean())
                sums.setdefault(f"{name}psnr", []).append(psnr)
                sums.setdefault(f"{name}sharpness", []).append(float(_edges(ours) / _edges(theirs)))
        return {k: float(np.mean(v)) for k, v in sums.items()}

    def _drawn(
        self, network: nn.Module, context: Context, batches: int
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        rng = np.random.default_rng(5)
        out = []
        for _ in range(batches):
            examples = self.held_out.draw(rng, max(1, 12 // self.config.window))
            batch = self.held_out.tensors(examples, None, context.device)
            real = self._frames(examples, context)
            with torch.no_grad(), context.autocast():
                pictures = network(batch, len(real)).float().clamp(-1, 1)
            drawn, true = pictures.chunk(2)
            out.append((real, drawn, true))
        return out

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """Real frames, drawn ones, and those of true codes; validation identities."""
        (pictures,) = self._drawn(network, context, 1)
        write_sheet(list(pictures), folder / f"{step:07d}.png")

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Networks ``vqgan``, ``generator`` and ``space``."""
        assert isinstance(network, Drawer)
        header = {
            "method": "decoder",
            "arch": "gallery",
            "size": self.codes.packed.size,
            "sigma": self.codes.sigma,
            "networks": {"vqgan": self.face_arguments, "generator": self.arguments},
            **trained(history, self.codes.packed, loss=self.config.loss),
            "parents": self.parents,
        }
        modules = {"vqgan": network.vqgan, "generator": network.generator}
        save_checkpoint(path, header, {**modules, "space": self.codes.space})


def build(run: StageRun[DecoderConfig]) -> DecoderStage:
    """The stage ``decoder``."""
    generator = run.made("generator")
    lip_dim = load_checkpoint(generator).header["networks"]["generator"].get("lip_dim", 8)
    codes = CodeCorpus(run.corpus, run.made("codes"), lip_dim)
    return DecoderStage(run.config, codes, run.made("vqgan"), generator)


def _lower(x: Tensor) -> Tensor:
    """The middle of the lower half, where mouths are."""
    size = x.shape[-1]
    return x[:, :, size // 2 :, size // 4 : size - size // 4]


def _mouth(x: Tensor) -> Tensor:
    return cut_box(x, MOUTH_BOX)


def _edges(x: Tensor) -> Tensor:
    """Mean absolute step between rows and between columns."""
    return x.diff(dim=2).abs().mean() + x.diff(dim=3).abs().mean()
