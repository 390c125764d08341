"""Stage ``speech``: lip motion, predicted from speech alone.

Trains :class:`~lipwright.models.speech_lips.SpeechToLips` on stretches of clips: squared error of
the motions and of their steps from frame to frame, and one minus their correlation over the
stretch. The last is what a viewer sees as being in time, and unlike a squared error it does not
reward small movements where the prediction is uncertain. Needs neither pictures nor codes, and
minutes instead of hours.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from lipwright.data.clip_windows import ClipWindows
from lipwright.data.codes import lip_motions
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.data.vary_speech import SpeechVariation
from lipwright.media.mel import SILENCE, STEPS_PER_FRAME, AudioSpec, windows
from lipwright.models.speech_embedding import SpeechEmbedding
from lipwright.models.speech_lips import SpeechToLips
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.losses.motion import SpeechLoss, speech_losses
from lipwright.training.speech_jitter import SpeechJitter, vary_speech
from lipwright.training.stages.run import StageRun
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context, Stage
from lipwright.weights.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from lipwright.training.stages.speech_encoded import EncodedSpeechStage


class SpeechConfig(Section):
    """Config of the stage ``speech``.

    Attributes:
        lip_dim: length of a motion.
        frames: length of a stretch.
        silence: share of stretches that are silent, with lips at rest.
        balance: see :func:`~lipwright.data.packed.row_weights`.
        encoder: a frozen speech encoder to build on (``whisper-tiny-en``; ``model`` is then
            :class:`~lipwright.models.encoder_lips.EncoderToLips`), or empty.
        variants: with an encoder, how many varied copies of the speech there are.
        variation: how far they are varied, in the place of ``jitter``.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    loss: SpeechLoss = SpeechLoss()
    jitter: SpeechJitter = SpeechJitter()
    optimiser: OptimiserConfig = OptimiserConfig(lr=2e-3, weight_decay=0.05)
    run: RunConfig = RunConfig(batch=16, steps=2000, ema=0.995)
    lip_dim: int = 8
    frames: int = 48
    silence: float = 0.05
    balance: float = 0.5
    encoder: Literal["", "whisper-tiny-en"] = ""
    variants: int = 4
    variation: SpeechVariation = SpeechVariation()


