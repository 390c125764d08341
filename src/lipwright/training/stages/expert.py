"""Stage ``expert``: the lip-sync expert in code space.

Gupta et al. (WACV 2023, section 3.1): positives share the time step, negatives are windows of
another time of the same clip. A minimum distance between the two keeps near-positives out (with
windows of 25 frames a shift of one frame still shares 24).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lipwright.data.clip_windows import ClipWindows, WindowBatch
from lipwright.data.codes import CodeCorpus
from lipwright.data.vary_speech import SpeechVariation
from lipwright.models.expert import SyncExpert
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.expert_speech import ExpertSpeech, speech_for
from lipwright.training.losses.sync import sync_accuracy, sync_loss
from lipwright.training.stages.matching import (
    Batch,
    LipTargets,
    Matching,
    MatchingConfig,
    expert_measures,
    matching_losses,
    varied,
)
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context, Stage
from lipwright.weights.checkpoint import save_checkpoint


class ExpertConfig(Section):
    """Config of the stage ``expert``; ``min_offset`` in frames between a negative's two times.

    ``gain`` varies the level of single pairs; groups vary speech by ``matching.jitter``.

    Attributes:
        encoder: hear the features of a frozen speech encoder (``whisper-tiny-en``) instead of the
            mel; not as published. variants, variation: varied copies of the speech, in the place of
            ``gain`` and ``matching.jitter``, which vary the mel.
        code_noise: deviation of noise on the codes, whose components have unit variance: a
            generator's codes, which it is to judge, are no entries of the codebook.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    optimiser: OptimiserConfig = OptimiserConfig(lr=1e-4, schedule="constant")
    run: RunConfig = RunConfig(batch=64)
    min_offset: int = 5
    gain: float = 0.4
    balance: float = 0.5
    matching: MatchingConfig = MatchingConfig()
    encoder: Literal["", "whisper-tiny-en"] = ""
    variants: int = 0
    variation: SpeechVariation = SpeechVariation()
    code_noise: float = 0.0


