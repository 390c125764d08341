"""The codebook of VQGAN: nearest entry by squared Euclidean distance, learned by gradient.

Source: van den Oord et al. 2017 (VQ-VAE), section 3; the constants of the VQGAN code that Gupta et
al. (WACV 2023, section 3.1) train with: 1024 entries of 256 dimensions, uniform initialisation,
beta = 0.25.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Quantised:
    """Result of quantising a latent grid.

    Attributes:
        codes: (B, D, H, W) codebook entries, with the straight-through gradient to the latents.
        indices: (B, H, W) int64 entry numbers.
        loss: scalar, codebook plus commitment loss.
    """

    codes: Tensor
    indices: Tensor
    loss: Tensor


class VectorQuantiser(nn.Module):
    """Nearest-neighbour codebook with straight-through gradient.

    Args:
        n_codes: number of entries N.
        dim: entry length D.
        beta: weight of the second term (see ``legacy``).
        legacy: the published code of VQGAN puts ``beta`` on the codebook term and weight 1 on the
            commitment term, by mistake. True keeps that for comparability with checkpoints trained
            so; False is the textbook loss (``beta`` on the commitment term).
    """

    def __init__(
        self, n_codes: int = 1024, dim: int = 256, beta: float = 0.25, legacy: bool = True
    ) -> None:
        super().__init__()
        self.beta = beta
        self.legacy = legacy
        self.embedding = nn.Embedding(n_codes, dim)
        nn.init.uniform_(self.embedding.weight, -1.0 / n_codes, 1.0 / n_codes)

    @property
    def codebook(self) -> Tensor:
        """(N, D) the entries."""
        return self.embedding.weight

    def nearest(self, z: Tensor) -> Tensor:
        """(B, D, H, W) latents -> (B, H, W) int64 index of the nearest entry."""
        flat = z.permute(0, 2, 3, 1).float()
        book = self.codebook.float()
        # |z|^2 is the same for every entry, so it does not change the argmin.
        distance = (book * book).sum(1) - 2.0 * flat @ book.T
        return distance.argmin(-1)

    def lookup(self, indices: Tensor) -> Tensor:
        """(B, H, W) integer indices -> (B, D, H, W) entries."""
        entries: Tensor = self.embedding(indices.long())
        return entries.permute(0, 3, 1, 2).contiguous()

    def forward(self, z: Tensor) -> Quantised:
        """Quantise (B, D, H, W) latents."""
        z = z.float()
        indices = self.nearest(z)
        entries = self.lookup(indices)
        commitment = (entries.detach() - z).square().mean()
        codebook = (entries - z.detach()).square().mean()
        if self.legacy:
            loss = commitment + self.beta * codebook
        else:
            loss = codebook + self.beta * commitment
        return Quantised(z + (entries - z).detach(), indices, loss)


def codebook_sigma(book: Tensor, used: Tensor | None = None) -> float:
    """Sigma: the standard deviation of the components of the codebook entries in use.

    Networks in code space see codes divided by it. Entries that no frame uses count nothing: in a
    Euclidean codebook they stay near their small initial values and would shrink it.

    Args:
        book: (N, D) entries.
        used: indices of the entries in use; None where no codes have been counted: all.
    """
    entries = book.detach().float() if used is None else book.detach().float()[used]
    return float(entries.std(correction=0))


def perplexity(indices: Tensor, n_codes: int) -> Tensor:
    """exp(entropy) of the code histogram: the effective number of entries in use, in [1, N]."""
    p = torch.bincount(indices.reshape(-1), minlength=n_codes).float()
    p = p / p.sum().clamp_min(1.0)
    return torch.exp(-(p * (p + 1e-10).log()).sum())
