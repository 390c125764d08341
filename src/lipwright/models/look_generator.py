"""A lip-sync generator in code space that draws on several looks of the person.

The paper's generator (:mod:`lipwright.models.generator`) sees one reference frame through a
bottleneck, and published reviews of it name the result: lips that look alike on everybody. Here a
handful of reference frames ("looks": mouth closed, half open, open) is encoded once per video, and
at every cell the decoder attends to these looks with a query that knows what the lips shall do. As
the crops are aligned, the same cell of every look shows the same part of the face, so attention
over looks at one cell is enough.

What the lips shall do is a motion of :class:`~lipwright.models.lip_space.LipSpace`, and every look
comes with its own. In training it is the true one; at inference
:class:`~lipwright.models.speech_lips.SpeechToLips` tells it from speech. The network that draws so
never has to guess, and does not answer doubt with blur; docs/methods/vq.md compares. Attention
starts from how near a look's motion is to the wanted one, and the drawing from the codes so mixed:
before its first step the network is a kernel regression over looks, and it learns the rest.

Codes, poses and the rest of training are those of Gupta et al. (WACV 2023, section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.blocks import norm


@dataclass
class Looks:
    """Encoded reference frames.

    Attributes:
        keys, values: per attention site, (B, R, C, h, w) each.
        codes: (B, R, D, 16, 16), the reference codes themselves.
        motions: (B, R, K), what the lips do in them.
    """

    keys: list[Tensor]
    values: list[Tensor]
    codes: Tensor
    motions: Tensor

    def pack(self) -> tuple[Tensor, ...]:
        """As plain tensors, for a graph's inputs; :meth:`unpack` is the inverse."""
        return (*self.keys, *self.values, self.codes, self.motions)

    @staticmethod
    def unpack(tensors: Sequence[Tensor]) -> Looks:
        """From the tensors of :meth:`pack`."""
        n = (len(tensors) - 2) // 2
        return Looks(list(tensors[:n]), list(tensors[n : 2 * n]), tensors[-2], tensors[-1])


