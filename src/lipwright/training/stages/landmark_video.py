"""Stage ``landmark-video``: VG-net with the regression-based discriminator.

Chen et al. (CVPR 2019): the example is any frame of the clip, the driving landmarks are the real
ones of a sequence of frames;

    L_D = BCE(D(v*), 1) + BCE(D(v), 0) + L_lm(v*) + L_lm(v)
    L_G = 10 L_pix + BCE(D(v), 1) + L_lm(v),

both regressions towards the driving landmarks, one step of each in turn. The configuration can
weigh the terms, begin with the pixels alone, weigh the mouth, and drive with landmarks projected on
the principal components, which is what inference has.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lipwright.data.augment import NONE, Jitter, crop_batch
from lipwright.data.clip_windows import ClipWindows, ReferenceRule, WindowBatch
from lipwright.data.landmarks import LandmarkCorpus
from lipwright.data.packed import ClipRow
from lipwright.errors import LipwrightError
from lipwright.face_regions import MOUTH_BOX, pixel_box
from lipwright.models.landmark_discriminator import LandmarkDiscriminator
from lipwright.models.landmark_space import MIRROR
from lipwright.models.landmark_video import Drawn, LandmarkVideo
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.losses.dynamic_pixel import BETA, dynamic_pixel_loss
from lipwright.training.losses.landmark_regression import landmark_loss, landmark_weights
from lipwright.training.losses.reconstruction import (
    gradient_l1,
    lower_face_map,
    weighted_l1,
)
from lipwright.training.losses.sequence_adversarial import sequence_bce
from lipwright.training.pictures import write_sheet
from lipwright.training.stages.landmark_audio import load_space
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


class LandmarkVideoLoss(Section):
    """Weights of the terms.

    Attributes:
        pixel: of the dynamic pixel-wise loss.
        beta: weight of copied pixels in it.
        dynamic: False replaces the attention in it by 1: the paper's ablation.
        adversarial, landmark: of the two terms of the discriminator; 0 and 0 leave it out.
        adversarial_start: step at which they join.
        mouth_weight: W on the heights of the mouth's points, before the square.
        mouth_pixels: weight of lips, cheeks and chin in the pixel loss; 1 in the paper.
        gradient: of an L1 of image gradients; 0 in the paper.
        alpha: of the mean of alpha, divided by the same weight; 0 in the paper.
            A picture that was moved instead of drawn is right where nothing moves, too, and follows
            the head, which no speech asks for; this keeps alpha where it is needed.
        colour: of an L1 of what is drawn, before it is blended; 0 in the paper. At first the
            example is nearer to the target than anything drawn: alpha falls to 0 within some ten
            steps, and what hides behind it learns hardly anything. This teaches it all the same.
    """

    pixel: float = 10.0
    beta: float = BETA
    dynamic: bool = True
    adversarial: float = 1.0
    landmark: float = 1.0
    adversarial_start: int = 0
    mouth_weight: float = 100.0
    mouth_pixels: float = 1.0
    gradient: float = 0.0
    colour: float = 0.0
    alpha: float = 0.0


class LandmarkVideoConfig(Section):
    """Config of the stage; ``project``: drive with projected landmarks."""

    model: dict[str, Any] = Field(default_factory=dict)
    discriminator: dict[str, Any] = Field(default_factory=dict)
    jitter: dict[str, float] = Field(default_factory=dict)
    loss: LandmarkVideoLoss = LandmarkVideoLoss()
    sequence: int = 16
    project: bool = False
    balance: float = 0.5
    optimiser: OptimiserConfig = OptimiserConfig(
        name="adam", lr=2e-4, betas=(0.5, 0.999), schedule="constant"
    )
    run: RunConfig = RunConfig(batch=10)


class Batch:
    """Example picture (B, 3, S, S) and landmarks (B, 136), frames (B, T, 3, S, S), landmarks.

    ``here`` and ``there`` are the example's points and where they lie in the frames, in [-1, 1].
    """

    def __init__(
        self,
        picture: Tensor,
        example: Tensor,
        frames: Tensor,
        driving: Tensor,
        here: Tensor,
        there: Tensor,
    ) -> None:
        self.picture, self.example, self.frames, self.driving = picture, example, frames, driving
        self.here, self.there = here, there

    def draw(self, network: nn.Module) -> Drawn:
        """What VG-net makes of it."""
        drawn: Drawn = network(
            self.picture, self.driving, self.example, None, self.here, self.there
        )
        return drawn


class LandmarkVideoStage:
    """Trains :class:`~lipwright.models.landmark_video.LandmarkVideo`."""

    name = "landmark-video"

    def __init__(
        self, config: LandmarkVideoConfig, corpus: LandmarkCorpus, space: Checkpoint
    ) -> None:
        self.config, self.run, self.optimiser = config, config.run, config.optimiser
        self.corpus, self.packed = corpus, corpus.packed
        self.space, self.space_hash = load_space(space), space.sha256
        loss, size = config.loss, corpus.packed.size
        torch.manual_seed(config.run.seed)
        self.arguments = {"size": size, **config.model}
        if self.arguments["size"] != size:
            raise LipwrightError(
                f"landmark-video.model.size is {self.arguments['size']}, but the corpus holds "
                f"crops of {size} px; prepare one with --size {self.arguments['size']}."
            )
        self.network: nn.Module = LandmarkVideo(**self.arguments)
        judged = loss.adversarial > 0 or loss.landmark > 0
        arguments = {"size": size, **config.discriminator}
        self.discriminator: nn.Module | None = (
            LandmarkDiscriminator(**arguments) if judged else None
        )
        self.jitter = Jitter(**config.jitter) if config.jitter else NONE
        if self.arguments.get("colour") == "moved" and max(
            self.jitter.shift, self.jitter.scale, self.jitter.turn
        ):
            raise LipwrightError(
                "with landmark-video.model.colour 'moved' the points must lie where the picture "
                "has them; set jitter.shift, jitter.scale and jitter.turn to 0."
            )
        self.clips = self._windows("train", config.balance)
        self.held_out = self._windows("val", 1.0)
        self.weight = landmark_weights(loss.mouth_weight)
        self.pixels = lower_face_map(size, loss.mouth_pixels)
        self._last: tuple[Batch, Tensor] | None = None

    def _windows(self, split: str, balance: float) -> ClipWindows:
        """The example is any frame of the clip, as published."""
        rows, sequence = self.corpus.split(split), self.config.sequence
        return ClipWindows(rows, sequence, ReferenceRule(1), balance=balance)

    def landmarks(
        self, points: Tensor, row: ClipRow, mirror: bool = False
    ) -> tuple[Tensor, Tensor]:
        """(T, 68, 2) points of a clip's frames, the example first, to what VG-net takes.

        Returns:
            Normalised landmarks (T, 136), and points in [-1, 1] (T, 68, 2): the example's own, and
            where these come to lie by the driving motion.
        """
        whole = torch.from_numpy(self.corpus.clip_points(row))
        if mirror:
            turn, edge = whole.new_tensor([-1.0, 1.0]), whole.new_tensor([1.0, 0.0])
            whole, points = (p[:, list(MIRROR)] * turn + edge for p in (whole, points))
        neutral = self.space.align(whole)[0].mean(0)
        shapes, matrix = self.space.align(points)
        motion = shapes - neutral
        if self.config.project:
            motion = self.space.decode(self.space.encode(motion))
        placed = self.space.place(motion, neutral, matrix)
        return self.space.normalised(motion), 2.0 * (points[:1] + placed - placed[:1]) - 1.0

    def draw(
        self, windows: WindowBatch, rng: np.random.Generator, jitter: Jitter, context: Context
    ) -> Batch:
        """A batch: for every clip an example and a sequence, turned and tinted alike."""
        t, size = self.config.sequence, self.packed.size
        pictures, landmarks, lying, mirrors = [], [], [], []
        for w in windows:
            row, index = w.row, np.concatenate([w.references, w.times])
            mirrors.append(bool(rng.random() < jitter.flip))
            points = torch.from_numpy(self.corpus.clip_points(row)[index])
            predicted, placed = self.landmarks(points, row, mirrors[-1])
            landmarks.append(predicted)
            lying.append(placed)
            pictures.append(self.packed.frames[row.start + index])
        stacked = torch.from_numpy(np.concatenate(pictures)).to(context.device)
        plain = replace(jitter, flip=0.0)
        crops = crop_batch(stacked, size, plain, rng, group=t + 1)
        x = crops.reshape(len(windows), t + 1, *crops.shape[1:])
        flipped = torch.tensor(mirrors, device=x.device)[:, None, None, None, None]
        x = torch.where(flipped, x.flip(-1), x)
        p = torch.stack(landmarks).to(context.device)
        q = torch.stack(lying).to(context.device)
        return Batch(x[:, 0], p[:, 0], x[:, 1:], p[:, 1:], q[:, 0], q[:, 1:])

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of the generator on one batch."""
        rng = context.rng(self.run.seed, step)
        batch = self.draw(self.clips.draw(rng, self.run.batch), rng, self.jitter, context)
        with context.autocast():
            drawn = batch.draw(network)
        loss, frames, alpha = self.config.loss, drawn.frames.float(), drawn.alpha.float()
        weight = self.pixels.to(context.device)
        seen = alpha if loss.dynamic else torch.ones_like(alpha)
        pixel = dynamic_pixel_loss(frames * weight, batch.frames * weight, seen, loss.beta)
        out = {"pixel": pixel, "alpha": alpha.detach().mean()}
        total = loss.pixel * pixel
        if loss.gradient > 0:
            out["gradient"] = gradient_l1(frames.flatten(0, 1), batch.frames.flatten(0, 1), weight)
            total = total + loss.gradient * out["gradient"]
        if loss.colour > 0:
            out["colour"] = weighted_l1(drawn.colour.float(), batch.frames, weight)
            total = total + loss.colour * out["colour"]
        if loss.alpha > 0:
            total = total + loss.alpha * (alpha / weight).mean()
        if self.discriminator is not None and step >= loss.adversarial_start:
            with context.autocast():
                real, found = self.discriminator(frames, batch.example)
            out["adversarial"] = sequence_bce(real.float(), real=True)
            out["landmark"] = landmark_loss(
                found.float(), batch.driving, self.weight.to(context.device)
            )
            total = total + loss.adversarial * out["adversarial"] + loss.landmark * out["landmark"]
        self._last = batch, frames.detach()
        out["loss"] = total
        return out

    def discriminator_step(
        self, discriminator: nn.Module, step: int, context: Context
    ) -> Tensor | None:
        """Loss of the discriminator on the batch just drawn."""
        if step < self.config.loss.adversarial_start or self._last is None:
            return None
        batch, drawn = self._last
        with context.autocast():
            real, real_points = discriminator(batch.frames, batch.example)
            fake, fake_points = discriminator(drawn, batch.example)
        loss, weight = self.config.loss, self.weight.to(context.device)
        total = loss.landmark * (
            landmark_loss(real_points.float(), batch.driving, weight)
            + landmark_loss(fake_points.float(), batch.driving, weight)
        )
        if loss.adversarial > 0:
            total = total + loss.adversarial * (
                sequence_bce(real.float(), real=True) + sequence_bce(fake.float(), real=False)
            )
        return total

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """On validation identities: L1 and PSNR, also of the example itself, and where alpha is."""
        left, top, right, bottom = pixel_box(MOUTH_BOX, self.packed.size)
        inside = torch.zeros(self.packed.size, self.packed.size, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        sums: dict[str, list[float]] = {}
        for batch, drawn in self._drawn(network, context):
            copy = batch.picture[:, None].expand_as(batch.frames)
            for name, x in (("", drawn.frames.float()), ("copy_", copy)):
                error = x - batch.frames
                sums.setdefault(f"{name}l1", []).append(float(error.abs().mean()))
                power = (error / 2).square()
                psnr = -10 * power.mean((2, 3, 4)).clamp_min(1e-8).log10()
                sums.setdefault(f"{name}psnr", []).append(float(psnr.mean()))
                mouth = -10 * power[..., inside].mean((2, 3)).clamp_min(1e-8).log10()
                sums.setdefault(f"{name}mouth_psnr", []).append(float(mouth.mean()))
            alpha = drawn.alpha.float()
            sums.setdefault("alpha_mouth", []).append(float(alpha[..., inside].mean()))
            sums.setdefault("alpha_rest", []).append(float(alpha[..., ~inside].mean()))
        return {name: float(np.mean(values)) for name, values in sums.items()}

    def _drawn(self, network: nn.Module, context: Context) -> list[tuple[Batch, Drawn]]:
        """A fixed set of validation sequences, spread over identities."""
        rng = np.random.default_rng(7)
        made = []
        for _ in range(self.run.validate_batches):
            batch = self.draw(self.held_out.draw(rng, 4), rng, NONE, context)
            with context.autocast():
                made.append((batch, batch.draw(network)))
        return made

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """For two clips: example, real frames, drawn frames, alpha."""
        network.eval()
        with torch.no_grad():
            batch, drawn = self._drawn(network, context)[0]
        rows: list[Tensor] = []
        for b in range(min(2, len(batch.frames))):
            picture = batch.picture[b : b + 1]
            alpha = drawn.alpha[b].float().expand(-1, 3, -1, -1) * 2 - 1
            shown = (batch.frames[b], drawn.frames[b].float(), alpha)
            rows.extend(torch.cat([picture, x])[:9] for x in shown)
        write_sheet(rows, folder / f"{step:07d}.png")

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Network ``video``."""
        header = {
            "method": self.name,
            "size": self.packed.size,
            "networks": {"video": self.arguments},
            "project": self.config.project,
            **trained(history, self.packed, loss=self.config.loss),
            "parents": {"space": self.space_hash},
        }
        save_checkpoint(path, header, {"video": network})


def build(run: StageRun[LandmarkVideoConfig]) -> LandmarkVideoStage:
    """The stage ``landmark-video``."""
    corpus = LandmarkCorpus(run.corpus, run.made("landmarks"))
    return LandmarkVideoStage(run.config, corpus, load_checkpoint(run.made("landmark-space")))
