"""How a sync expert learns from groups of moments, in code space and on pixels alike.

Single pairs against the binary cross-entropy leave an expert at chance for long: until both
encoders know something about lips, neither can tell the other what to look for. Two additions end
that:

* all pairs among several moments of a clip, by the binary cross-entropy and by multi-way matching
  (see :mod:`lipwright.training.losses.multiway`);
* a linear layer on each embedding, thrown away afterwards, that tells the lips' motions in the
  window; it gives each encoder something to learn before the other is of use, at first alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.data.clip_windows import WindowBatch
from lipwright.data.codes import lip_motions
from lipwright.data.packed import PackedCorpus
from lipwright.models.expert import SyncExpert
from lipwright.models.pixel_expert import PixelExpert
from lipwright.training.config import Section
from lipwright.training.losses.multiway import (
    matching_accuracy,
    multiway_loss,
    pairwise_sync_loss,
)
from lipwright.training.losses.sync import sync_accuracy, sync_loss
from lipwright.training.speech_jitter import SpeechJitter, vary_speech
from lipwright.training.trainer import Context

Batch = tuple[Tensor, Tensor, NDArray[np.bool_], Tensor | None]
"""B windows of faces, their speech (B, 80, 4T), the (B, B) pairs that take part (see
:class:`~lipwright.data.clip_windows.WindowBatch`), and the (B, T K) lip motion where it is to be
predicted."""


Pairs = TypeVar("Pairs")


class MatchingConfig(Section):
    """How examples are drawn and judged.

    Attributes:
        group: moments of a clip side by side; 0 trains on single 50/50 pairs, as published.
        multiway: weight of multi-way matching beside the binary cross-entropy.
        temperature: of multi-way matching.
        lips: weight of telling the lips' motions.
        lips_first: so many steps nothing else is asked for. Without them the binary cross-entropy
            drives all cosines to 0.5, and what tells of lips gets lost on the way.
        lip_dim: how many motions (see :class:`~lipwright.models.lip_space.LipSpace`).
        jitter: how speech is varied.
    """

    group: int = 0
    multiway: float = 1.0
    temperature: float = 0.1
    lips: float = 1.0
    lips_first: int = 0
    lip_dim: int = 8
    jitter: SpeechJitter = SpeechJitter()

    def lips_predicted(self, window: int) -> int:
        """How many numbers of lip motion are predicted for a window."""
        return window * self.lip_dim if self.group and self.lips > 0 else 0


class Matching(nn.Module):
    """An expert in training, with the layers that are left out of its checkpoint.

    Args:
        expert: a sync expert.
        predicted: how many numbers of lip motion are predicted for a window; 0 for none.
    """

    def __init__(self, expert: SyncExpert | PixelExpert, predicted: int = 0) -> None:
        super().__init__()
        self.expert = expert
        # Where an embedding has numbers of every frame, they tell its lips by the same weights.
        self.each = expert.each if isinstance(expert, SyncExpert) else 0
        inputs, outputs = expert.dim, predicted
        if self.each:
            inputs, outputs = self.each, predicted * self.each // expert.dim
        self.from_faces = nn.Linear(inputs, outputs) if predicted else None
        self.from_speech = nn.Linear(inputs, outputs) if predicted else None

    def forward(self, faces: Tensor, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of B windows: unit embeddings of faces and of speech (B, dim), and (2, B, predicted)."""
        seen = F.normalize(self.expert.embed_faces(faces).float(), dim=1, eps=1e-6)
        audio_embedding = F.normalize(self.expert.embed_speech(mel).float(), dim=1, eps=1e-6)
        if self.from_faces is None or self.from_speech is None:
            return seen, audio_embedding, seen.new_zeros(2, len(seen), 0)
        # Unit vectors of many numbers have small ones; the layers work on unit variance.
        scale = seen.shape[1] ** 0.5
        motions = [
            layer(self._by_frame(embedding * scale)).flatten(1)
            for layer, embedding in (
                (self.from_faces, seen),
                (self.from_speech, audio_embedding),
            )
        ]
        return seen, audio_embedding, torch.stack(motions)

    def _by_frame(self, embedding: Tensor) -> Tensor:
        """(B, dim) -> (B, T, each) where the embedding has numbers of every frame."""
        if not self.each:
            return embedding
        return embedding.reshape(len(embedding), self.each, -1).transpose(1, 2)


class LipTargets:
    """Motions of the lips in a window, as targets."""

    def __init__(self, corpus: PackedCorpus, dim: int, window: int) -> None:
        self.window = window
        _, self._motion = lip_motions(corpus, dim)

    def of(self, windows: WindowBatch) -> Tensor:
        """(B, window * dim)."""
        return torch.from_numpy(self._motion[windows.frames]).flatten(1)


