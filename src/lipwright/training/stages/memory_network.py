"""What the stage ``memory`` trains, as one module: encode speech and lips, store and draw.

Park et al. (AAAI 2022): the recalled and the true lip feature go through the same decoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipwright.data.talking import TalkingBatch
from lipwright.models.memory import Stored
from lipwright.models.memory_lips import LipEncoder, fold_time
from lipwright.models.memory_talker import MemoryTalker


@dataclass(frozen=True)
class Made:
    """What a forward pass makes of a batch; N = D T drawn frames, R = N + B M lip features.

    Attributes:
        recalled, teacher_forced: (N, 3, S, S) I_g and I_G in [-1, 1]; (0, 3, S, S) where nothing
            was to be drawn.
        lips: (N, C) f_lip of the drawn frames.
        stored: of all R lip features.
        audio_embedding: (R, S) address that audio gives for the same frames.
        predicted, seen: (B, n, K) and (R, K) lip motion read off recalled and true features.
        guessed: (B, n, K) lip motion read off the audio features themselves.
    """

    recalled: Tensor
    teacher_forced: Tensor
    lips: Tensor
    stored: Stored
    audio_embedding: Tensor
    predicted: Tensor
    seen: Tensor
    guessed: Tensor


class TrainedMemory(nn.Module):
    """The talker with what only training needs.

    Lip encoder; linear probes of lip motion, ``reader`` on lip features (true or recalled) and
    ``ear`` on audio features; and the switch of the sync loss, which a resumed run must remember.
    """

    sync_on: Tensor

    def __init__(
        self, talker: MemoryTalker, lips: LipEncoder, lip_dim: int, motions: int, reads: bool
    ) -> None:
        super().__init__()
        self.talker, self.lips, self.reads = talker, lips, reads
        self.reader = talker.mover.reader if talker.mover else nn.Linear(lip_dim, motions)
        audio_dim = talker.memory.embed_audio.in_features
        self.ear = nn.Linear(audio_dim, motions)
        self.register_buffer("sync_on", torch.tensor(False))

    def forward(self, batch: TalkingBatch, draw: bool = True) -> Made:
        """Encode speech and lips, store, and draw (or not)."""
        talker = self.talker
        count = len(batch.drawn_frames)
        features = talker.audio.sequence(batch.speech)
        recalled, addresses = talker.recall(features)
        windows = batch.windows.flatten(0, 1)
        lips = self.lips(windows)
        further = self.further(batch).float()
        stored = talker.memory.store(torch.cat([lips.float(), further]))
        audio_embedding = torch.cat(
            [
                at_frames(addresses[:count], batch.drawn_frames),
                at_frames(addresses, batch.lip_frames),
            ]
        )
        images = [batch.target.new_zeros(0, *batch.target.shape[2:])] * 2
        if draw:
            target = batch.target.flatten(0, 1)
            times = batch.drawn_frames.shape[1]
            reference, where, motion = (
                x.repeat_interleave(times, 0)
                for x in (batch.reference, batch.reference_lips, batch.reference_motion)
            )
            audio = at_frames(features[:count], batch.drawn_frames)
            key = at_frames(recalled[:count], batch.drawn_frames)
            images = [
                talker.draw(feature, audio, target, reference, where, motion)
                for feature in (key, lips)
            ]
        return Made(
            images[0],
            images[1],
            lips,
            stored,
            audio_embedding,
            self.reader(recalled),
            self.reader(torch.cat([lips.float(), further])),
            self.ear(features),
        )

    def further(self, batch: TalkingBatch) -> Tensor:
        """(B M, C) features of the further lip windows.

        Under ``vam`` only the probe can train the lip encoder by them; without it, no graph is
        kept.
        """
        wanted = self.reads or self.talker.memory.rule == "literal"
        with torch.set_grad_enabled(wanted and torch.is_grad_enabled()):
            pictures = batch.lips.flatten(0, 1).float() / 127.5 - 1.0
            out: Tensor = self.lips.encode(fold_time(pictures, self.lips.grey))
        return out


def at_frames(values: Tensor, frames: Tensor) -> Tensor:
    """(B, n, C) values at (B, M) frames -> (B M, C)."""
    index = frames[:, :, None].expand(-1, -1, values.shape[-1])
    return values[: len(frames)].gather(1, index).flatten(0, 1)
