"""Stage ``speech`` on top of a frozen speech encoder (``encoder: whisper-tiny-en``).

The encoder's features are computed once (:mod:`lipwright.data.encoded_speech`); what is trained are
the small networks of :class:`~lipwright.models.encoder_lips.EncoderToLips`, each member on its own
examples from its own start, so that their mean is better than any of them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipwright.data.clip_windows import ClipWindows
from lipwright.data.codes import lip_motions
from lipwright.data.encoded_speech import rows_about
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.training.losses.motion import speech_losses
from lipwright.training.speech_encoding import encode_with_whisper
from lipwright.training.stages.trained import trained
from lipwright.training.trainer import Context, Stage
from lipwright.weights.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from lipwright.training.stages.speech import SpeechConfig


class EncodedSpeechStage(Stage):
    """Trains the members of an :class:`~lipwright.models.encoder_lips.EncoderToLips`.

    Args:
        config: of the stage ``speech``; its ``encoder`` is set.
        packed: the corpus.
        folder: where the features are kept.
    """

    name = "speech"

    def __init__(self, config: SpeechConfig, packed: PackedCorpus, folder: Path) -> None:
        self.config = config
        self.run, self.optimiser = config.run, config.optimiser
        self.packed = packed
        torch.manual_seed(config.run.seed)
        self.arguments = {"dim": config.lip_dim, **config.model}
        self.plain = EncoderToLips(**self.arguments)
        how = folder, config.variants, config.variation
        self.speech = encode_with_whisper(packed, self.plain, *how)
        self.network: nn.Module = _Members(self.plain.members)
        self.space, self.motion = lip_motions(packed, config.lip_dim)
        self.clips = ClipWindows(
            packed.split("train"), config.frames, min_length=1, balance=config.balance
        )

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Losses of one batch of stretches for every member."""
        loss, rng = self.config.loss, context.rng(self.run.seed, step)
        count = self.run.batch * len(self.plain.members)
        examples = [self._stretch(rng) for _ in range(count)]
        features, real, valid = (
            torch.from_numpy(np.stack([e[i] for e in examples])).to(context.device)
            for i in range(3)
        )
        with context.autocast():
            predicted = network(features.transpose(1, 2))
        return speech_losses(predicted.float(), real, valid, loss)

    def _stretch(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Features (frames + 2 layers, C), motions (frames, K), and which of the frames exist."""
        c, layers = self.config, self.plain.layers
        variant = int(rng.integers(len(self.speech.arrays)))
        row = self.clips.one(rng, length=1).row
        features, pace = self.speech.of(row, variant)
        motion = self.motion[row.start : row.start + row.frames]
        last = min(len(features), math.floor((len(motion) - 1) / pace) + 1)
        n = min(c.frames, last)
        first = int(rng.integers(last - n + 1))
        real = np.zeros((c.frames, c.lip_dim), np.float32)
        valid = np.arange(c.frames) < n
        if rng.random() < c.silence:  # whatever else was heard, digital silence is rest
            features, first = self.speech.silence, int(rng.integers(len(self.speech.silence)))
        else:
            places = (first + np.arange(n)) * pace
            low = np.floor(places).astype(np.int64)
            share = (places - low)[:, None].astype(np.float32)
            high = np.minimum(low + 1, len(motion) - 1)
            real[:n] = motion[low] * (1 - share) + motion[high] * share
        rows = rows_about(features, first - layers, c.frames + 2 * layers)
        return rows, real, valid

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """As :meth:`lipwright.training.stages.speech.SpeechStage.validate`."""
        from lipwright.training.stages.speech import motion_measures

        rows = self.packed.split("val")
        predicted = [self._predict(network, row, context) for row in rows]
        return motion_measures(predicted, [self.motion[r.start : r.start + r.frames] for r in rows])

    def _predict(self, network: nn.Module, row: ClipRow, context: Context) -> NDArray[np.float32]:
        features, _ = self.speech.of(row)
        layers = self.plain.layers
        rows = rows_about(features, -layers, len(features) + 2 * layers)
        x = torch.from_numpy(rows.T[None].copy()).to(context.device)
        with context.autocast():
            predicted: Tensor = network(x)[0]
        return predicted.float().cpu().numpy()

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Networks ``speech`` (with its encoder) and ``space``."""
        assert isinstance(network, _Members)
        self.plain.members.load_state_dict(network.members.state_dict())
        header = {
            "method": "speech",
            "size": self.packed.size,
            "audio": {"steps": 1, "before": 0, "features": self.plain.features},
            "networks": {"speech": {"kind": "encoder", **self.arguments}},
            **trained(history, self.packed, loss=self.config.loss),
        }
        save_checkpoint(path, header, {"speech": self.plain, "space": self.space})


class _Members(nn.Module):
    """The members as training runs them: each on its share of the batch; their mean otherwise."""

    def __init__(self, members: nn.ModuleList) -> None:
        super().__init__()
        self.members = members

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, n + 2 layers) -> (B, n, K)."""
        if not self.training:
            return torch.stack([member(features) for member in self.members]).mean(0)
        shares = features.chunk(len(self.members))
        return torch.cat([m(x) for m, x in zip(self.members, shares, strict=True)])