class SpeechStage(Stage):
    """Trains a :class:`~lipwright.models.speech_lips.SpeechToLips`."""

    name = "speech"

    def __init__(self, config: SpeechConfig, packed: PackedCorpus) -> None:
        self.config = config
        self.run = config.run
        self.optimiser = config.optimiser
        self.packed = packed
        torch.manual_seed(config.run.seed)
        self.arguments = {"dim": config.lip_dim, **config.model}
        plain = SpeechToLips(**self.arguments)
        fill_embedding(plain)
        self.audio = AudioSpec(steps=plain.steps, before=plain.before)
        self.network: nn.Module = _OverClips(plain)
        self.space, self.motion = lip_motions(packed, config.lip_dim)
        self.clips = ClipWindows(
            packed.split("train"), config.frames, min_length=1, balance=config.balance
        )

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch of stretches."""
        loss, rng = self.config.loss, context.rng(self.run.seed, step)
        examples = [self._stretch(rng) for _ in range(self.run.batch)]
        mel = torch.stack([e[0] for e in examples]).to(context.device)
        real = torch.stack([e[1] for e in examples]).to(context.device)
        valid = torch.stack([e[2] for e in examples]).to(context.device)
        with context.autocast():
            predicted = network(mel)
        return speech_losses(predicted.float(), real, valid, loss)

    def _stretch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Mel (80, T), motions (frames, K), and which of the frames exist."""
        c = self.config
        tempo = 1.0 + (
            float(rng.uniform(-c.jitter.tempo, c.jitter.tempo)) if c.jitter.tempo else 0.0
        )
        window = self.clips.one(rng, length=math.ceil((c.frames - 1) * tempo) + 1)
        row, t = window.row, window.first
        # Frames of the stretch once the tempo is changed.
        n = min(c.frames, int((int(window.valid.sum()) - 1) / tempo) + 1)
        columns = self.audio.steps + STEPS_PER_FRAME * (c.frames - 1)
        real = torch.zeros(c.frames, c.lip_dim)
        valid = torch.ones(c.frames, dtype=torch.bool)
        if rng.random() < c.silence:  # at digital silence the mouth rests
            mel = torch.full((80, columns), SILENCE)
        else:
            whole = self.packed.speech(row)
            columns_at = STEPS_PER_FRAME * t + tempo * (torch.arange(columns) - self.audio.before)
            mel = _between(whole, columns_at, SILENCE)
            motion = torch.from_numpy(self.motion[row.start : row.start + row.frames].T.copy())
            real[:n] = _between(motion, t + tempo * torch.arange(n), 0.0).T
            valid[n:] = False
        return vary_speech(mel, rng, c.jitter), real, valid

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """Mean over validation clips: correlation of predicted with real lip motion, and gains.

        ``gain`` is the deviation of the real opening over that of the predicted one: by so much the
        predicted motion would have to grow to be as lively as the real one.
        """
        predicted, real = [], []
        for row in self.packed.split("val"):
            predicted.append(self._predict(network, row, context))
            real.append(self.motion[row.start : row.start + row.frames])
        return motion_measures(predicted, real)

    def _predict(self, network: nn.Module, row: ClipRow, context: Context) -> NDArray[np.float32]:
        mel = self.packed.speech(row)
        each = windows(mel, [Fraction(i, 25) for i in range(row.frames)], self.audio)
        with context.autocast():
            predicted: Tensor = network(each.to(context.device))[:, 0]
        return predicted.float().cpu().numpy()

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Networks ``speech`` and ``space``, with the window of speech that a frame needs."""
        assert isinstance(network, _OverClips)
        header = {
            "method": "speech",
            "size": self.packed.size,
            "audio": asdict(self.audio),
            "networks": {"speech": self.arguments},
            **trained(history, self.packed, loss=self.config.loss),
        }
        save_checkpoint(path, header, {"speech": network.plain, "space": self.space})


def build(run: StageRun[SpeechConfig]) -> SpeechStage | EncodedSpeechStage:
    """The stage ``speech``, on the mel spectrogram or on top of a frozen encoder."""
    if run.config.encoder:
        from lipwright.training.stages.speech_encoded import EncodedSpeechStage

        return EncodedSpeechStage(run.config, run.corpus, run.folder / "features")
    return SpeechStage(run.config, run.corpus)


def _between(values: Tensor, places: Tensor, outside: float) -> Tensor:
    """(K, T) at (N,) fractional columns -> (K, N), linearly; ``outside`` beyond the ends."""
    last = values.shape[1] - 1
    low = places.floor().long()
    share = (places - low).to(values.dtype)
    a, b = (
        values[:, i.clamp(0, last)].masked_fill((i < 0) | (i > last), outside)
        for i in (low, low + 1)
    )
    return torch.where(share > 0, a * (1 - share) + b * share, a)


class _OverClips(nn.Module):
    """The network as training runs it: over whole stretches."""

    def __init__(self, plain: SpeechToLips) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, mel: Tensor) -> Tensor:
        """(B, 80, T) -> (B, n, K)."""
        return self.plain.sequence(mel)


def fill_embedding(network: nn.Module) -> None:
    """Give a network that has a :class:`SpeechEmbedding` its published weights; others nothing.

    Raises:
        LipwrightError: they are not here, and cannot be fetched.
    """
    wanted = [m for m in network.modules() if isinstance(m, SpeechEmbedding)]
    if wanted:
        from lipwright.models.published.speech_embedding import read_onnx
        from lipwright.weights.fetch import resolve

        state = read_onnx(resolve("speech-embedding"))
        for embedding in wanted:
            embedding.load_state_dict(state)


def motion_measures(
    predicted: list[NDArray[np.float32]], real: list[NDArray[np.float32]]
) -> dict[str, float]:
    """Means over clips: correlations of opening and of the other components, and ``gain``.

    Args:
        predicted: per clip (n, K).
        real: the same that was seen.
    """
    each = np.array([clip_correlations(a, b) for a, b in zip(predicted, real, strict=True)])
    deviations = [np.mean([m[:, 0].std() for m in motions]) for motions in (predicted, real)]
    return {
        "opening_correlation": float(np.nanmean(each[:, 0])),
        "shape_correlation": float(np.nanmean(each[:, 1:])),
        "gain": float(deviations[1] / max(float(deviations[0]), 1e-9)),
    }


def clip_correlations(
    predicted: NDArray[np.float32], real: NDArray[np.float32]
) -> NDArray[np.float64]:
    """(n, K), (n, K) -> (K,) correlations over time; NaN where one of the two does not move."""
    a, b = (m.astype(np.float64) - m.mean(axis=0) for m in (predicted, real))
    power = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(power > 1e-9, (a * b).sum(axis=0) / power, np.nan)
