"""Stage ``generator``: lip-sync in code space.

Gupta et al. (WACV 2023, section 3.1): pose code, reference code and 200 ms of speech give the code
grid of the target frame; L1 in code space plus, once its gate has opened, the sync loss of the
frozen expert. ``arch: paper`` is that generator; ``arch: gallery`` (the default) attends to several
reference frames, predicts code indices, and follows a lip motion instead of the speech, see
:mod:`lipwright.models.gallery_generator`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipwright.data.clip_windows import ReferenceRule
from lipwright.data.codes import CodeCorpus, load_vqgan
from lipwright.errors import LipwrightError
from lipwright.face_regions import MOUTH_BOX, cut_box
from lipwright.media.mel import AudioSpec
from lipwright.models.expert import SyncExpert
from lipwright.models.gallery_generator import GalleryGenerator, soft_codes
from lipwright.models.generator import CodeGenerator
from lipwright.training.code_windows import CodeBatch, CodeExample, CodeWindows
from lipwright.training.expert_speech import ExpertSpeech, speech_for
from lipwright.training.lips_first import LipsFirst
from lipwright.training.losses.audio_visual import audio_visual_loss
from lipwright.training.losses.codes import cell_weights, code_cross_entropy, code_l1
from lipwright.training.losses.reconstruction import gradient_l1, mouth_weight_map, weighted_l1
from lipwright.training.pictures import write_sheet
from lipwright.training.stages.generator_config import GeneratorConfig
from lipwright.training.stages.generator_network import (
    CE_ROW,
    TrainedGenerator,
    first_reference,
    mouth_hits,
)
from lipwright.training.stages.kernel import is_kernel, write_kernel
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context, Stage
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint


class GeneratorStage(Stage):
    """Trains a generator on cached codes.

    Args:
        config: see :class:`GeneratorConfig`.
        codes: cached code grids.
        face: the Face-VQGAN's checkpoint (samples, and the pixel term).
        expert: checkpoint of the sync expert, or None to train without.
    """

    name = "generator"

    def __init__(
        self,
        config: GeneratorConfig,
        codes: CodeCorpus,
        face: Path,
        expert: Path | None = None,
    ) -> None:
        self.config = config
        self.run = config.run
        self.optimiser = config.optimiser
        self.codes = codes
        self.audio = AudioSpec(**config.audio)
        torch.manual_seed(config.run.seed)
        arguments = {"code_dim": codes.face_book.shape[1], **config.model}
        if config.arch == "gallery":
            arguments["lip_dim"] = config.lip_dim
        else:
            arguments["audio_steps"] = self.audio.steps
        if codes.pose_book.shape[1] != codes.face_book.shape[1]:
            arguments["pose_dim"] = codes.pose_book.shape[1]
        self.arguments = arguments
        kind = GalleryGenerator if config.arch == "gallery" else CodeGenerator
        generator = kind(**arguments)
        if config.initial is not None:
            generator.load_state_dict(
                load_checkpoint(config.initial).network("generator"), strict=False
            )
        self.network: nn.Module = TrainedGenerator(
            generator,
            codes.face_book,
            config.loss.cross_entropy > 0,
            config.lip_dim if config.lips.weight > 0 else 0,
        )
        self.vqgan = load_vqgan(load_checkpoint(face))
        self.clips = self._windows("train", config.balance)
        self.singles = self._windows("train", config.balance, 1) if config.singles_first else None
        self.held_out = self._windows("val", 1.0)
        self.lips = None
        if config.arch == "paper" and config.lips.weight > 0:
            self.lips = LipsFirst(
                codes.whole, config.lip_dim, self.audio, config.lips, config.balance
            )
        self.expert_speech: ExpertSpeech | None = None
        self.expert = self._load_expert(expert)

    def _windows(self, split: str, balance: float, window: int | None = None) -> CodeWindows:
        c = self.config
        rule = ReferenceRule(
            c.references, c.min_distance, c.other_clip, "opening", c.min_references
        )
        return CodeWindows(
            self.codes,
            self.codes.packed.split(split),
            self.audio,
            window or c.window,
            rule,
            scattered=c.scattered,
            silence=c.silence,
            lip_noise=c.lip_noise,
            gain=c.gain,
            floor=c.floor,
            speech=c.arch == "paper",
            jitter=c.lips.jitter if c.lips.weight > 0 else None,
            balance=balance,
        )

    def _load_expert(self, path: Path | None) -> SyncExpert | None:
        if path is None or self.config.loss.sync <= 0:
            return None
        checkpoint = load_checkpoint(path)
        accuracy = float(checkpoint.header["training"]["validation"].get("accuracy", 0.0))
        if accuracy < self.config.loss.min_accuracy:
            raise LipwrightError(
                f"the expert {path} reaches {accuracy:.1%} on validation pairs, below the "
                f"{self.config.loss.min_accuracy:.0%} that its loss needs to help; train it "
                "longer, or set loss.sync=0."
            )
        # Eval mode matters as much as freezing: batch statistics must not follow the generator.
        expert = checkpoint.build("expert", SyncExpert)
        encoder = checkpoint.header.get("encoder", "")
        self.expert_speech = speech_for(self.codes.whole, encoder, path.parent / "features")
        if expert.window != self.config.window:
            raise LipwrightError(
                f"the expert sees {expert.window} frames, the generator is trained on windows of "
                f"{self.config.window}; set window={expert.window}."
            )
        return expert

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch."""
        c, loss = self.config, self.config.loss
        rng = context.rng(self.run.seed, step)
        if self.lips is not None and step < c.lips.first:
            mel, motions = self.lips.draw(rng, context.device)
            with context.autocast():
                predicted, _ = network(mel)
            error = nn.functional.mse_loss(predicted.float(), motions)
            return {"lips": error, "loss": error}
        singles = self.singles if step < c.singles_first else None
        clips, each = (self.clips, c.window) if singles is None else (singles, 1)
        examples = clips.draw(rng, max(1, self.run.batch // each))
        batch = clips.tensors(examples, rng, context.device)
        with context.autocast():
            codes, logits = network(batch)
        weight = cell_weights(loss.mouth, loss.lower, loss.upper, context.device)
        out = {"l1": code_l1(codes, batch.target, weight)}
        total = loss.l1 * out["l1"]
        if self.lips is not None and logits is not None:
            out["lips"] = nn.functional.mse_loss(logits.float(), self.lips.of(examples, context))
            total = total + c.lips.weight * out["lips"]
        elif logits is not None and loss.cross_entropy > 0:
            index = batch.index[:, CE_ROW:]
            out["ce"] = code_cross_entropy(logits, index, weight[CE_ROW:])
            out["hits"] = mouth_hits(logits, index)
            total = total + loss.cross_entropy * out["ce"]
        if loss.pixel > 0:
            out["pixel"] = self._pixel(network, codes, batch.target, rng, context)
            total = total + loss.pixel * out["pixel"]
        plain = self.network  # ``network`` may be wrapped for several processes, or compiled
        if self.expert is not None and singles is None and bool(plain.sync_on):
            self.expert.to(context.device)
            mel = self._speech(examples).to(context.device)
            cosine = self.expert(codes.unflatten(0, (-1, c.window)), mel)
            out["sync"] = audio_visual_loss(cosine)
            total = (1 - loss.sync) * total + loss.sync * out["sync"]
        out["loss"] = total
        return out

    def _speech(self, examples: list[CodeExample]) -> Tensor:
        """(B, C, columns) speech of drawn windows, as the expert hears it."""
        assert self.expert_speech is not None
        return self.expert_speech.of_windows([e.window for e in examples], self.config.window)

    def _pixel(
        self,
        network: nn.Module,
        codes: Tensor,
        target: Tensor,
        rng: np.random.Generator,
        context: Context,
    ) -> Tensor:
        """Mouth-weighted L1 of decoded frames, on a few frames of the batch."""
        self.vqgan.to(context.device)
        n = min(self.config.loss.pixel_frames, len(codes))
        at = torch.from_numpy(rng.permutation(len(codes))[:n]).to(context.device)
        book = self.codes.face_book.to(context.device)
        drawn = self._decoded_as(network, codes[at], book)
        with context.autocast():
            y = self.vqgan.decode(drawn * self.codes.face_sigma)
            with torch.no_grad():
                x = self.vqgan.decode(target[at] * self.codes.face_sigma)
        weight = mouth_weight_map(x.shape[-1], 4.0, context.device)
        return weighted_l1(y.float(), x.float(), weight) + gradient_l1(y.float(), x.float(), weight)

    def _decoded_as(self, network: nn.Module, codes: Tensor, book: Tensor) -> Tensor:
        """The codes as inference decodes them: softly snapped where entries were predicted."""
        generator = getattr(network, "module", network).generator
        if isinstance(generator, GalleryGenerator) and self.config.loss.cross_entropy > 0:
            return soft_codes(generator.logits(codes, book), book)
        return codes

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """On validation clips, beside copying the first reference: code L1, hits, PSNR."""
        assert isinstance(network, TrainedGenerator)
        loss = self.config.loss
        rng = np.random.default_rng(5)
        weight = cell_weights(loss.mouth, loss.lower, loss.upper, context.device)
        sums: dict[str, list[float]] = {}
        syncs = []
        for _ in range(self.run.validate_batches):
            examples = self.held_out.draw(rng, max(1, 32 // self.config.window))
            batch = self.held_out.tensors(examples, None, context.device)
            with context.autocast():
                codes, logits = network(batch)
            if len(sums.get("psnr", ())) < 4:  # decoding takes longest
                for k, value in self._mouth_psnr(network, codes, batch, context).items():
                    sums.setdefault(k, []).append(value)
            row = {
                "l1": float(code_l1(codes, batch.target, weight)),
                "copy_l1": float(code_l1(first_reference(batch), batch.target, weight)),
            }
            if self.lips is not None and logits is not None:
                real = self.lips.of(examples, context)[:, 0]
                both = torch.stack([logits[:, 0].float(), real])
                row["opening_heard"] = float(torch.corrcoef(both)[0, 1])
            elif logits is not None:
                index = batch.index[:, CE_ROW:]
                row["ce"] = float(code_cross_entropy(logits, index, weight[CE_ROW:]))
                row["hits"] = float(mouth_hits(logits, index))
            for k, value in row.items():
                sums.setdefault(k, []).append(value)
            if self.expert is not None:
                w = self.config.window
                mel = self._speech(examples)
                self.expert.to(context.device)
                cosine = self.expert(codes.unflatten(0, (-1, w)), mel.to(context.device))
                syncs.append(float(audio_visual_loss(cosine)))
        out = {k: float(np.mean(v)) for k, v in sums.items()}
        if syncs:
            out["sync"] = float(np.mean(syncs))
            if out["sync"] < loss.sync_gate:
                network.sync_on.fill_(True)
                assert isinstance(self.network, TrainedGenerator)
                self.network.sync_on.fill_(True)
        return out

    def _mouth_psnr(
        self, network: nn.Module, codes: Tensor, batch: CodeBatch, context: Context
    ) -> dict[str, float]:
        """Decoded mouth box against the decoded target, dB; beside it the first reference's."""
        self.vqgan.to(context.device)
        n, sigma = min(12, len(codes)), self.codes.face_sigma
        drawn = self._decoded_as(network, codes[:n], self.codes.face_book.to(context.device))
        with context.autocast():
            ours, copy, real = (
                self.vqgan.decode(x * sigma).float()
                for x in (drawn, first_reference(batch)[:n], batch.target[:n])
            )

        def psnr(x: Tensor) -> float:
            error = cut_box(x - real, MOUTH_BOX).square().mean()
            return float(10 * torch.log10(4.0 / error.clamp_min(1e-9)))

        return {"psnr": psnr(ours), "copy_psnr": psnr(copy)}

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """First reference, target and prediction, decoded; validation identities."""
        assert isinstance(network, TrainedGenerator)
        rng = np.random.default_rng(3)
        examples = self.held_out.draw(rng, max(1, 12 // self.config.window))
        batch = self.held_out.tensors(examples, None, context.device)
        self.vqgan.to(context.device)
        sigma = self.codes.face_sigma
        with torch.no_grad(), context.autocast():
            codes, _ = network(batch)
            book = self.codes.face_book.to(context.device)
            drawn = self._decoded_as(network, codes, book)
            rows_of = [first_reference(batch), batch.target, codes, drawn]
            pictures = [self.vqgan.decode(r[:12].float() * sigma).float() for r in rows_of]
        write_sheet(pictures, folder / f"{step:07d}.png")

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Networks ``generator`` and ``space``; the header has arguments, window and parents."""
        assert isinstance(network, TrainedGenerator)
        modules: dict[str, nn.Module] = {"generator": network.generator}
        if self.config.arch == "gallery":
            modules["space"] = self.codes.space
        header = {
            "method": "generator",
            "arch": self.config.arch,
            "size": self.codes.packed.size,
            "sigma": self.codes.sigma,
            "audio": asdict(self.audio),
            "networks": {"generator": self.arguments},
            **trained(
                history, self.codes.packed, loss=self.config.loss, sync_on=bool(network.sync_on)
            ),
            "parents": {k: self.codes.header[k] for k in ("face", "pose")},
        }
        save_checkpoint(path, header, modules)


def needs(config: GeneratorConfig) -> tuple[str, ...]:
    """The stages that a generator of this config needs beside the Face-VQGAN."""
    if is_kernel(config):
        return ("pose-vqgan",)
    return ("codes", "expert") if config.loss.sync > 0 else ("codes",)


def build(run: StageRun[GeneratorConfig]) -> GeneratorStage | None:
    """The stage ``generator``; a kernel alone is written here, for there is nothing to train."""
    config, face = run.config, run.made("vqgan")
    if is_kernel(config):
        write_kernel(config, run.corpus, face, run.made("pose-vqgan"), run.result)
        return None
    codes = CodeCorpus(run.corpus, run.made("codes"), config.lip_dim)
    return GeneratorStage(config, codes, face, run.expert("expert", config.loss.sync))
