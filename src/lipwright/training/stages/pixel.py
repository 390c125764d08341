"""Stages ``wav2lip``, ``lipgan`` and ``speech2vid``: the pixel baselines, in the one trainer.

* ``wav2lip`` (Prajwal et al., ACM MM 2020): windows of five frames; L1, a frozen pixel expert with
  weight 0.03 once the *validation* sync loss is below 0.75, optionally a quality discriminator
  (0.07). The frozen expert is in eval mode (the published script forgets that).
* ``lipgan`` (KR et al., ACM MM 2019): single frames, reference at least six frames away; L1 and
  0.01 of the contrastive loss of a joint discriminator, which learns from synced pairs and, by
  turns, from fakes and mis-paired speech.
* ``speech2vid`` (Chung et al., BMVC 2017): five stills of the person, single frames, L1.

All hear the mel at 100 columns a second, a deviation that keeps comparisons fair.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.data.augment import Jitter
from lipwright.data.clip_windows import ClipWindow, ReferenceRule
from lipwright.data.encoded_speech import EncodedSpeech
from lipwright.data.packed import PackedCorpus
from lipwright.data.pixels import PixelBatch, PixelWindows
from lipwright.data.vary_speech import SpeechVariation
from lipwright.errors import LipwrightError
from lipwright.face_regions import lower_half
from lipwright.media.mel import AudioSpec
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.pixel_discriminators import JointDiscriminator, QualityDiscriminator
from lipwright.models.pixel_unet import STILLS, PixelUNet, stack_input
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.frozen_expert import frozen_expert
from lipwright.training.lips_first import LipsFirst, SpeechLips
from lipwright.training.losses.audio_visual import audio_visual_loss
from lipwright.training.losses.contrastive import contrastive
from lipwright.training.losses.quality_adversarial import adversarial_loss, discriminator_loss
from lipwright.training.losses.reconstruction import mouth_weight_map, weighted_l1
from lipwright.training.pictures import write_sheet
from lipwright.training.speech_encoding import encode_with_whisper
from lipwright.training.speech_jitter import SpeechJitter, vary_speech
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import save_checkpoint

Kind = Literal["wav2lip", "lipgan", "speech2vid"]
KINDS: dict[str, Kind] = {"wav2lip": "wav2lip", "lipgan": "lipgan", "speech2vid": "speech2vid"}


class PixelLossConfig(Section):
    """Weights of the losses; L1 gets what the others leave of 1 (Wav2Lip's convex sum).

    Attributes:
        sync: of the frozen expert, ``wav2lip`` only.
        sync_gate: validation sync loss below which it comes on.
        discriminator: of the quality discriminator (wav2lip) or the joint discriminator (lipgan).
        mouth_weight: of the mouth box in L1; 1 is the published plain L1.
    """

    sync: float = 0.0
    sync_gate: float = 0.75
    discriminator: float = 0.0
    mouth_weight: float = 1.0


class PixelConfig(Section):
    """Config of a pixel baseline.

    Attributes:
        min_distance: in frames from a target to a reference.
        lips: ours; how the speech encoder learns what lips do, see :class:`SpeechLips`. Speech is
            then varied by its ``jitter`` (with ``encoder`` by its variants).
        lip_dim: numbers of a lip motion.
        encoder: ours; arguments of a network on top of a frozen speech encoder, which then hears in
            the place of the published one.
        variants: varied copies of the speech, with ``encoder``.
        variation: how far they are varied; pace has to stay.
    """

    size: int = 96
    width: float = 1.0
    window: int = 5
    audio: dict[str, int] = Field(default_factory=dict)
    loss: PixelLossConfig = PixelLossConfig()
    optimiser: OptimiserConfig = OptimiserConfig(name="adam", lr=1e-4, schedule="constant")
    run: RunConfig = RunConfig(batch=16)
    min_distance: int = 6
    balance: float = 0.5
    jitter: dict[str, float] = Field(default_factory=dict)
    lips: SpeechLips = SpeechLips()
    lip_dim: int = Field(default=8, ge=1)
    encoder: dict[str, Any] | None = None
    variants: int = Field(default=2, ge=0)
    variation: SpeechVariation = SpeechVariation(pace=0.0)


class Gated(nn.Module):
    """The generator with the switch of its sync loss, which a resumed run must remember.

    Args:
        generator: what is trained.
        lips: numbers of a lip motion that a linear layer, left out of the checkpoint, predicts from
            the speech vector; 0 for none.
    """

    sync_on: Tensor

    def __init__(self, generator: PixelUNet, lips: int = 0) -> None:
        super().__init__()
        self.generator = generator
        self.motion_head = nn.Linear(generator.dim, lips) if lips else None
        self.register_buffer("sync_on", torch.tensor(False))

    def forward(self, pictures: Tensor | None, mel: Tensor) -> Tensor:
        """The generator's picture; without pictures the lip motions (B, K) that speech tells."""
        if pictures is None:
            assert self.motion_head is not None
            motions: Tensor = self.motion_head(self.generator.encode_speech(mel).flatten(1))
            return motions
        out: Tensor = self.generator(pictures, mel)
        return out


class PixelStage:
    """Trains :class:`~lipwright.models.pixel_unet.PixelUNet` as one of the baselines."""

    def __init__(
        self,
        kind: Kind,
        config: PixelConfig,
        corpus: PackedCorpus,
        expert: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name: str = kind
        self.kind: Kind = kind
        self.config, self.corpus = config, corpus
        self.run, self.optimiser = config.run, config.optimiser
        self.audio = AudioSpec(1, 0) if config.encoder is not None else AudioSpec(**config.audio)
        faces = STILLS if kind == "speech2vid" else 2
        self.arguments: dict[str, Any] = {
            "size": config.size,
            "faces": faces,
            "steps": self.audio.steps,
            "width": config.width,
        }
        if config.encoder is not None:
            self.arguments["encoder"] = config.encoder
        if kind != "wav2lip" and (config.window != 1 or config.loss.sync > 0):
            raise LipwrightError(f"{kind} trains on single frames without expert: set window=1.")
        torch.manual_seed(config.run.seed)
        network = PixelUNet(**self.arguments)
        self.encoded = self._encoded(network.encoded, folder)
        self.gated = Gated(network, config.lip_dim if config.lips.weight > 0 else 0)
        self.network: nn.Module = self.gated
        self.discriminator: nn.Module | None = None
        if config.loss.discriminator > 0:
            if kind == "speech2vid":
                raise LipwrightError("speech2vid has no discriminator: set loss.discriminator=0.")
            self.discriminator = (
                QualityDiscriminator() if kind == "wav2lip" else JointDiscriminator()
            )
        self.expert, self.expert_sha = frozen_expert(expert, sees=(config.size, config.window))
        self.weight = mouth_weight_map(config.size, config.loss.mouth_weight)
        self.jitter = Jitter(**config.jitter)
        self.train_windows = self._windows("train", config.balance)
        self.held_out = self._windows("val", 1.0)
        self.lips = self._lips() if config.lips.weight > 0 else None
        self._last: tuple[PixelBatch, Tensor] | None = None

    def _windows(self, split: str, balance: float) -> PixelWindows:
        c = self.config
        if self.kind == "speech2vid":
            rule = ReferenceRule(STILLS, c.min_distance)
        else:  # a window of references, one for each target
            rule = ReferenceRule(c.window, c.min_distance, order="window")
        return PixelWindows(
            *(self.corpus, split, c.size, c.window, rule, self.audio),
            balance=balance,
            encoded=self.encoded,
            context=self._context,
        )

    def _lips(self) -> LipsFirst:
        c = self.config

        def features(w: ClipWindow, rng: np.random.Generator) -> Tensor:
            return self.train_windows.features(w, rng)[0]

        hear = None if self.encoded is None else features
        return LipsFirst(self.corpus, c.lip_dim, self.audio, c.lips, c.balance, hear)

    def _encoded(self, network: EncoderToLips | None, folder: Path | None) -> EncodedSpeech | None:
        """Features of the frozen speech encoder that the generator hears with, if it has one."""
        self._context = 0
        if network is None:
            return None
        if self.config.variation.pace:
            raise LipwrightError(f"pictures keep their pace: set {self.name}.variation.pace to 0.")
        self._context = network.layers
        folder = folder or self.corpus.folder / "features"
        return encode_with_whisper(
            self.corpus, network, folder, self.config.variants, self.config.variation
        )

    def draw(self, network: nn.Module, batch: PixelBatch) -> Tensor:
        """(B * T, 3, S, S) pictures of a batch, time folded into it."""
        target = batch.target.flatten(0, 1)
        if self.kind == "speech2vid":
            pictures = batch.reference.flatten(1, 2)
        else:
            pictures = stack_input(self.kind, target, batch.reference.flatten(0, 1))
        out: Tensor = network(pictures, batch.mel.flatten(0, 1))
        return out

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch."""
        c = self.config.loss
        rng = context.rng(self.run.seed, step)
        lips = self._lips_error(network, rng, context)
        if lips is not None and step < self.config.lips.first:
            return {"lips": lips, "loss": lips}
        batch = self.train_windows.draw(rng, self.run.batch, context.device, self.jitter)
        if lips is not None and self.encoded is None:
            mel = [varied(m, rng, self.config.lips.jitter) for m in batch.mel]
            batch = replace(batch, mel=torch.stack(mel))
        with context.autocast():
            drawn = self.draw(network, batch)
        drawn = drawn.float()
        target = batch.target.flatten(0, 1)
        out = {"l1": weighted_l1(drawn, target, self.weight.to(context.device))}
        rest, total = 1.0, torch.zeros((), device=context.device)
        if lips is not None:
            out["lips"], total = lips, self.config.lips.weight * lips
        if self.expert is not None and bool(self.gated.sync_on):
            out["sync"] = self._sync(drawn, batch, context)
            total, rest = total + c.sync * out["sync"], rest - c.sync
        if self.discriminator is not None:
            out["adversarial"] = self._adversarial(self.discriminator, drawn, batch)
            total, rest = total + c.discriminator * out["adversarial"], rest - c.discriminator
        out["loss"] = total + rest * out["l1"]
        self._last = (batch, drawn.detach())
        return out

    def _lips_error(
        self, network: nn.Module, rng: np.random.Generator, context: Context
    ) -> Tensor | None:
        """Squared error of the lip motions that speech alone tells, of frames of their own."""
        if self.lips is None:
            return None
        speech, motions = self.lips.draw(rng, context.device)
        with context.autocast():
            predicted = network(None, speech)
        return F.mse_loss(predicted.float(), motions)

    def _sync(self, drawn: Tensor, batch: PixelBatch, context: Context) -> Tensor:
        assert self.expert is not None
        expert = self.expert.to(context.device)
        windows = lower_half(drawn.reshape(batch.target.shape))
        with context.autocast():
            cosine = expert(windows, batch.long_mel)
        return audio_visual_loss(cosine)

    def _adversarial(self, discriminator: nn.Module, drawn: Tensor, batch: PixelBatch) -> Tensor:
        if self.kind == "wav2lip":
            return adversarial_loss(discriminator(drawn))
        return contrastive(discriminator(drawn, batch.mel.flatten(0, 1)), 0.0)

    def discriminator_step(
        self, discriminator: nn.Module, step: int, context: Context
    ) -> Tensor | None:
        """Loss of the discriminator on the batch just drawn."""
        if self._last is None:
            return None
        batch, drawn = self._last
        real, mel = batch.target.flatten(0, 1), batch.mel.flatten(0, 1)
        if self.kind == "wav2lip":
            return discriminator_loss(discriminator(real), discriminator(drawn))
        # By turns fakes and real faces with another's speech, as published.
        if context.rng(self.run.seed + 1, step).random() < 0.5:
            distance = discriminator(drawn, mel)
        else:
            distance = discriminator(real, mel.roll(max(1, len(mel) // 2), 0))
        return contrastive(discriminator(real, mel), 0.0) + contrastive(distance, 1.0)

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """L1 and mouth PSNR on validation identities beside those of copying the reference."""
        rng = np.random.default_rng(7)
        weight = self.weight.to(context.device)
        box = mouth_weight_map(self.config.size, 2.0, context.device) > 1.0
        sums: dict[str, list[float]] = {}
        for _ in range(self.run.validate_batches):
            batch = self.held_out.draw(rng, self.run.batch, context.device)
            with context.autocast():
                drawn = self.draw(network, batch)
            drawn, target = drawn.float(), batch.target.flatten(0, 1)
            copy = batch.reference[:, : batch.target.shape[1]].flatten(0, 1)
            error = ((drawn - target).square() * box).sum(dim=(1, 2, 3)) / (3.0 * box.sum())
            values = {
                "l1": weighted_l1(drawn, target, weight),
                "copy_l1": weighted_l1(copy, target, weight),
                "mouth_psnr": (-10 * error.clamp_min(1e-8).log10()).mean(),
            }
            if self.expert is not None:
                values["sync_loss"] = self._sync(drawn, batch, context)
            for key, value in values.items():
                sums.setdefault(key, []).append(float(value))
        out = {key: float(np.mean(v)) for key, v in sums.items()}
        if out.get("sync_loss", 9.0) < self.config.loss.sync_gate:
            self.gated.sync_on.fill_(True)
        return out

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """Real faces over drawn ones, validation identities."""
        batch = self.held_out.draw(np.random.default_rng(7), 8, context.device)
        network.eval()
        with torch.no_grad(), context.autocast():
            drawn = self.draw(network, batch)
        t = batch.target.shape[1]
        real = batch.target[:, t // 2]
        write_sheet([real * 2 - 1, drawn.float()[t // 2 :: t] * 2 - 1], folder / f"{step:07d}.png")

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Network ``generator``: the file that ``lipwright dub --method`` loads."""
        assert isinstance(network, Gated)
        header = {
            "method": self.kind,
            "size": self.config.size,
            "audio": asdict(self.audio)
            | {"features": "mel" if self.encoded is None else "whisper"},
            "networks": {"generator": self.arguments},
            **trained(
                history, self.corpus, loss=self.config.loss, sync_on=bool(self.gated.sync_on)
            ),
            "parents": {"expert": self.expert_sha} if self.expert_sha else {},
        }
        save_checkpoint(path, header, {"generator": network.generator})


def varied(mel: Tensor, rng: np.random.Generator, jitter: SpeechJitter) -> Tensor:
    """The windows (T, 80, steps) of one example, all in the same other voice and room."""
    count, bands, steps = mel.shape
    flat = vary_speech(mel.transpose(0, 1).reshape(bands, -1), rng, jitter)
    return flat.reshape(bands, count, steps).transpose(0, 1)


def needs(config: PixelConfig) -> tuple[str, ...]:
    """The expert, if its loss is on."""
    return ("pixel-expert",) if config.loss.sync > 0 else ()


def build(run: StageRun[PixelConfig]) -> PixelStage:
    """The stage ``wav2lip``, ``lipgan`` or ``speech2vid``."""
    expert = run.expert("pixel-expert", run.config.loss.sync)
    folder = run.folder / "features"
    return PixelStage(KINDS[run.spec.name], run.config, run.corpus, expert, folder)
