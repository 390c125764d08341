"""The Audio-Lip Memory method as inference sees it: audio and identity frames in, a face out.

Park et al. (AAAI 2022), the path of ``I_g = G(f_lip_key (+) f_aud, f_I)``. The lip encoder is no
part of this module, and so cannot be called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lipwright.models.memory import AudioLipMemory
from lipwright.models.memory_audio import AudioEncoder
from lipwright.models.memory_face import FaceDecoder, IdentityEncoder
from lipwright.models.memory_mover import ReferenceMover


class MemoryTalker(nn.Module):
    """Audio encoder, memory, identity encoder and decoder.

    Args:
        size: side S of the crop.
        lip_dim: C, length of lip features and slots.
        audio_dim: length of audio features.
        memory, audio, identity, decoder: further arguments of the parts.
        recall: ``memory``, or ``audio``: the ablation in which a linear map of the audio feature
            takes the place of what the memory recalls.
        move: arguments of :class:`~lipwright.models.memory_mover.ReferenceMover`; None draws from
            the reference as it is.
    """

    def __init__(
        self,
        size: int = 128,
        lip_dim: int = 512,
        audio_dim: int = 512,
        memory: Mapping[str, Any] | None = None,
        audio: Mapping[str, Any] | None = None,
        identity: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        recall: str = "memory",
        move: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if recall not in ("memory", "audio"):
            raise ValueError("recall is 'memory' or 'audio'")
        identity, decoder = dict(identity or {}), dict(decoder or {})
        self.size = size
        self.audio = AudioEncoder(audio_dim, **(audio or {}))
        self.memory = AudioLipMemory(dim=lip_dim, audio_dim=audio_dim, **(memory or {}))
        self.identity = IdentityEncoder(size, **identity)
        shared: dict[str, Any] = {k: identity[k] for k in ("patch", "groups") if k in identity}
        if "channels" in identity:
            shared["encoder"] = identity["channels"]
        self.decoder = FaceDecoder(size, lip_dim, audio_dim, **{**shared, **decoder})
        self.mover = ReferenceMover(lip_dim, size, **move) if move is not None else None
        self.bypass = nn.Linear(audio_dim, lip_dim) if recall == "audio" else None

    def recall(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Audio features (..., C_aud) to lip features (..., C) and addresses (..., S)."""
        where = self.memory.address_audio(audio)
        if self.bypass is not None:
            return self.bypass(audio), where
        return self.memory.recall(where), where

    def draw(
        self,
        lips: Tensor,
        audio: Tensor,
        target: Tensor,
        reference: Tensor,
        where: Tensor | None = None,
        motion: Tensor | None = None,
        articulation: float = 1.0,
        rest: Tensor | None = None,
    ) -> Tensor:
        """(B, 3, S, S) in [-1, 1]: what the decoder draws.

        Where it draws the lower half only, the target's own upper half completes it.

        Args:
            lips: (B, C) lip features, recalled or true.
            audio: (B, C_aud) audio features.
            target: (B, 3, S, S) in [-1, 1], of which only the upper half is seen.
            reference: (B, 3, S, S) in [-1, 1].
            where: (B, P, 2) lip points of the reference, where it is moved.
            motion: (B, K) its lip motion.
            articulation: of the mover.
            rest: (1, C) lip feature for which it lets lips rest.
        """
        if self.mover is not None:
            if where is None or motion is None:
                raise ValueError("a reference is moved from where its lips are: give both")
            moved = self.mover(lips, reference, where, motion, articulation, rest)
            reference = moved.to(reference.dtype)
        drawn: Tensor = self.decoder(lips, audio, self.identity(target, reference), reference)
        if not self.decoder.lower:
            return drawn
        return torch.cat([target[:, :, : self.size // 2].to(drawn.dtype), drawn], dim=2)

    def forward(
        self,
        target: Tensor,
        reference: Tensor,
        mel: Tensor,
        where: Tensor | None = None,
        motion: Tensor | None = None,
    ) -> Tensor:
        """I_g, (B, 3, S, S) in [-1, 1], from (B, 80, steps) mel; the rest as in :meth:`draw`."""
        audio_features = self.audio(mel)
        lips, _ = self.recall(audio_features)
        return self.draw(lips, audio_features, target, reference, where, motion)
