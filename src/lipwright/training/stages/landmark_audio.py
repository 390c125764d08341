"""Stage ``landmark-audio``: AT-net.

Chen et al. (CVPR 2019): sequences of 16 frames, the example is the frame just before, mean squared
error of the coefficients. What the configuration can add, and the paper does not have: leveling the
coefficients by their variance, the correlation over the sequence (a squared error alone rewards
small movements in doubt), mirrored faces, other voices and rooms, and leaving the example out now
and then, so that a picture alone (of which only the neutral shape is known) is enough.
"""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lipwright.data.clip_windows import ClipWindows
from lipwright.data.encoded_speech import EncodedSpeech, rows_about
from lipwright.data.landmarks import LandmarkCorpus
from lipwright.data.packed import ClipRow
from lipwright.data.vary_speech import SpeechVariation
from lipwright.errors import LipwrightError
from lipwright.faces.points68 import MOUTH, opening_68
from lipwright.media.features import audio_spec
from lipwright.media.mel import MODEL_FPS, STEPS_PER_FRAME, AudioSpec, windows
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.landmark_audio import LandmarkAudio
from lipwright.models.landmark_space import MIRROR, LandmarkSpace
from lipwright.models.speech_embedding import FIELD
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.losses.coefficients import coefficient_loss
from lipwright.training.losses.motion import correlation_loss
from lipwright.training.speech_encoding import encode_with_whisper
from lipwright.training.speech_jitter import SpeechJitter, vary_speech
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.speech import fill_embedding
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context, Stage
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

PREDICTED = 0.02
"""Share of a coefficient's variance that speech must predict, on validation identities, for it to
be driven by speech."""