class CodePairs:
    """Draws windows of codes with matching or mismatched speech.

    Args:
        codes: cached code grids.
        split: ``train`` or ``val``.
        window: frames T.
        min_offset: least distance in frames between the starts of a mismatched pair, 1 or more.
        balance: 0 draws every frame alike, 1 every identity.
        speech: what is heard; the mel by default.
        varied: draw varied copies of the speech, too; only training clips have some.
        noise: deviation of noise on the codes.

    Raises:
        LipwrightError: no clip is long enough for a window and a mismatched one.
    """

    def __init__(
        self,
        codes: CodeCorpus,
        split: str,
        window: int,
        min_offset: int,
        balance: float,
        speech: ExpertSpeech | None = None,
        varied: bool = False,
        noise: float = 0.0,
    ) -> None:
        self.codes = codes
        self.speech = speech or ExpertSpeech(codes.packed)
        self.variants = self.speech.variants if varied else 1
        self.noise = noise
        self.clips = ClipWindows(
            codes.packed.split(split), window, min_offset=max(1, min_offset), balance=balance
        )

    def draw(
        self, rng: np.random.Generator, count: int, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (B, T, D, 16, 16), mel (B, 80, 4T) and labels (B,), half of them mismatched."""
        windows = self.clips.draw(rng, count)
        matching = rng.random(count) < 0.5
        first = [
            w.first if match else w.mismatched for w, match in zip(windows, matching, strict=True)
        ]
        mel = self._speech(windows, first, rng)
        labels = torch.from_numpy(np.asarray(matching))
        return self._faces(windows, rng, device), mel.to(device), labels.to(device)

    def draw_groups(
        self, rng: np.random.Generator, count: int, group: int, device: torch.device
    ) -> tuple[Tensor, Tensor, WindowBatch]:
        """Codes and mel of groups of windows of one clip, and which windows they are."""
        windows = self.clips.draw_groups(rng, count, group)
        mel = self._speech(windows, [w.first for w in windows], rng)
        return self._faces(windows, rng, device), mel.to(device), windows

    def _faces(
        self, windows: WindowBatch, rng: np.random.Generator, device: torch.device
    ) -> Tensor:
        """(B, T, D, 16, 16) codes of the frames, each window plain or mirrored."""
        variants = rng.integers(self.codes.face.shape[0], size=len(windows))
        index = self.codes.face[variants[:, None], windows.frames].astype(np.int64)
        book = self.codes.face_book.to(device)
        codes = torch.nn.functional.embedding(torch.from_numpy(index).to(device), book)
        if self.noise > 0:
            seed = int(rng.integers(2**31))
            maker = torch.Generator(device).manual_seed(seed)
            noise = torch.randn(codes.shape, generator=maker, device=device)
            codes = codes + self.noise * noise
        return codes.permute(0, 1, 4, 2, 3)

    def _speech(self, windows: WindowBatch, first: list[int], rng: np.random.Generator) -> Tensor:
        """(B, C, columns) speech that begins at these frames of the clips."""
        length = self.clips.length
        variants = rng.integers(self.variants, size=len(first)) if self.variants > 1 else None
        return torch.stack(
            [
                self.speech.of(w.row, t, length, 0 if variants is None else int(variants[i]))
                for i, (w, t) in enumerate(zip(windows, first, strict=True))
            ]
        )


class ExpertStage(Stage):
    """Trains :class:`~lipwright.models.expert.SyncExpert` on cached codes."""

    name = "expert"

    def __init__(
        self, config: ExpertConfig, codes: CodeCorpus, speech: ExpertSpeech | None = None
    ) -> None:
        self.config = config
        self.run = config.run
        self.optimiser = config.optimiser
        self.codes = codes
        torch.manual_seed(config.run.seed)
        model = {"code_dim": codes.face_book.shape[1], **config.model}
        speech = speech or ExpertSpeech(codes.packed)
        if speech.inputs:
            model["speech_inputs"] = speech.inputs
        self.arguments = model
        expert = SyncExpert(**model)
        window = expert.window
        predicted = config.matching.lips_predicted(window)
        self.lips = LipTargets(codes.packed, config.matching.lip_dim, window) if predicted else None
        self.network: nn.Module = Matching(expert, predicted)
        self.mel = not speech.inputs
        self.train_pairs = CodePairs(
            codes,
            "train",
            window,
            config.min_offset,
            config.balance,
            speech,
            varied=True,
            noise=config.code_noise,
        )
        self.held_out = CodePairs(codes, "val", window, config.min_offset, 1.0, speech)
        self.held_out_near = CodePairs(codes, "val", window, 1, 1.0, speech)

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch, of groups of moments or of single 50/50 pairs."""
        rng = context.rng(self.run.seed, step)
        if self.config.matching.group:
            c = self.config.matching
            groups = self._groups(self.train_pairs, rng, context)
            groups = varied(groups, rng, c.jitter) if self.mel else groups
            with context.autocast():
                return matching_losses(network, groups, c, step)
        grids, mel, labels = self.train_pairs.draw(rng, self.run.batch, context.device)
        if self.mel:
            level = rng.uniform(-self.config.gain, self.config.gain, (len(mel), 1, 1))
            mel = (mel + torch.from_numpy(level.astype(np.float32)).to(mel.device)).clamp(-4, 4)
        cosine = self._cosine(network, grids, mel, context)
        return {
            "loss": sync_loss(cosine, labels),
            "accuracy": sync_accuracy(cosine.detach(), labels),
        }

    def _cosine(self, network: nn.Module, grids: Tensor, mel: Tensor, context: Context) -> Tensor:
        with context.autocast():
            seen, audio_embedding, _ = network(grids, mel)
        return torch.sum(seen * audio_embedding, dim=1)

    def _groups(self, pairs: CodePairs, rng: np.random.Generator, context: Context) -> Batch:
        """Codes, mel, pairs and lips of groups of windows of one clip."""
        group = self.config.matching.group
        faces, mel, windows = pairs.draw_groups(rng, self.run.batch, group, context.device)
        return faces, mel, windows.pairs, self.lips.of(windows) if self.lips else None

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """Loss and accuracy on 50/50 pairs of validation identities, at two minimum offsets."""

        def judge(pairs: CodePairs, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
            grids, mel, labels = pairs.draw(rng, self.run.batch, context.device)
            return self._cosine(network, grids, mel, context), labels

        return expert_measures(
            network,
            judge,
            self.held_out_near,
            self.held_out,
            lambda rng: self._groups(self.held_out, rng, context),
            self.run.validate_batches,
            self.config.matching,
            context,
        )

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Network ``expert``; the header carries the validation accuracy that gates its use."""
        header = {
            "method": "expert",
            "size": self.codes.packed.size,
            "networks": {"expert": self.arguments},
            **trained(history, self.codes.packed, matching=self.config.matching),
            "encoder": self.config.encoder,
            "sigma": self.codes.face_sigma,
            "parents": {"vqgan": self.codes.header["face"]},
        }
        assert isinstance(network, Matching)
        save_checkpoint(path, header, {"expert": network.expert})


def build(run: StageRun[ExpertConfig]) -> ExpertStage:
    """The stage ``expert``."""
    config = run.config
    codes = CodeCorpus(run.corpus, run.made("codes"))
    folder = run.folder / "features"
    speech = speech_for(codes.whole, config.encoder, folder, config.variants, config.variation)
    return ExpertStage(config, codes, speech)