def varied(batch: Batch, rng: np.random.Generator, jitter: SpeechJitter) -> Batch:
    """The batch, each window with another voice, microphone and room."""
    faces, mel, pairs, lips = batch
    audio_embedding = torch.stack([vary_speech(m.cpu(), rng, jitter) for m in mel]).to(mel.device)
    return faces, audio_embedding, pairs, lips


def matching_losses(
    network: nn.Module, batch: Batch, config: MatchingConfig, step: int = 0
) -> dict[str, Tensor]:
    """Losses of one batch of windows.

    Args:
        network: a :class:`Matching`.
        batch: see :data:`Batch`.
        config: the weights.
        step: of the training.
    """
    faces, mel, pairs, lips = batch
    seen, audio_embedding, predicted = network(faces, mel)
    cosine = seen @ audio_embedding.T
    allowed = torch.from_numpy(pairs).to(cosine.device)
    bce = pairwise_sync_loss(cosine, allowed)
    multiway = multiway_loss(cosine, allowed, config.temperature)
    out = {"bce": bce, "multiway": multiway, "found": matching_accuracy(cosine.detach(), allowed)}
    matching = bce + config.multiway * multiway
    if lips is None:
        return {**out, "loss": matching}
    seen_error, speech_error = (F.mse_loss(t.float(), lips.to(t.device)) for t in predicted)
    loss = config.lips * (seen_error + speech_error)
    if step >= config.lips_first:
        loss = loss + matching
    return {**out, "lips_seen": seen_error, "lips_heard": speech_error, "loss": loss}


def pair_measures(
    draw: Callable[[np.random.Generator], tuple[Tensor, Tensor]], batches: int, suffix: str = ""
) -> dict[str, float]:
    """Sync loss and accuracy on held-out 50/50 pairs, always the same ones.

    Args:
        draw: one batch: cosines (B,) and whether they are of matching pairs (B,).
        batches: how many.
        suffix: of the names ``sync_loss`` and ``accuracy``.
    """
    rng = np.random.default_rng(11)
    losses, accuracies = [], []
    for _ in range(batches):
        cosine, labels = draw(rng)
        losses.append(float(sync_loss(cosine, labels)))
        accuracies.append(float(sync_accuracy(cosine, labels)))
    return {
        f"sync_loss{suffix}": float(np.mean(losses)),
        f"accuracy{suffix}": float(np.mean(accuracies)),
    }


def expert_measures(
    network: nn.Module,
    judge: Callable[[Pairs, np.random.Generator], tuple[Tensor, Tensor]],
    near: Pairs,
    far: Pairs,
    draw: Callable[[np.random.Generator], Batch],
    batches: int,
    config: MatchingConfig,
    context: Context,
) -> dict[str, float]:
    """All that is measured of a sync expert on held-out people.

    Args:
        network: of :class:`Matching`.
        judge: cosines (B,) of a batch of single pairs, and whether they match (B,).
        near: pairs that differ by one frame at least.
        far: pairs that differ as in training.
        draw: a batch of groups.
        batches: how many of each.
        config: how groups are drawn.
        context: of the training.
    """
    out = pair_measures(partial(judge, far), batches)
    out |= pair_measures(partial(judge, near), batches, "_offset1")
    rng = np.random.default_rng(12)
    return out | held_out_measures(network, lambda: draw(rng), batches, config, context)


def held_out_measures(
    network: nn.Module,
    draw: Callable[[], Batch],
    batches: int,
    config: MatchingConfig,
    context: Context,
) -> dict[str, float]:
    """Means of :func:`matching_measures` over drawn batches; none where single pairs are learnt."""
    rows: list[dict[str, float]] = []
    for _ in range(batches if config.group else 0):
        batch = draw()
        with context.autocast():
            rows.append(matching_measures(network, batch, config))
    return {key: float(np.mean([r[key] for r in rows])) for key in (rows[0] if rows else ())}


def matching_measures(network: nn.Module, batch: Batch, config: MatchingConfig) -> dict[str, float]:
    """Held-out measures of one batch.

    Returns:
        ``found``, how often a face finds its own speech among those of its group, and, where lip
        motion is predicted, the correlation of the opening with its prediction from faces and from
        speech.
    """
    faces, mel, pairs, lips = batch
    seen, audio_embedding, predicted = network(faces, mel)
    allowed = torch.from_numpy(pairs).to(seen.device)
    out = {"found": float(matching_accuracy(seen @ audio_embedding.T, allowed))}
    if lips is not None:
        real = lips[:, :: config.lip_dim].flatten()
        for name, values in zip(
            ("opening_seen", "opening_heard"), predicted.float().cpu(), strict=True
        ):
            both = torch.stack([real, values[:, :: config.lip_dim].flatten()])
            out[name] = float(torch.corrcoef(both)[0, 1])
    return out
