"""A lip-sync generator in code space that draws on many reference frames of the person.

The paper's generator (:mod:`lipwright.models.generator`) sees one reference frame through a
bottleneck, and published reviews of it name the result: lips that look alike on everybody. Here a
few dozen frames of the person (the gallery) are encoded once per video. At every cell their codes
are mixed, and a U-Net corrects the mixture. A reference counts the more

* the nearer its lip motion is to the wanted one (a kernel with a learned width per component),
* the more alike the heads are held (cosine of the Pose-VQGAN's codes),
* the better its features answer the cell's query (attention over references; as the crops are
  aligned, the same cell of every reference shows the same part of the face).

The correction starts at zero, so before its first step the network is a kernel regression over the
person's own mouths, and it keeps beard, teeth and colours from there.

The lips follow a motion of :class:`~lipwright.models.lip_space.LipSpace`. In training it
is the true one; at inference :class:`~lipwright.models.speech_lips.SpeechToLips` predicts it from
speech. The network that draws does not average over what the speech leaves open, which would blur;
docs/methods/vq.md compares. Codes and poses are those of Gupta et al. (WACV 2023, section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.layers import FiLM, norm

POSE_CELLS = (slice(3, 9), slice(3, 13))
"""Rows and columns of the pose codes that are compared: eyes and nose, without the background."""
MOUTH_CELLS = (slice(9, 14), slice(5, 11))
"""Rows and columns of the codes that show the mouth."""


@dataclass
class ReferenceCodes:
    """Encoded reference frames.

    Attributes:
        codes: (B, R, D, 16, 16), their codes.
        keys: (B, R, C, 16, 16), what answers a query.
        poses: (B, R, P) pose codes in :data:`POSE_CELLS`, of length 1.
        motions: (B, R, K), what the lips do in them.
    """

    codes: Tensor
    keys: Tensor
    poses: Tensor
    motions: Tensor

    def pack(self) -> tuple[Tensor, ...]:
        """As plain tensors, for a graph's inputs: ``ReferenceCodes(*tensors)`` is the inverse."""
        return self.codes, self.keys, self.poses, self.motions

    def each(self, n: int) -> ReferenceCodes:
        """The references of B faces for n frames of each: (B, ...) -> (B n, ...)."""
        return ReferenceCodes(*(x.repeat_interleave(n, dim=0) for x in self.pack()))


class ModulatedBlock(nn.Module):
    """Residual block whose second normalisation is scaled and shifted by the control vector."""

    def __init__(self, channels: int, control: int, groups: int) -> None:
        super().__init__()
        self.norm1 = norm(channels, groups)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = norm(channels, groups)
        self.modulate = FiLM(control, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        # The block starts as the identity plus little, and the control without effect.
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, control: Tensor) -> Tensor:
        """X (B, C, h, w), control (B, S) -> (B, C, h, w)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.modulate.modulate(self.norm2(h), control)
        out: Tensor = x + self.conv2(F.silu(h))
        return out


class ReferenceAttention(nn.Module):
    """Attention over references: a query for every cell of a frame, and keys of the references."""

    def __init__(
        self,
        code_dim: int,
        pose_dim: int,
        lip_dim: int,
        channels: int,
        control: int,
        key: int,
        groups: int,
    ) -> None:
        super().__init__()
        self.key_dim = key
        self.control = nn.Sequential(
            nn.Linear(lip_dim, control), nn.SiLU(), nn.Linear(control, control)
        )
        self.place = nn.Parameter(0.02 * torch.randn(1, channels, 16, 16))
        self.reference_stem = nn.Conv2d(code_dim + pose_dim, channels, 3, padding=1)
        self.reference_motion = nn.Linear(control, channels)
        self.key = nn.Sequential(
            norm(channels, groups), nn.SiLU(), nn.Conv2d(channels, key, 3, padding=1)
        )
        self.pose_stem = nn.Conv2d(pose_dim, channels, 3, padding=1)
        self.block = ModulatedBlock(channels, control, groups)
        self.query = nn.Conv2d(channels, key, 1)
        _silence(self.query)  # at first motion and pose alone decide

    def keys(self, codes: Tensor, poses: Tensor, motions: Tensor) -> Tensor:
        """(B, R, C, 16, 16) of references, see :meth:`GalleryGenerator.encode_references`."""
        b, r = codes.shape[:2]
        predicted = self.reference_motion(F.silu(self.control(motions.flatten(0, 1))))
        x = self.reference_stem(torch.cat([codes, poses], dim=2).flatten(0, 1))
        keys: Tensor = self.key(x + predicted[:, :, None, None])
        return keys.reshape(b, r, *keys.shape[1:])

    def forward(self, pose: Tensor, lips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Control vector (B, S), what is seen of the pose (B, c, 16, 16), query (B, C, 16, 16)."""
        control = F.silu(self.control(lips))
        seen = self.pose_stem(pose) + self.place
        return control, seen, self.query(self.block(seen, control))