class LandmarkAudioConfig(Section):
    """Config of the stage.

    Attributes:
        model: arguments of AT-net.
        audio: which columns belong to a frame; 28 from 12 before are those of the published code.
        sequence: frames.
        level: weigh every coefficient by 1 over its variance; the paper does not.
        example_dropout: probability that the example's coefficients are zero; 0 in the paper.
        flip: probability of a mirrored face.
        correlation: weight of one minus the correlation of every coefficient over the sequence.
        jitter: how the mel is varied; None as it is, as MFCC always are.
        balance: 0: every frame counts alike; 1: every identity.
        smooth: half-width of a moving mean over the landmarks' noise, in frames.
        variants: varied copies of the speech, with ``features: whisper``.
        variation: how far they are varied; pace has to stay.
        gain: factor of each coefficient at inference; default ones. The published test script uses
            2 * (1.2, 1.4, 1.6, 1.8, 2.0) for the second to the sixth.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    audio: dict[str, int] = Field(default_factory=lambda: {"steps": 28, "before": 12})
    sequence: int = 16
    level: bool = False
    example_dropout: float = 0.0
    flip: float = 0.0
    correlation: float = 0.0
    jitter: SpeechJitter | None = None
    balance: float = 0.5
    smooth: int = 0
    variants: int = 2
    variation: SpeechVariation = SpeechVariation(pace=0.0)
    gain: list[float] | None = None
    optimiser: OptimiserConfig = OptimiserConfig(
        name="adam", lr=2e-4, betas=(0.5, 0.999), schedule="constant"
    )
    run: RunConfig = RunConfig()


class LandmarkAudioStage(Stage):
    """Trains :class:`~lipwright.models.landmark_audio.LandmarkAudio`."""

    name = "landmark-audio"

    def __init__(
        self,
        config: LandmarkAudioConfig,
        corpus: LandmarkCorpus,
        space: Checkpoint,
        folder: Path | None = None,
    ) -> None:
        self.config, self.run, self.optimiser = config, config.run, config.optimiser
        self.corpus = corpus
        self.space_hash = space.sha256
        self.space = load_space(space)
        k = self.space.components
        self.arguments = {"components": k, "steps": config.audio["steps"], **config.model}
        if config.gain is not None and len(config.gain) != k:
            raise LipwrightError(f"landmark-audio.gain needs {k} numbers, one per coefficient.")
        if config.jitter is not None and config.jitter.tempo:
            raise LipwrightError(
                "landmark-audio.jitter.pace is not there for landmarks; leave it out."
            )
        torch.manual_seed(config.run.seed)
        network = LandmarkAudio(**self.arguments)
        fill_embedding(network)
        self.encoded = self._encoded(network.encoded, folder)
        self.network: nn.Module = network
        self.features, self.embedding = network.features, network.embedding
        window = config.audio if network.encoded is None else {"steps": 1, "before": 0}
        self.audio = audio_spec(self.features, **window)
        self.windows = ClipWindows(
            corpus.split("train"), config.sequence, before=1, balance=config.balance
        )
        self._clips: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        self.weight = self.space.deviation.square().reciprocal() if config.level else None
        self._measures: dict[str, float] = {}

    def _encoded(self, network: EncoderToLips | None, folder: Path | None) -> EncodedSpeech | None:
        """Features of the frozen speech encoder below AT-net, if it has one."""
        if network is None:
            return None
        if self.config.variation.pace:
            raise LipwrightError("landmarks keep their pace: set landmark-audio.variation.pace=0.")
        self.context = network.layers
        folder = folder or self.corpus.packed.folder / "features"
        return encode_with_whisper(
            self.corpus.packed, network, folder, self.config.variants, self.config.variation
        )

    def clip(self, row: ClipRow) -> tuple[Tensor, Tensor, Tensor]:
        """Coefficients (T, K) of a clip, those of its mirror image, and its sound (C, columns)."""
        if row.clip not in self._clips:
            points = torch.from_numpy(self.corpus.clip_points(row))
            made = []
            for face in (points, points[:, list(MIRROR)] * points.new_tensor([-1.0, 1.0])):
                shape, _ = self.space.align(face)
                shape = moving_mean(shape, self.config.smooth)
                made.append(self.space.encode(shape - shape.mean(0)))
            sound = torch.zeros(0)
            if self.encoded is None:
                sound = torch.from_numpy(self.corpus.clip_sound(row, self.features))
            self._clips[row.clip] = made[0], made[1], sound
        return self._clips[row.clip]

    def sound(self, sound: Tensor, start: int, count: int) -> Tensor:
        """(count, C, steps) windows of consecutive frames."""
        times = [Fraction(n, MODEL_FPS) for n in range(start, start + count)]
        return windows(sound, times, self.audio)

    def speech_features(self, row: ClipRow, start: int, count: int, variant: int = 0) -> Tensor:
        """(C, count + 2 layers) features of the speech encoder for consecutive frames."""
        assert self.encoded is not None
        features, _ = self.encoded.of(row, variant)
        rows = rows_about(features, start - self.context, count + 2 * self.context)
        return torch.from_numpy(rows.T)

    def known(self, sound: Tensor, start: int, count: int) -> Tensor | None:
        """(count, 576) of the speech embedding for consecutive frames, where AT-net has one."""
        if self.embedding is None:
            return None
        before = self.audio.before - (self.audio.steps - FIELD) // 2
        stretch = AudioSpec(FIELD + STEPS_PER_FRAME * (count - 1), before)
        mel = windows(sound, [Fraction(start, MODEL_FPS)], stretch)
        with torch.no_grad():
            features: Tensor = self.embedding(mel.to(self.embedding.scale.device))
        return features[0].T

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Squared error on one batch of sequences."""
        rng = context.rng(self.run.seed, step)
        config, batch = self.config, self.run.batch
        examples, sounds, targets, known = [], [], [], []
        for window in self.windows.draw(rng, batch):
            plain, mirrored, sound = self.clip(window.row)
            h = mirrored if rng.random() < config.flip else plain
            start = window.first
            keep = float(rng.random() >= config.example_dropout)
            examples.append(h[start - 1] * keep)
            targets.append(h[start : start + config.sequence])
            if self.encoded is not None:
                variant = int(rng.integers(len(self.encoded.arrays)))
                sounds.append(self.speech_features(window.row, start, config.sequence, variant))
                continue
            if config.jitter is not None and self.features == "mel":
                sound = vary_speech(sound, rng, config.jitter)
            sounds.append(self.sound(sound, start, config.sequence))
            features = self.known(sound, start, config.sequence)
            if features is not None:
                known.append(features)
        device = context.device
        with context.autocast():
            found, _ = network(
                torch.stack(examples).to(device),
                self.network_input(torch.stack(sounds).to(device)),
                known=torch.stack(known) if known else None,
            )
        weight = None if self.weight is None else self.weight.to(device)
        made, real = found.float(), torch.stack(targets).to(device)
        out = {"coefficients": coefficient_loss(made, real, weight)}
        out["loss"] = out["coefficients"]
        if config.correlation > 0:
            unit = self.space.deviation.to(device)
            there = torch.ones(made.shape[:2], dtype=torch.bool, device=device)
            out["correlation"] = correlation_loss(made / unit, real / unit, there)
            out["loss"] = out["loss"] + config.correlation * out["correlation"]
        return out

    def network_input(self, sound: Tensor) -> Tensor:
        """MFCC come in shifted to mel's silence; the network sees them as they are."""
        return sound + 4.0 if self.features == "mfcc" else sound

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """Whole clips of validation identities, their first frame's coefficients left out."""
        space = self.space
        real, found, plain = [], [], []
        for row in self.corpus.split("val"):
            h, _, sound = self.clip(row)
            if self.encoded is not None:
                part, known = (
                    self.speech_features(row, 0, row.frames)[None].to(context.device),
                    None,
                )
            else:
                part = self.network_input(self.sound(sound, 0, row.frames))[None]
                part = part.to(context.device)
                known = self.known(sound, 0, row.frames)
            example = h.new_zeros(1, space.components).to(context.device)
            made, _ = network(example, part, known=None if known is None else known[None])
            points = torch.from_numpy(self.corpus.clip_points(row))
            shape, _ = space.align(points)
            real.append(shape - shape.mean(0))
            found.append(made[0].float().cpu())
            plain.append(h)
        self._measures = measure(space, real, found, plain, self.corpus.packed.size)
        return self._measures

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Network ``audio``; the header says which coefficients speech drives, and their gain."""
        k = self.space.components
        predicted = [self._measures.get(f"told_{i}", 1.0) > PREDICTED for i in range(k)]
        header = {
            "method": self.name,
            "size": self.corpus.packed.size,
            "networks": {"audio": self.arguments},
            "audio": asdict(self.audio) | {"features": self.features},
            "gain": self.config.gain or [1.0] * k,
            "spoken": predicted if any(predicted) else [True] * k,
            **trained(history, self.corpus.packed),
            "parents": {"space": self.space_hash},
        }
        save_checkpoint(path, header, {"audio": network})


def load_space(checkpoint: Checkpoint) -> LandmarkSpace:
    """The landmark space of a checkpoint."""
    return checkpoint.build("space", LandmarkSpace)


def moving_mean(shape: Tensor, radius: int) -> Tensor:
    """Mean over 2 radius + 1 frames of (T, 68, 2), fewer at the ends."""
    if radius <= 0 or len(shape) < 2:
        return shape
    kernel = torch.ones(1, 1, 2 * radius + 1, dtype=shape.dtype)
    flat = shape.flatten(1).T[:, None]
    total = torch.nn.functional.conv1d(flat, kernel, padding=radius)
    count = torch.nn.functional.conv1d(torch.ones_like(flat[:1]), kernel, padding=radius)
    return (total / count)[:, 0].T.reshape(shape.shape)


@torch.no_grad()
def measure(
    space: LandmarkSpace,
    real: list[Tensor],
    found: list[Tensor],
    coefficients: list[Tensor],
    size: int,
) -> dict[str, float]:
    """How near the predicted landmarks are, beside the clip's mean shape that does not move.

    Args:
        space: the landmark space.
        real: motion (T, 68, 2) of each clip about its mean.
        found: predicted coefficients (T, K).
        coefficients: real ones.
        size: side of the crop, for errors in pixels.

    Returns:
        ``mouth`` and ``all``: mean distance of points in pixels, the same of the mean shape, and by
        how much the prediction is nearer; ``opening``: correlation of the gap between the lips,
        over all frames, each clip about its mean; ``opening_clip``: mean correlation inside a clip;
        ``opening_spread``: how far the lips part, made over real;
        ``told_k``: share of coefficient k's variance that is predicted; ``mouth_driven``: as
        ``mouth``, with the coefficients that speech does not drive (see :data:`PREDICTED`) as they
        really are, as a dub takes them from the frame, for the prediction and for the mean shape.
    """
    out: dict[str, float] = {}
    motion, made = torch.cat(real), torch.cat([space.decode(h) for h in found])
    for name, part in (("mouth", MOUTH), ("all", slice(0, 68))):
        error = float((made - motion)[:, part].norm(dim=-1).mean()) * size
        mean = float(motion[:, part].norm(dim=-1).mean()) * size
        out |= {name: error, f"{name}_mean_shape": mean, f"{name}_nearer": 1.0 - error / mean}
    gaps = [
        [_centred(opening_68(m)) for m in (space.decode(h), r)]
        for h, r in zip(found, real, strict=True)
    ]
    out["opening"] = _correlation(*(torch.cat([g[i] for g in gaps]) for i in (0, 1)))
    real_gap, made_gap = (torch.cat([g[i] for g in gaps]).std() for i in (1, 0))
    out["opening_spread"] = float(made_gap / real_gap.clamp_min(1e-12))
    out["opening_clip"] = float(np.mean([_correlation(a, b) for a, b in gaps]))
    h, g = torch.cat(coefficients), torch.cat([_centred(f) for f in found])
    predicted = 1.0 - (h - g).square().mean(0) / h.square().mean(0).clamp_min(1e-12)
    driven = predicted > PREDICTED
    if bool(driven.any()):
        mouths = []
        for made_h in (torch.cat(found), torch.zeros_like(h)):
            points = space.decode(torch.where(driven, made_h, h)) - motion
            mouths.append(float(points[:, MOUTH].norm(dim=-1).mean()) * size)
        out |= {"mouth_driven": mouths[0], "mouth_driven_mean_shape": mouths[1]}
        out["mouth_driven_nearer"] = 1.0 - mouths[0] / mouths[1]
    return out | {f"told_{k}": float(v) for k, v in enumerate(predicted)}


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(0)


def _correlation(a: Tensor, b: Tensor) -> float:
    product = a.square().sum() * b.square().sum()
    return float((a * b).sum() / product.sqrt()) if float(product) > 0 else 0.0


def build(run: StageRun[LandmarkAudioConfig]) -> LandmarkAudioStage:
    """The stage ``landmark-audio``."""
    corpus = LandmarkCorpus(run.corpus, run.made("landmarks"))
    space = load_checkpoint(run.made("landmark-space"))
    return LandmarkAudioStage(run.config, corpus, space, run.folder / "features")
