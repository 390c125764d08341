"""Sigma: one definition, over the codebook entries in use."""

from __future__ import annotations

import numpy as np
import torch

from lipwright.models.quantiser import codebook_sigma


def test_sigma_is_the_deviation_of_the_entries_in_use() -> None:
    book = torch.tensor([[3.0, -3.0], [0.0, 0.0], [1.0, -1.0], [0.01, 0.0]])
    # sqrt(mean of 9, 9, 1, 1)
    assert np.isclose(codebook_sigma(book, torch.tensor([0, 2])), np.sqrt(5.0))
    assert np.isclose(codebook_sigma(book), np.std(book.numpy()))


def test_dead_entries_do_not_shrink_it() -> None:
    torch.manual_seed(0)
    book = torch.cat([torch.randn(50, 8), 1e-3 * torch.randn(950, 8)])
    assert abs(codebook_sigma(book, torch.arange(50)) - 1.0) < 0.1
    assert codebook_sigma(book) < 0.3