class Correction(nn.Module):
    """U-Net from a mixture of codes to what is to be added to it; nothing, at first."""

    def __init__(
        self,
        code_dim: int,
        channels: Sequence[int],
        blocks: Sequence[int],
        control: int,
        groups: int,
    ) -> None:
        super().__init__()
        c16, c8, c4 = channels
        self.stem = nn.Conv2d(code_dim, c16, 3, padding=1)
        self.enc16 = ModulatedBlock(c16, control, groups)
        self.down8 = nn.Conv2d(c16, c8, 3, stride=2, padding=1)
        self.enc8 = ModulatedBlock(c8, control, groups)
        self.down4 = nn.Conv2d(c8, c4, 3, stride=2, padding=1)
        self.mid4 = nn.ModuleList(ModulatedBlock(c4, control, groups) for _ in range(blocks[2]))
        self.up8 = nn.Conv2d(c4, c8, 3, padding=1)
        self.dec8 = nn.ModuleList(ModulatedBlock(c8, control, groups) for _ in range(blocks[1]))
        self.up16 = nn.Conv2d(c8, c16, 3, padding=1)
        self.dec16 = nn.ModuleList(ModulatedBlock(c16, control, groups) for _ in range(blocks[0]))
        last = nn.Conv2d(c16, code_dim, 3, padding=1)
        self.head = nn.Sequential(norm(c16, groups), nn.SiLU(), last)
        _silence(last)

    def forward(self, mixed: Tensor, seen: Tensor, control: Tensor) -> Tensor:
        """Mixed codes (B, D, 16, 16), pose features (B, c16, 16, 16), control -> (B, D, 16, 16)."""
        x16 = self.enc16(self.stem(mixed) + seen, control)
        x8 = self.enc8(self.down8(x16), control)
        x = self.down4(x8)
        for block in self.mid4:
            x = block(x, control)
        x = self.up8(F.interpolate(x, scale_factor=2.0)) + x8
        for block in self.dec8:
            x = block(x, control)
        x = self.up16(F.interpolate(x, scale_factor=2.0)) + x16
        for block in self.dec16:
            x = block(x, control)
        out: Tensor = self.head(x).float()
        return out


