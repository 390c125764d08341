"""The loss terms of stage ``memory`` that see what was drawn or predicted."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.data.talking import TalkingBatch
from lipwright.face_regions import MOUTH_BOX, cut_box, lower_half
from lipwright.models.pixel_expert import PixelExpert
from lipwright.training.losses.audio_visual import audio_visual_loss
from lipwright.training.losses.motion import correlation_loss, motion_loss
from lipwright.training.losses.perceptual import build_perceptual
from lipwright.training.losses.reconstruction import gradient_l1, mouth_weight_map, weighted_l1
from lipwright.training.losses.visual_visual import visual_visual_loss
from lipwright.training.stages.memory_config import MemoryLossConfig
from lipwright.training.stages.memory_network import Made, TrainedMemory, at_frames
from lipwright.training.trainer import Context

FRAMES = 5
"""Consecutive frames that the sync losses see."""


class MemoryTerms:
    """Reconstruction, motion and both sync terms.

    Args:
        loss: weights and kinds of the terms.
        size: side of the crop in pixels.
        expert: of the audio-visual term, if it is on.
    """

    def __init__(self, loss: MemoryLossConfig, size: int, expert: PixelExpert | None) -> None:
        self.loss, self.expert = loss, expert
        self.weight = mouth_weight_map(size, loss.mouth_weight)
        self.perceptual = build_perceptual(loss.perceptual)

    def reconstruction(self, made: Made, target: Tensor, context: Context) -> dict[str, Tensor]:
        """Of both images against the target (N, 3, S, S)."""
        weight = self.weight.to(target.device)
        out = {}
        for name, image in (
            ("recalled", made.recalled.float()),
            ("teacher_forced", made.teacher_forced.float()),
        ):
            out[name] = weighted_l1(image, target, weight)
            if self.loss.gradient > 0:
                edges = gradient_l1(image, target, weight)
                out[name] = out[name] + self.loss.gradient * edges
            if self.perceptual is not None:
                perceptual = self.perceptual.to(target.device)
                with context.autocast():
                    seen = perceptual(cut_box(image, MOUTH_BOX), cut_box(target, MOUTH_BOX))
                out[name] = out[name] + self.loss.perceptual_weight * seen
        return out

    def motion(self, made: Made, batch: TalkingBatch) -> dict[str, Tensor]:
        """Errors and correlations of the lip motions that the linear probes predict."""
        predicted, guessed = made.predicted.float(), made.guessed.float()
        real = torch.cat(
            [at_frames(batch.motion, batch.drawn_frames), at_frames(batch.motion, batch.lip_frames)]
        )
        out = {}
        for name, motion in (("", predicted), ("_heard", guessed)):
            errors = motion_loss(motion, batch.motion, batch.valid)
            out["motion" + name] = errors[0] + errors[1]
            out["correlation" + name] = correlation_loss(motion, batch.motion, batch.valid)
        return {**out, "read": (made.seen.float() - real).square().mean()}

    def visual(
        self, network: nn.Module, made: Made, batch: TalkingBatch, context: Context
    ) -> Tensor:
        """Visual-visual sync by the lip encoder of the network, of both images."""
        assert isinstance(network, TrainedMemory)
        shape = batch.target.shape
        true = made.lips.reshape(*shape[:2], -1)[:, FRAMES // 2]
        total = torch.zeros((), device=true.device)
        for image in (made.recalled, made.teacher_forced):
            with context.autocast():
                loss = visual_visual_loss(network.lips, image.reshape(shape), true)
            total = total + loss
        return total

    def sync(self, drawn: Tensor, batch: TalkingBatch, context: Context) -> Tensor:
        """Audio-visual sync by the expert, of drawn faces (N, 3, S, S)."""
        assert self.expert is not None
        expert = self.expert.to(context.device)
        x = drawn.float() * 0.5 + 0.5
        if x.shape[-1] != expert.size:
            size = (expert.size, expert.size)
            x = F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
        windows = lower_half(x.reshape(*batch.drawn_frames.shape, *x.shape[1:]))
        with context.autocast():
            cosine = expert(windows, batch.long_mel)
        return audio_visual_loss(cosine)
