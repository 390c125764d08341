"""Which block carries which bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipwright.errors import LipwrightError
from lipwright.provenance.watermark.grid import (
    bits_to_id,
    chips,
    code_word,
    format_id,
    id_bits,
    new_id,
    parse_id,
    pilot_bits,
    signs,
    tile_chips,
)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_ids_come_back(mark_id: int) -> None:
    assert parse_id(format_id(mark_id)) == mark_id
    assert bits_to_id(id_bits(mark_id) == 1) == mark_id


def test_the_bits_are_the_bytes_highest_first() -> None:
    assert id_bits(0x80000001).tolist() == [1] + [0] * 30 + [1]
    assert np.packbits(id_bits(0x0F3A92C4)).tobytes() == bytes.fromhex("0f3a92c4")


@pytest.mark.parametrize("text", ["", "12345", "xyzw0123", "-1234567", "123456789", "0x"])
def test_bad_ids_are_refused(text: str) -> None:
    with pytest.raises(LipwrightError, match="eight hexadecimal digits"):
        parse_id(text)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_ids_have_32_bits(number: int) -> None:
    with pytest.raises(LipwrightError, match="32 bits"):
        id_bits(number)


def test_new_ids_differ() -> None:
    assert len({new_id() for _ in range(50)}) == 50


def test_three_rows_of_four_carry_the_id_by_column() -> None:
    tile = tile_chips()
    for row in range(32):
        if row % 16 < 12:
            np.testing.assert_array_equal(tile[row], np.arange(32))
        else:
            assert (tile[row] >= 32).all()
    values, counts = np.unique(tile, return_counts=True)
    np.testing.assert_array_equal(values, np.arange(160))
    np.testing.assert_array_equal(counts[:32], 24)
    np.testing.assert_array_equal(counts[32:], 2)


def test_the_grid_hangs_on_the_frame() -> None:
    whole = chips(0, 0, 80, 70)
    np.testing.assert_array_equal(chips(13, 21, 40, 33), whole[13:53, 21:54])
    np.testing.assert_array_equal(chips(32, 64, 8, 6), whole[:8, :6])


def test_the_pilot_never_changes() -> None:
    """It is in every file that was ever marked."""
    assert np.packbits(pilot_bits()).tobytes().hex() == "7bbdd7b40e5132ce141632e7b95497bc"
    assert 0.35 < pilot_bits().mean() < 0.65


def test_code_words() -> None:
    words = signs([1, 2])
    assert words.shape == (2, 160)
    np.testing.assert_array_equal(words[0] > 0, code_word(1) == 1)
    np.testing.assert_array_equal(words[0, 32:], words[1, 32:])
    assert signs([]).shape == (0, 160)