def _silence(layer: nn.Conv2d) -> None:
    """Let a layer answer nothing until it has learned something."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class GalleryGenerator(nn.Module):
    """Mixes the codes of references, cell by cell, and corrects the mixture.

    Args:
        code_dim: channels D of a face code grid.
        pose_dim: channels of a pose code grid, where they are not D.
        lip_dim: length K of a lip motion.
        nearness: K weights of squared distances between motions; None learns them. Learned on true
            motions they count every component, but speech tells some of them only.
        pose_gain: how much the similarity of poses counts, at first or for good.
        correct: whether attention and U-Net are there at all. Without them nothing is left to
            train, and the network is the kernel regression alone.
        channels: widths of the U-Net at 16, 8 and 4 cells.
        blocks: its residual blocks at 16 (decoder), 8 (decoder) and 4 cells.
        control: length of the vector that a motion becomes.
        key: channels C of queries and keys.
        groups: of the group normalisation.
    """

    def __init__(
        self,
        code_dim: int = 64,
        pose_dim: int | None = None,
        lip_dim: int = 8,
        nearness: Sequence[float] | None = None,
        pose_gain: float = 20.0,
        correct: bool = True,
        channels: Sequence[int] = (128, 160, 224),
        blocks: Sequence[int] = (2, 1, 1),
        control: int = 128,
        key: int = 32,
        groups: int = 16,
    ) -> None:
        super().__init__()
        self.code_dim = code_dim
        self.lip_dim = lip_dim
        if nearness is None and correct:
            self.nearness = nn.Parameter(torch.full((lip_dim,), 2.0))
        else:
            fixed = torch.tensor([2.0] * lip_dim if nearness is None else [*map(float, nearness)])
            self.register_buffer("nearness", fixed)
        if correct:
            self.pose_gain = nn.Parameter(torch.tensor(float(pose_gain)))
        else:
            self.register_buffer("pose_gain", torch.tensor(float(pose_gain)))
        self.ask: ReferenceAttention | None = None
        self.correction: Correction | None = None
        if correct:
            pose_dim = pose_dim or code_dim
            self.ask = ReferenceAttention(
                code_dim, pose_dim, lip_dim, channels[0], control, key, groups
            )
            self.correction = Correction(code_dim, channels, blocks, control, groups)
        # Sharpness of the softmax over entries; exp keeps it positive.
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(12.0)), requires_grad=correct)

    def encode_references(self, codes: Tensor, poses: Tensor, motions: Tensor) -> ReferenceCodes:
        """Encode references, once per video.

        Args:
            codes: (B, R, D, 16, 16) face codes.
            poses: (B, R, D', 16, 16) pose codes of the same frames.
            motions: (B, R, K) what their lips do.
        """
        compared = poses[:, :, :, POSE_CELLS[0], POSE_CELLS[1]]
        if self.ask is None:
            return self.compared_references(codes, compared, motions)
        held = F.normalize(compared.flatten(2).float(), dim=2)
        return ReferenceCodes(codes, self.ask.keys(codes, poses, motions), held, motions)

    def compared_references(
        self, codes: Tensor, compared: Tensor, motions: Tensor
    ) -> ReferenceCodes:
        """References of a generator without attention, which looks at some cells of the poses.

        Args:
            codes: as in :meth:`encode_references`.
            compared: (B, R, D', rows, columns) pose codes of :data:`POSE_CELLS`.
            motions: as there.
        """
        held = F.normalize(compared.flatten(2).float(), dim=2)
        return ReferenceCodes(codes, codes[:, :, :1], held, motions)  # no query will be asked

    def forward(
        self, pose: Tensor, references: ReferenceCodes, lips: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draw code grids.

        Args:
            pose: (B, D', 16, 16) Pose-VQGAN codes.
            references: of the same batch size, or of one for all, from :meth:`encode_references`.
            lips: (B, K) motion that the lips shall show, 0 at rest.

        Returns:
            (B, D, 16, 16) code vectors of length sqrt(D), not requantised, and the kernel
            weights of the references (B, R), their mean over :data:`MOUTH_CELLS`.
        """
        compared = pose[:, :, POSE_CELLS[0], POSE_CELLS[1]]
        if self.ask is None:
            return self.mix(compared, references, lips)
        score = self.score(compared, references, lips)[:, :, None, None]
        control, seen, query = self.ask(pose, lips)
        answer = (references.keys * query.unsqueeze(1)).sum(2) / math.sqrt(self.ask.key_dim)
        weights = (score + answer).float().softmax(1)
        drawn = (weights.unsqueeze(2) * references.codes.float()).sum(1)
        if self.correction is not None:
            drawn = drawn + self.correction(drawn, seen, control)
        mouth = weights.expand(-1, -1, 16, 16)[:, :, MOUTH_CELLS[0], MOUTH_CELLS[1]]
        return self._of_length(drawn), mouth.mean(dim=(2, 3))

    def mix(
        self, compared: Tensor, references: ReferenceCodes, lips: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` draws without attention and correction: the same weights everywhere.

        Args:
            compared: (B, D', rows, columns) pose codes of :data:`POSE_CELLS`.
            references: as there, of one for all.
            lips: (B, K) motion.
        """
        weights = self.score(compared, references, lips).float().softmax(1)
        codes = references.codes.float()
        if len(codes) == 1:
            drawn = (weights @ codes[0].flatten(1)).reshape(-1, *codes.shape[2:])
        else:
            drawn = (weights[:, :, None, None, None] * codes).sum(1)
        return self._of_length(drawn), weights

    def _of_length(self, drawn: Tensor) -> Tensor:
        return F.normalize(drawn, dim=1, eps=1e-6) * math.sqrt(self.code_dim)

    def score(self, compared: Tensor, references: ReferenceCodes, lips: Tensor) -> Tensor:
        """(B, R): how much each reference counts, as log-odds, by its motion and its pose, of which
        :data:`POSE_CELLS` are given.
        """
        apart = ((references.motions - lips.unsqueeze(1)).square() * self.nearness).sum(2)
        held = F.normalize(compared.flatten(1).float(), dim=1)
        alike = (references.poses * held.unsqueeze(1)).sum(2)
        score: Tensor = self.pose_gain * alike - 0.5 * apart
        return score

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
