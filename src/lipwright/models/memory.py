"""The Audio-Lip Memory: lip features stored in slots that audio can find again.

Park et al., "SyncTalkFace: Talking Face Generation with Precise Lip-Syncing via Audio-Lip Memory"
(AAAI 2022). Two memories of S slots and C numbers each: the value memory ``M_lip`` holds lip
motions, the key memory ``M_aud`` is what audio is compared with. For a feature f and a memory M

    alpha_i = softmax_i(kappa * cos(M_i, e(f)))                             (address)
    f_lip_val = A_lip . M_lip,   L_store = ||f_lip - f_lip_val||_2^2        (store)
    L_align = KL(A_lip || A_aud)                                            (align)
    f_lip_key = A_aud . M_lip                                               (recall)

A_lip addresses M_lip with lip features, A_aud addresses M_aud with audio features; ``e`` is a
linear embedding of each side. At inference only the last line is computed, from audio alone.

The paper does not say through which of these terms gradients flow. Two rules:

* ``vam`` (default), after the same laboratory's Visual-Audio Memory (Kim et al., ICCV 2021):
  storing sees the lip feature as data (trains memory and embedding, not the lip encoder);
  alignment sees the lip address as data (only the audio side moves); recalling sees the slots as
  data (drawing never overwrites what is stored).
* ``literal``: the equations as they stand, nothing detached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GradientRule = Literal["vam", "literal"]
SMALLEST = 1e-8
"""Added inside logarithms of addresses, as VAM does."""


@dataclass(frozen=True)
class Stored:
    """What the lip side of the memory says of lip features, as the losses see it.

    Attributes:
        address: (..., S) A_lip, rows sum to 1; without gradient under ``vam``.
        recalled: (..., C) f_lip_val = A_lip . M_lip.
        target: (..., C) f_lip, which ``recalled`` should equal; without gradient under ``vam``.
        used: the address with its gradient towards slots and embedding, under either rule.
    """

    address: Tensor
    recalled: Tensor
    target: Tensor
    used: Tensor


class AudioLipMemory(nn.Module):
    """Key and value memory with their embeddings.

    Args:
        slots: S. VAM uses 88 and 168, its successor 112; no source reached gives SyncTalkFace's.
        dim: C, length of lip features and slots.
        kappa: scaling of the cosine before the softmax (VAM's "radius", 16).
        rule: which gradients flow, see above.
        audio_dim: length of audio features; C by default.
        rate: slots are learnt so many times as fast as all else: kept as parameters divided by it.
            Adam moves a number by about the learning rate a step, and slots have to cross the space
            of features while weights need small steps only. 1 in the paper.
    """

    def __init__(
        self,
        slots: int = 96,
        dim: int = 512,
        kappa: float = 16.0,
        rule: GradientRule = "vam",
        audio_dim: int | None = None,
        rate: float = 1.0,
    ) -> None:
        super().__init__()
        self.kappa, self.rule, self.rate = kappa, rule, rate
        # N(0, 0.5) as VAM initialises both. No bias in the embeddings: an address depends on the
        # direction of a feature alone.
        self.key = nn.Parameter(torch.randn(slots, dim) * 0.5 / rate)
        self.value = nn.Parameter(torch.randn(slots, dim) * 0.5 / rate)
        self.embed_audio = nn.Linear(audio_dim or dim, dim, bias=False)
        self.embed_lips = nn.Linear(dim, dim, bias=False)

    @property
    def slots(self) -> int:
        """Number of slots S."""
        return len(self.key)

    def address_audio(self, audio: Tensor) -> Tensor:
        """A_aud (..., S) of audio features (..., C_aud)."""
        return address(self.embed_audio, audio, self.key, self.kappa)

    def address_lips(self, lips: Tensor) -> Tensor:
        """A_lip (..., S) of lip features (..., C)."""
        return address(self.embed_lips, lips, self.value, self.kappa)

    def store(self, lips: Tensor) -> Stored:
        """Address and reconstruct lip features (..., C)."""
        lips = lips.float()
        if self.rule == "vam":
            lips = lips.detach()
        found = self.address_lips(lips)
        seen = found.detach() if self.rule == "vam" else found
        return Stored(seen, read(found, self.value * self.rate), lips, found)

    @torch.no_grad()
    def initialise(self, audio: Tensor, lips: Tensor) -> None:
        """Fill both memories with the features of clusters, as many as there are slots.

        Embeddings become the identity where they can, so that a feature finds the slot that it is
        most like.

        Args:
            audio: (S, C_aud) audio features.
            lips: (S, C) lip features of the same moments.
        """
        for embed in (self.embed_audio, self.embed_lips):
            if embed.in_features == embed.out_features:
                nn.init.eye_(embed.weight)
        self.key.copy_(self.embed_audio(audio.float()) / self.rate)
        self.value.copy_(lips.float() / self.rate)

    def recall(self, where: Tensor) -> Tensor:
        """f_lip_key (..., C) at addresses (..., S): a point in the convex hull of the slots."""
        slots = self.value * self.rate
        return read(where, slots.detach() if self.rule == "vam" else slots)


def address(embed: nn.Module, feature: Tensor, memory: Tensor, kappa: float) -> Tensor:
    """softmax(kappa * cosine) of embedded features (..., D) over slots (S, C): (..., S).

    In float32: the cosines of neighbouring slots differ by less than bfloat16 resolves.
    """
    with torch.autocast(feature.device.type, enabled=False):
        query = F.normalize(embed(feature.float()), dim=-1)
        return torch.softmax(kappa * (query @ F.normalize(memory.float(), dim=-1).T), dim=-1)


def read(where: Tensor, memory: Tensor) -> Tensor:
    """Addresses (..., S) times slots (S, C), in float32."""
    with torch.autocast(where.device.type, enabled=False):
        return where.float() @ memory.float()


def effective_slots(addresses: Tensor) -> float:
    """exp(entropy of the mean address) of (..., S): S if all slots share the work, 1 if one."""
    mean = addresses.reshape(-1, addresses.shape[-1]).double().mean(0)
    return float(torch.exp(-(mean * (mean + 1e-12).log()).sum()))


def sharpness(addresses: Tensor) -> float:
    """Mean over rows of exp(entropy): how many slots one address mixes."""
    rows = addresses.reshape(-1, addresses.shape[-1]).double()
    return float(torch.exp(-(rows * (rows + 1e-12).log()).sum(-1)).mean())
