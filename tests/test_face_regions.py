"""Boxes of the aligned crop and what is cut or blanked with them."""

from __future__ import annotations

import numpy as np
import torch

from lipwright.face_regions import (
    BLACK,
    CODE_CELLS,
    MOUTH_BOX,
    blank_lower_half,
    cut_box,
    lower_half,
    pixel_box,
)


def test_the_mouth_box_in_pixels_and_in_code_cells() -> None:
    assert pixel_box(MOUTH_BOX, 128) == (31, 64, 97, 120)
    assert pixel_box(MOUTH_BOX, CODE_CELLS) == (4, 8, 12, 15)


def test_a_box_is_cut_from_arrays_and_tensors() -> None:
    x = np.arange(100, dtype=np.float32).reshape(10, 10)
    cut = cut_box(x, (0.2, 0.5, 0.4, 0.7))
    assert cut.tolist() == [[52, 53], [62, 63]]
    assert cut_box(torch.from_numpy(x)[None, None], (0.2, 0.5, 0.4, 0.7))[0, 0].tolist() == [
        [52, 53],
        [62, 63],
    ]


def test_the_lower_half_is_blank_and_the_upper_untouched() -> None:
    x = torch.rand(2, 3, 7, 7)
    out = blank_lower_half(x)
    assert torch.equal(out[:, :, :3], x[:, :, :3])
    assert (out[:, :, 3:] == BLACK).all()
    assert (blank_lower_half(x, 0.0)[:, :, 3:] == 0).all()
    assert lower_half(x).shape == (2, 3, 4, 7)
    assert torch.equal(lower_half(x), x[:, :, 3:])
