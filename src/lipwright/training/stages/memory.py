"""Stage ``memory``: the Audio-Lip Memory method, all of it at once.

Park et al. (AAAI 2022). Every step draws two images of each target frame,

    I_g = G(f_lip_key (+) f_aud, f_I)   from what audio recalls (all there is at inference),
    I_G = G(f_lip (+) f_aud, f_I)       from the true lip feature, which trains the lip encoder,

and the losses are, weighted: reconstruction of both, store, align (KL of the audio's address from
the lips'), audio-visual sync by the frozen expert of stage ``memory-expert``, visual-visual sync by
the lip encoder, and a quality discriminator. They come on one after another (``start``): first
reconstruction, store and align; then visual-visual sync; then the expert, once the drawn mouths
convince it halfway (Wav2Lip's gate); the discriminator last.

Sync losses need five consecutive drawn frames; on the other steps as many single frames of more
people are drawn. What is ours and off in the paper's configuration: whole stretches of speech are
encoded at once, further lip windows fill the memory (``stretch``, ``more``), and linear probes must
predict the lip motion from lip features, recalled and true, and from audio features (``motion``,
``correlation``); features first learn the motion of lips alone, and the memory begins with clusters
of them (``lips_first``, :mod:`~lipwright.training.stages.memory_start`).
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipwright.data.augment import NONE
from lipwright.data.codes import lip_motions
from lipwright.data.encoded_speech import EncodedSpeech, rows_about
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.data.talking import TalkingBatch, TalkingClips
from lipwright.errors import LipwrightError
from lipwright.media.mel import SILENCE, AudioSpec
from lipwright.models.memory import effective_slots, sharpness
from lipwright.models.memory_lips import LipEncoder
from lipwright.models.memory_mover import ReferenceMover
from lipwright.models.memory_talker import MemoryTalker
from lipwright.models.pixel_discriminators import QualityDiscriminator
from lipwright.training.frozen_expert import frozen_expert
from lipwright.training.losses.memory_align import align_loss
from lipwright.training.losses.memory_store import store_loss
from lipwright.training.losses.memory_usage import entropy_loss, usage_loss
from lipwright.training.losses.quality_adversarial import adversarial_loss, discriminator_loss
from lipwright.training.losses.reconstruction import mouth_weight_map, weighted_l1
from lipwright.training.pictures import write_sheet
from lipwright.training.speech_encoding import encode_with_whisper
from lipwright.training.speech_jitter import vary_speech
from lipwright.training.stages.memory_config import MemoryConfig
from lipwright.training.stages.memory_network import Made, TrainedMemory
from lipwright.training.stages.memory_speech import begin_as_speech_network
from lipwright.training.stages.memory_start import fill_memory
from lipwright.training.stages.memory_terms import FRAMES, MemoryTerms
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.speech import clip_correlations, fill_embedding
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context
from lipwright.weights.checkpoint import save_checkpoint

FILLING = 24
"""Batches from whose features the memory is filled after ``lips_first``."""


class MemoryStage:
    """Trains a :class:`~lipwright.models.memory_talker.MemoryTalker` with its lip encoder."""

    name = "memory"

    def __init__(
        self,
        config: MemoryConfig,
        corpus: PackedCorpus,
        expert: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        self.config, self.corpus = config, corpus
        self.run, self.optimiser = config.run, config.optimiser
        torch.manual_seed(config.run.seed)
        self.arguments: dict[str, Any] = {"size": corpus.size, **config.model}
        self.space, self.motion = lip_motions(corpus, config.lip_dim)
        talker = MemoryTalker(**self.arguments)
        fill_embedding(talker)
        if config.audio_from:
            _begin_audio(talker, config.audio_from)
        if talker.mover is not None:
            _check_mover(config, talker.mover)
            talker.mover.space.load_state_dict(self.space.state_dict())
        dim = talker.memory.value.shape[1]
        self.lip_arguments = {"size": corpus.size, "dim": dim, **config.lips}
        loss = config.loss
        self.network: nn.Module = TrainedMemory(
            talker, LipEncoder(**self.lip_arguments), dim, config.lip_dim, loss.motion > 0
        )
        self.audio = AudioSpec(talker.audio.steps, talker.audio.before)
        self.encoded = self._encoded(talker, folder)
        self.discriminator: nn.Module | None = None
        if loss.discriminator > 0:
            self.discriminator = QualityDiscriminator(**config.discriminator)
        self.expert, self.expert_sha = frozen_expert(expert, loss.least_accuracy)
        self.terms = MemoryTerms(loss, corpus.size, self.expert)
        self.jitter = replace(NONE, **config.jitter)
        self.clips = self._clips("train", config.stretch, config.more, config.balance)
        self.first_clips = self._clips("train", config.stretch, config.first_more, config.balance)
        self.held_out = self._clips("val", FRAMES, 2, 1.0)
        self._last: tuple[Tensor, Tensor] | None = None

    def _clips(self, split: str, stretch: int, more: int, balance: float) -> TalkingClips:
        c = self.config
        return TalkingClips(
            *(self.corpus, split, self.motion, self.audio, stretch, more, c.min_distance, balance),
            encoded=self.encoded,
            context=self._context,
        )

    def _encoded(self, talker: MemoryTalker, folder: Path | None) -> EncodedSpeech | None:
        """Features of the frozen speech encoder that the talker hears with, if it has one."""
        encoder, self._context = talker.audio.encoder, talker.audio.context
        if encoder is None:
            return None
        if self.config.variation.pace:
            raise LipwrightError("pictures keep their pace: set memory.variation.pace to 0.")
        if self.config.speech_jitter is not None:
            raise LipwrightError(
                "speech_jitter varies mel, which audio.kind=encoder does not hear; leave it out "
                "(memory.variation takes its place)."
            )
        folder = folder or self.corpus.folder / "features"
        return encode_with_whisper(
            self.corpus, encoder, folder, self.config.variants, self.config.variation
        )

    def times(self, step: int) -> int:
        """Frames drawn per stretch in a step: 5 where a sync loss is due, else 1."""
        every = self.config.window_every
        return FRAMES if every and step % every == 0 and self._references_at_windows(step) else 1

    def _references_at_windows(self, step: int) -> bool:
        loss = self.config.loss
        visual = loss.visual > 0 and step >= loss.visual_start
        return visual or self._uses_audio(step)

    def _uses_audio(self, step: int) -> bool:
        assert isinstance(self.network, TrainedMemory)
        due = self.expert is not None and step >= self.config.loss.sync_start
        return due and bool(self.network.sync_on)

    def batch(self, step: int, context: Context) -> TalkingBatch:
        """The batch of a step."""
        c, rng = self.config, context.rng(self.run.seed, step)
        times = self.times(step)
        early = step < c.draw_start
        drawn = 1 if early else max(1, self.run.batch // times)
        clips = self.first_clips if early else self.clips
        batch = clips.draw(rng, self.run.batch, drawn, times, context.device, self.jitter)
        speech, motion, valid = batch.speech, batch.motion, batch.valid
        silent = round(c.silence * self.run.batch)
        if silent:
            quiet = self._silence(speech[:1], rng)
            speech = torch.cat([speech, quiet.repeat(silent, 1, 1)])
            motion = torch.cat([motion, torch.zeros_like(motion[:1]).repeat(silent, 1, 1)])
            valid = torch.cat([valid, torch.ones_like(valid[:1]).repeat(silent, 1)])
        if c.speech_jitter is not None:
            varied = [vary_speech(m.cpu(), rng, c.speech_jitter) for m in speech]
            speech = torch.stack(varied).to(context.device)
        return replace(batch, speech=speech, motion=motion, valid=valid)

    def _silence(self, like: Tensor, rng: np.random.Generator) -> Tensor:
        """(1, C, columns) speech in which nothing is said."""
        if self.encoded is None:
            return torch.full_like(like, SILENCE)
        silence = self.encoded.silence
        first = int(rng.integers(self._context, len(silence) - like.shape[2] - self._context))
        rows = rows_about(silence, first, like.shape[2])
        return torch.from_numpy(rows.T[None].copy()).to(like)

    def _begin_memory(self, context: Context) -> None:
        assert isinstance(self.network, TrainedMemory)
        rng = context.rng(self.run.seed + 1, self.config.lips_first)
        device = context.device
        batches = [self.first_clips.draw(rng, self.run.batch, 1, 1, device) for _ in range(FILLING)]
        fill_memory(self.network, batches, rng)

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch."""
        c = self.config.loss
        if self.config.lips_first and step == self.config.lips_first:
            self._begin_memory(context)
        if self.config.lips_frozen:
            assert isinstance(self.network, TrainedMemory)
            learns = step < self.config.lips_first
            self.network.lips.requires_grad_(learns).train(learns)
        batch = self.batch(step, context)
        draws = step >= self.config.draw_start
        with context.autocast():
            made: Made = network(batch, draws)
        target = batch.target.flatten(0, 1)
        out: dict[str, Tensor] = {}
        total = torch.zeros((), device=target.device)
        if draws:
            out = self.terms.reconstruction(made, target, context)
            total = c.recalled * out["recalled"] + c.teacher_forced * out["teacher_forced"]
        if step >= self.config.lips_first:
            out["store"] = store_loss(made.stored.recalled, made.stored.target)
            out["align"] = align_loss(made.stored.address, made.audio_embedding)
            total = total + c.store * out["store"] + c.align * out["align"]
            if c.usage > 0:
                out["usage"] = usage_loss(made.stored.used) + usage_loss(made.audio_embedding)
                total = total + c.usage * out["usage"]
            if c.entropy > 0:
                out["entropy"] = entropy_loss(made.stored.used) + entropy_loss(made.audio_embedding)
                total = total + c.entropy * out["entropy"]
        if c.motion > 0 or c.correlation > 0:
            out |= self.terms.motion(made, batch)
            motion, correlation = out["motion_heard"] + out["read"], out["correlation_heard"]
            if step >= self.config.lips_first:  # before that, what is recalled means nothing
                motion = motion + out["motion"]
                correlation = correlation + out["correlation"]
            total = total + c.motion * motion + c.correlation * correlation
        if draws and batch.drawn_frames.shape[1] == FRAMES:
            if c.visual > 0 and step >= c.visual_start:
                out["visual"] = self.terms.visual(self.network, made, batch, context)
                total = total + c.visual * out["visual"]
            if self._uses_audio(step):
                out["sync"] = self.terms.sync(made.recalled, batch, context)
                out["sync"] = out["sync"] + self.terms.sync(made.teacher_forced, batch, context)
                total = total + c.sync * out["sync"]
        if draws and self.discriminator is not None and step >= c.discriminator_start:
            drawn = torch.cat([made.recalled, made.teacher_forced]).float()
            out["adversarial"] = adversarial_loss(self.discriminator(drawn * 0.5 + 0.5))
            total = total + c.discriminator * out["adversarial"]
            self._last = target, drawn.detach()
        out["loss"] = total
        return out

    def discriminator_step(
        self, discriminator: nn.Module, step: int, context: Context
    ) -> Tensor | None:
        """Loss of the discriminator on the batch just drawn."""
        if self._last is None:
            return None
        real, drawn = self._last
        self._last = None
        return discriminator_loss(discriminator(real * 0.5 + 0.5), discriminator(drawn * 0.5 + 0.5))

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """On validation identities: pictures beside copies of the reference, memory, timing."""
        assert isinstance(network, TrainedMemory)
        rng = np.random.default_rng(7)
        weight = self.terms.weight.to(context.device)
        box = mouth_weight_map(self.corpus.size, 2.0, context.device) > 1.0
        sums: dict[str, list[float]] = {}
        audio_embedding, stored = [], []
        for _ in range(self.run.validate_batches):
            batch = self.held_out.draw(rng, 4, 4, FRAMES, context.device)
            with context.autocast():
                made: Made = network(batch)
            target = batch.target.flatten(0, 1)
            copy = batch.reference.repeat_interleave(FRAMES, 0)
            values = {
                "store": store_loss(made.stored.recalled, made.stored.target),
                "align": align_loss(made.stored.address, made.audio_embedding),
            }
            images = {
                "recalled": made.recalled.float(),
                "teacher_forced": made.teacher_forced.float(),
                "copy": copy,
            }
            for name, image in images.items():
                values[f"{name}_l1"] = weighted_l1(image, target, weight)
                error = (0.5 * (image - target)).square() * box
                power = error.sum(dim=(1, 2, 3)) / (3.0 * box.sum())
                values[f"{name}_mouth_psnr"] = (-10 * power.clamp_min(1e-8).log10()).mean()
            values["visual"] = self.terms.visual(network, made, batch, context)
            if self.expert is not None:
                values["sync_loss"] = self.terms.sync(made.recalled, batch, context)
            audio_embedding.append(made.audio_embedding)
            stored.append(made.stored.address)
            for key, value in values.items():
                sums.setdefault(key, []).append(float(value))
        out = {key: float(np.mean(v)) for key, v in sums.items()}
        audio, lips = torch.cat(audio_embedding), torch.cat(stored)
        out["agreement"] = float((audio.argmax(-1) == lips.argmax(-1)).float().mean())
        for name, addresses in (("audio", audio), ("lips", lips)):
            out[f"slots_{name}"] = effective_slots(addresses)
            out[f"mixed_{name}"] = sharpness(addresses)
        out |= self._timing(network, context)
        if out.get("sync_loss", 9.0) < self.config.loss.sync_gate:
            assert isinstance(self.network, TrainedMemory)
            self.network.sync_on.fill_(True)
        return out

    def _timing(self, network: TrainedMemory, context: Context) -> dict[str, float]:
        """Correlation over whole clips of the motion read off what audio recalls with the real."""
        if self.config.loss.motion <= 0 and self.config.loss.correlation <= 0:
            return {}  # the probe was not trained
        each: dict[str, list[Any]] = {"": [], "_heard": []}
        for row in self.corpus.split("val"):
            speech = self._whole(row)[None].to(context.device)
            with context.autocast():
                features = network.talker.audio.sequence(speech)
                predicted = network.reader(network.talker.recall(features)[0])[0]
                guessed = network.ear(features)[0]
            real = self.motion[row.start : row.start + row.frames]
            for name, motion in (("", predicted), ("_heard", guessed)):
                each[name].append(clip_correlations(motion.float().cpu().numpy(), real))
        out = {}
        for name, rows in each.items():
            table = np.array(rows)
            out["opening_correlation" + name] = float(np.nanmean(table[:, 0]))
            out["shape_correlation" + name] = float(np.nanmean(table[:, 1:]))
        return out

    def _whole(self, row: ClipRow) -> Tensor:
        """(80 or C, columns) speech of a clip, as the audio encoder wants it."""
        if self.encoded is not None:
            features, _ = self.encoded.of(row)
            context = self._context
            return torch.from_numpy(rows_about(features, -context, row.frames + 2 * context).T)
        return self.corpus.heard(row, self.audio, 0, row.frames)

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """Reference, real frame, I_g and I_G of validation identities."""
        batch = self.held_out.draw(np.random.default_rng(7), 8, 8, 1, context.device)
        network.eval()
        with torch.no_grad(), context.autocast():
            made: Made = network(batch)
        rows = [
            batch.reference,
            batch.target[:, 0],
            made.recalled.float(),
            made.teacher_forced.float(),
        ]
        write_sheet(rows, folder / f"{step:07d}.png")

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """``talker`` is what dubbing loads; ``lips`` and ``reader`` serve analysis."""
        assert isinstance(network, TrainedMemory)
        header = {
            "method": self.name,
            "size": self.corpus.size,
            "audio": asdict(self.audio) | {"features": network.talker.audio.features},
            "articulation": self.config.articulation,
            "networks": {
                "talker": self.arguments,
                "lips": self.lip_arguments,
                "reader": {"motions": self.config.lip_dim},
            },
            **trained(history, self.corpus, loss=self.config.loss, sync_on=bool(network.sync_on)),
            "parents": {"expert": self.expert_sha} if self.expert_sha else {},
        }
        parts = {"talker": network.talker, "lips": network.lips, "reader": network.reader}
        save_checkpoint(path, header, parts)


