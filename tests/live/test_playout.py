"""When sound and frames of a call leave."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from lipwright.live.engine import DrawnFrame
from lipwright.live.playout import BLOCK, RATE, Playout
from lipwright.media.sound import Sound


def said(value: float, samples: int = BLOCK) -> Sound:
    return Sound(np.full((1, samples), value, np.float32), RATE, ("FC",), None)


def frame(k: int) -> DrawnFrame:
    return DrawnFrame(k, Fraction(k, 25), av.VideoFrame(16, 16, "yuv420p"))


def test_sound_leaves_after_the_delay_in_blocks_of_20_ms() -> None:
    playout = Playout(0.3)
    playout.begin(10.0)
    playout.sound(said(0.5, 2 * BLOCK + 100))
    assert playout.next_block_at() == pytest.approx(10.3)
    block, number = playout.block()
    assert (block.shape, number) == ((2, BLOCK), 0)
    assert np.allclose(block, 0.5)
    assert playout.next_block_at() == pytest.approx(10.32)


def test_frames_leave_with_the_sound_of_their_moment() -> None:
    playout = Playout(0.3)
    playout.begin(10.0)
    for k in range(3):
        playout.picture(frame(k))
    assert playout.next_frame_at() == pytest.approx(10.3)
    assert playout.newest_due(10.29) == (None, 0)
    found, passed = playout.newest_due(10.345)
    assert found is not None
    assert (found.k, passed) == (1, 1)  # the first one was passed over
    assert playout.ticks(found) == 0.04 * RATE


def test_late_sound_shifts_what_follows_and_its_frames_alike() -> None:
    playout = Playout(0.3)
    playout.begin(0.0)
    playout.sound(said(0.5))
    playout.block()
    silent, _ = playout.block()  # nothing has come
    assert not silent.any()
    playout.sound(said(0.25))
    late, number = playout.block()
    assert np.allclose(late, 0.25)
    # The second piece was said at 0.02 s and leaves at 0.34 s, as block 2: so does its frame.
    assert number == 2
    shown = DrawnFrame(0, Fraction(1, 50), av.VideoFrame(16, 16, "yuv420p"))
    assert playout.frame_at(shown) == pytest.approx(0.34)
    assert playout.ticks(shown) == 2 * BLOCK
    assert playout.inserted == 1


def test_what_piles_up_is_cut_where_it_is_silent() -> None:
    playout = Playout(0.1)
    playout.begin(0.0)
    playout.sound(said(0.0, 10 * BLOCK))
    playout.sound(said(0.5, 30 * BLOCK))
    heard = [playout.block()[0] for _ in range(12)]
    assert playout.cut > 0
    first = next(i for i, block in enumerate(heard) if block.any())
    assert first == 10 - playout.cut
    assert np.allclose(heard[first], 0.5)  # nothing that was said is lost
    assert playout.ticks(frame(25)) == RATE - playout.cut * BLOCK