class ModulatedBlock(nn.Module):
    """Residual block whose second normalisation is scaled and shifted by the control vector."""

    def __init__(self, channels: int, control: int, groups: int) -> None:
        super().__init__()
        self.norm1 = norm(channels, groups)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = norm(channels, groups)
        self.modulate = nn.Linear(control, 2 * channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        # The block starts as the identity plus little, and the control without effect.
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, control: Tensor) -> Tensor:
        """X (B, C, h, w), control (B, S) -> (B, C, h, w)."""
        scale, shift = self.modulate(control)[:, :, None, None].chunk(2, dim=1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.norm2(h) * (1.0 + scale) + shift
        out: Tensor = x + self.conv2(F.silu(h))
        return out


class LookAttention(nn.Module):
    """At every cell: multi-head attention over the R looks at that cell.

    A look counts the less the further its lip motion is from the wanted one: half the squared
    distance, weighted by a learned nearness of every component, is taken off its score.
    """

    def __init__(
        self, channels: int, look_channels: int, heads: int, groups: int, lip_dim: int
    ) -> None:
        super().__init__()
        self.heads = heads
        self.width = channels // heads
        self.norm = norm(channels, groups)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(look_channels, channels, 1)
        self.value = nn.Conv2d(look_channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.nearness = nn.Parameter(torch.ones(lip_dim))
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)  # type: ignore[arg-type]

    def encode(self, look: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of look features (N, C_look, h, w)."""
        return self.key(look), self.value(look)

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, motions: Tensor, lips: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            x: (B, C, h, w).
            keys: (B, R, C, h, w), or (1, R, C, h, w) for one face.
            values: the same.
            motions: (B or 1, R, K) of the looks.
            lips: (B, K) wanted.

        Returns:
            x with what it found added, and the weights of the looks (B, R, 1, h, w), mean of heads.
        """
        b, c, h, w = x.shape
        d = self.width
        q = self.query(self.norm(x)).reshape(b, 1, self.heads, d, h, w)
        k = keys.reshape(*keys.shape[:2], self.heads, d, h, w)
        v = values.reshape(*values.shape[:2], self.heads, d, h, w)
        score = (q * k).sum(3, keepdim=True) / math.sqrt(d)
        apart = ((motions - lips.unsqueeze(1)).square() * self.nearness).sum(2)
        score = score - 0.5 * apart[:, :, None, None, None, None]
        weights = score.softmax(1)
        mixed = (weights * v).sum(1).reshape(b, c, h, w)
        return x + self.project(mixed), weights.mean(2)


class LookGenerator(nn.Module):
    """U-Net on pose codes, modulated by a lip motion, attending to looks.

    Args:
        code_dim: channels D of a code grid.
        channels: widths at 16, 8 and 4 cells.
        blocks: residual blocks at 16 (decoder), 8 (decoder) and 4 cells.
        control: length of the vector that a motion becomes.
        heads: attention heads.
        groups: of the group normalisation.
        lip_dim: length K of a lip motion.
        pose_dim: channels of the pose codes, where they are not D.
    """

    def __init__(
        self,
        code_dim: int = 64,
        channels: Sequence[int] = (128, 160, 224),
        blocks: Sequence[int] = (2, 1, 1),
        control: int = 128,
        heads: int = 4,
        groups: int = 16,
        lip_dim: int = 8,
        pose_dim: int | None = None,
    ) -> None:
        super().__init__()
        c16, c8, c4 = channels
        self.code_dim = code_dim
        self.lip_dim = lip_dim
        self.control = nn.Sequential(
            nn.Linear(lip_dim, control), nn.SiLU(), nn.Linear(control, control)
        )
        self.place = nn.Parameter(0.02 * torch.randn(1, c16, 16, 16))

        self.look_stem = nn.Conv2d(code_dim, c16, 3, padding=1)
        self.look_motion = nn.Linear(control, c16)
        self.look16 = nn.Sequential(norm(c16, groups), nn.SiLU(), nn.Conv2d(c16, c16, 3, padding=1))
        self.look8 = nn.Sequential(
            norm(c16, groups), nn.SiLU(), nn.Conv2d(c16, c8, 3, stride=2, padding=1)
        )

        self.stem = nn.Conv2d(pose_dim or code_dim, c16, 3, padding=1)
        self.enc16 = ModulatedBlock(c16, control, groups)
        self.down8 = nn.Conv2d(c16, c8, 3, stride=2, padding=1)
        self.enc8 = ModulatedBlock(c8, control, groups)
        self.see8 = LookAttention(c8, c8, heads, groups, lip_dim)
        self.down4 = nn.Conv2d(c8, c4, 3, stride=2, padding=1)
        self.mid4 = nn.ModuleList(ModulatedBlock(c4, control, groups) for _ in range(blocks[2]))
        self.up8 = nn.Conv2d(c4, c8, 3, padding=1)
        self.dec8 = nn.ModuleList(ModulatedBlock(c8, control, groups) for _ in range(blocks[1]))
        self.look_at8 = LookAttention(c8, c8, heads, groups, lip_dim)
        self.up16 = nn.Conv2d(c8, c16, 3, padding=1)
        self.look_at16 = LookAttention(c16, c16, heads, groups, lip_dim)
        self.dec16 = nn.ModuleList(ModulatedBlock(c16, control, groups) for _ in range(blocks[0]))
        self.head = nn.Sequential(
            norm(c16, groups), nn.SiLU(), nn.Conv2d(c16, code_dim, 3, padding=1)
        )
        # The codes of the looks, weighted as the last attention weighs them, go straight into the
        # result, and at first nothing else does: copying is where the network starts from, and what
        # keeps a person's own lips and teeth.
        for p in self.head[-1].parameters():
            nn.init.zeros_(p)
        # Sharpness of the softmax over entries; exp keeps it positive.
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(12.0)))

    def encode_looks(self, looks: Tensor, motions: Tensor) -> Looks:
        """Reference codes (B, R, D, 16, 16) and what their lips do (B, R, K); once per video."""
        b, r = looks.shape[:2]
        told = self.look_motion(F.silu(self.control(motions.flatten(0, 1))))
        x16 = self.look_stem(looks.flatten(0, 1)) + told[:, :, None, None]
        x16 = x16 + self.look16(x16)
        x8 = self.look8(x16)
        keys, values = [], []
        for site, x in ((self.see8, x8), (self.look_at8, x8), (self.look_at16, x16)):
            k, v = site.encode(x)
            keys.append(k.reshape(b, r, *k.shape[1:]))
            values.append(v.reshape(b, r, *v.shape[1:]))
        return Looks(keys, values, looks, motions)

    def forward(self, pose: Tensor, looks: Looks, lips: Tensor) -> Tensor:
        """Draw code grids.

        Args:
            pose: (B, D, 16, 16) Pose-VQGAN codes.
            looks: of the same batch size, or of one for all, from :meth:`encode_looks`.
            lips: (B, K) motion that the lips shall show, 0 at rest.

        Returns:
            (B, D, 16, 16) code vectors of length sqrt(D), not snapped.
        """
        a = F.silu(self.control(lips))
        x16 = self.enc16(self.stem(pose) + self.place, a)
        x8 = self.enc8(self.down8(x16), a)
        x8, _ = self.see8(x8, looks.keys[0], looks.values[0], looks.motions, lips)
        x = self.down4(x8)
        for block in self.mid4:
            x = block(x, a)
        x = self.up8(F.interpolate(x, scale_factor=2.0)) + x8
        x, _ = self.look_at8(x, looks.keys[1], looks.values[1], looks.motions, lips)
        for block in self.dec8:
            x = block(x, a)
        x = self.up16(F.interpolate(x, scale_factor=2.0)) + x16
        x, weights = self.look_at16(x, looks.keys[2], looks.values[2], looks.motions, lips)
        for block in self.dec16:
            x = block(x, a)
        copied = (weights.float() * looks.codes).sum(1)
        drawn = self.head(x).float() + copied
        return F.normalize(drawn, dim=1, eps=1e-6) * math.sqrt(self.code_dim)

    def logits(self, codes: Tensor, codebook: Tensor) -> Tensor:
        """(B, D, h, w) code vectors, (N, D) entries -> (B, N, h, w) log-odds of the entries."""
        unit = codes / math.sqrt(self.code_dim)
        entries = F.normalize(codebook.float(), dim=1)
        cosine: Tensor = torch.einsum("bdhw,nd->bnhw", unit, entries)
        return cosine * self.log_sharpness.exp()


def soft_codes(logits: Tensor, codebook: Tensor) -> Tensor:
    """Expected entry under softmax(logits), brought back to the entries' length.

    (B, N, h, w), (N, D) -> (B, D, h, w). Smoother in time than the most likely entry, and sharper
    than the raw vector.
    """
    mean: Tensor = torch.einsum("bnhw,nd->bdhw", logits.softmax(1), codebook.float())
    length: Tensor = codebook.float().norm(dim=1).mean()
    return F.normalize(mean, dim=1, eps=1e-6) * length
