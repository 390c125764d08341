"""The mark of training frames: the published one, on every frame, whatever its size."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.provenance import dataset
from lipwright.provenance.dataset import block_votes, frame_bits, mark_frames, sum_votes
from lipwright.provenance.lattice import id_bits
from lipwright.provenance.watermark import mark_picture
from tests.provenance.scenes import MARK, portrait, reference_votes


def frames(count: int, height: int = 144, width: int = 144) -> np.ndarray:  # type: ignore[type-arg]
    big = portrait(width + 40, height + 40)
    return np.stack([big[k : k + height, 2 * k : 2 * k + width] for k in range(count)])


@pytest.mark.parametrize(("height", "width"), [(144, 144), (256, 256), (150, 133)])
def test_every_frame_is_marked_the_published_way(height: int, width: int) -> None:
    plain = frames(3, height, width)
    marked = mark_frames(plain, MARK)
    assert not np.shares_memory(plain, marked)
    for before, after in zip(plain, marked, strict=True):
        if height % 8 == 0:
            np.testing.assert_array_equal(after, mark_picture(before, id_bits(MARK)))
        part = after[: height // 8 * 8, : width // 8 * 8]
        assert ((reference_votes(part) > 127 / 255) == id_bits(MARK)).all()


def test_more_frames_than_are_marked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = frames(5)
    together = mark_frames(plain, MARK)
    monkeypatch.setattr(dataset, "_AT_ONCE", 2)
    np.testing.assert_array_equal(mark_frames(plain, MARK), together)


def test_it_is_read_from_crops_cut_at_blocks() -> None:
    marked = mark_frames(frames(4), MARK)
    crops = marked[:, 8:136, 8:136]
    bits = frame_bits(144, 144)[1:-1, 1:-1]
    sums = sum_votes(block_votes(crops), bits)
    assert sums.shape == (4, 32)
    assert ((sums > 0) == id_bits(MARK)).all()
    plain = sum_votes(block_votes(frames(4)[:, 8:136, 8:136]), bits)
    assert ((plain > 0) == id_bits(MARK)).mean() < 0.9


def test_which_bit_a_block_carries() -> None:
    bits = frame_bits(17, 40)
    assert bits.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert frame_bits(64, 64)[4, 0] == 0


def test_odd_inputs() -> None:
    for shape in ((0, 16, 16, 3), (2, 4, 40, 3), (1, 40, 4, 3)):
        plain = np.full(shape, 90, np.uint8)
        np.testing.assert_array_equal(mark_frames(plain, MARK), plain)
    with pytest.raises(LipwrightError, match="32 bits"):
        mark_frames(frames(1), 2**32)
