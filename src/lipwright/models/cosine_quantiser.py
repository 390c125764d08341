"""A codebook on the unit sphere, kept by moving averages, with revival of dead entries.

The small configurations use this instead of :mod:`lipwright.models.quantiser`: with little data and
few steps a gradient-trained Euclidean codebook collapses to a handful of entries, while cosine
codes (Yu et al., "Vector-quantized image modeling with improved VQGAN", ICLR 2022, section 3.2)
updated by exponential moving averages (van den Oord et al. 2017, appendix A.1) stay in use when
entries that nobody picks are re-seeded from encoder outputs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from lipwright.models.quantiser import Quantised


class CosineQuantiser(nn.Module):
    """Nearest entry by cosine; entries follow the mean of the latents that chose them.

    Latents and entries are unit vectors times sqrt(D), so that every component has variance near
    one and networks on top need no extra scaling.

    Args:
        n_codes: number of entries N.
        dim: entry length D.
        beta: weight of the commitment loss ``2 - 2 cos(z, entry)``, mean over positions.
        decay: of the moving averages.
        revive_below: an entry whose moving count falls below this is dead.
        revive_every: training calls between two revivals.
        warmup: training calls during which latents pass unquantised; afterwards the entries are
            seeded from encoder outputs. (Random entries collapse to a handful at once.)
    """

    counts: Tensor
    sums: Tensor
    entries: Tensor
    calls: Tensor

    def __init__(
        self,
        n_codes: int = 1024,
        dim: int = 64,
        beta: float = 0.25,
        decay: float = 0.99,
        revive_below: float = 0.1,
        revive_every: int = 10,
        warmup: int = 150,
    ) -> None:
        super().__init__()
        self.beta = beta
        self.decay = decay
        self.revive_below = revive_below
        self.revive_every = revive_every
        self.warmup = warmup
        self.scale: float = math.sqrt(dim)
        entries = F.normalize(torch.randn(n_codes, dim), dim=1)
        self.register_buffer("entries", entries)
        self.register_buffer("counts", torch.ones(n_codes))
        self.register_buffer("sums", entries.clone())
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    @property
    def codebook(self) -> Tensor:
        """(N, D) the entries, scaled to unit component variance."""
        return self.entries * self.scale

    def nearest(self, z: Tensor) -> Tensor:
        """(B, D, H, W) latents -> (B, H, W) int64 index of the entry with the largest cosine."""
        cosine: Tensor = z.permute(0, 2, 3, 1).float() @ self.entries.float().T
        return cosine.argmax(-1)

    def lookup(self, indices: Tensor) -> Tensor:
        """(B, H, W) integer indices -> (B, D, H, W) entries."""
        found = F.embedding(indices.long(), self.codebook)
        return found.permute(0, 3, 1, 2).contiguous()

    def forward(self, z: Tensor) -> Quantised:
        """Quantise (B, D, H, W) latents; in training mode also update the entries."""
        unit = F.normalize(z.float(), dim=1, eps=1e-6)
        if self.training:
            self.calls += 1
            if int(self.calls) <= self.warmup:
                indices = self.nearest(unit)
                return Quantised(unit * self.scale, indices, unit.new_zeros(()))
            if int(self.calls) == self.warmup + 1:
                self._seed(unit)
        indices = self.nearest(unit)
        entries = self.lookup(indices) / self.scale
        loss = self.beta * (2.0 - 2.0 * (unit * entries.detach()).sum(1)).mean()
        if self.training:
            self._update(unit.detach(), indices)
        codes = unit + (entries - unit).detach()
        return Quantised(codes * self.scale, indices, loss)

    @torch.no_grad()
    def _seed(self, unit: Tensor) -> None:
        """Take the entries from the encoder outputs of this batch."""
        self.entries.copy_(_broadcast(self._draw(unit, len(self.entries))))
        self.sums.copy_(self.entries)
        self.counts.fill_(1.0)

    @torch.no_grad()
    def _update(self, unit: Tensor, indices: Tensor) -> None:
        flat = unit.permute(0, 2, 3, 1).reshape(-1, unit.shape[1])
        picks = indices.reshape(-1)
        counts = torch.zeros_like(self.counts)
        counts.index_add_(0, picks, torch.ones_like(picks, dtype=counts.dtype))
        sums = torch.zeros_like(self.sums)
        sums.index_add_(0, picks, flat.to(sums.dtype))
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(counts)
            distributed.all_reduce(sums)
        self.counts.mul_(self.decay).add_(counts, alpha=1.0 - self.decay)
        self.sums.mul_(self.decay).add_(sums, alpha=1.0 - self.decay)
        self.entries.copy_(F.normalize(self.sums, dim=1, eps=1e-6))
        if int(self.calls) % self.revive_every == 0:
            dead = self.counts < self.revive_below
            n = int(dead.sum())
            if n:
                fresh = _broadcast(self._draw(unit, n))
                self.entries[dead] = fresh
                self.sums[dead] = fresh
                # One full count gives a revived entry time to win latents before the next check.
                self.counts[dead] = 1.0

    def _draw(self, unit: Tensor, n: int) -> Tensor:
        flat = unit.detach().permute(0, 2, 3, 1).reshape(-1, unit.shape[1])
        pick = torch.randint(len(flat), (n,), device=flat.device)
        noise = 0.01 * torch.randn(n, flat.shape[1], device=flat.device)
        return F.normalize(flat[pick] + noise, dim=1)


def _broadcast(x: Tensor) -> Tensor:
    """Give every process the entries that process 0 drew."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.broadcast(x, 0)
    return x