def needs(config: MemoryConfig) -> tuple[str, ...]:
    """The expert, if its loss is on."""
    return ("memory-expert",) if config.loss.sync > 0 else ()


def build(run: StageRun[MemoryConfig]) -> MemoryStage:
    """The stage ``memory``."""
    expert = run.expert("memory-expert", run.config.loss.sync)
    return MemoryStage(run.config, run.corpus, expert, run.folder / "features")


def _begin_audio(talker: MemoryTalker, source: str) -> None:
    """Raises: LipwrightError: the audio encoder does not stand on a speech encoder."""
    if talker.audio.encoder is None:
        raise LipwrightError("audio_from needs model.audio.kind: encoder; set it, or leave it out.")
    begin_as_speech_network(talker.audio.encoder, source)


def _check_mover(config: MemoryConfig, mover: ReferenceMover) -> None:
    """Raises: LipwrightError: the settings leave the mover without a teacher, or misplace lips."""
    if config.loss.motion <= 0:
        raise LipwrightError(
            "model.move follows the lip motion that a linear probe predicts: set loss.motion > 0."
        )
    if mover.reader.out_features != config.lip_dim:
        raise LipwrightError("model.move.motions and lip_dim must be equal.")
    if any(config.jitter.get(name, 0.0) for name in ("shift", "scale", "turn", "flip")):
        raise LipwrightError(
            "model.move needs lips where the corpus says they are: set jitter.shift, scale, turn "
            "and flip to 0."
        )
