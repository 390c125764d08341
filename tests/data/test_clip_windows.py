"""The sampler of clip windows: its rules hold for every length, and short clips are left out."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lipwright.data.clip_windows import ClipWindow, ClipWindows, ReferenceRule
from lipwright.data.packed import ClipRow
from lipwright.errors import LipwrightError


def clips(*frames: int, people: int = 2) -> list[ClipRow]:
    """Clips of these lengths, one after another; ``people`` identities in turn."""
    rows, start = [], 0
    for i, n in enumerate(frames):
        rows.append(
            ClipRow(f"c{i}", f"id{i % people}", "train", f"s{i}", start, n, 4 * start, 4 * n)
        )
        start += n
    return rows


def sampler(rows: list[ClipRow], *arguments: Any, **options: Any) -> ClipWindows:
    openings = np.random.default_rng(1).random(sum(r.frames for r in rows)).astype(np.float32)
    return ClipWindows(rows, *arguments, opening=openings, **options)


def distance(window: ClipWindow) -> float:
    """Least distance between a target and a reference; infinite between two clips."""
    if window.reference_row != window.row or not len(window.references):
        return np.inf
    return float(np.abs(window.times[:, None] - window.references[None]).min())


rules = st.builds(
    ReferenceRule,
    count=st.integers(0, 12),
    min_distance=st.integers(0, 30),
    other_clip=st.sampled_from([0.0, 0.3]),
    order=st.sampled_from(["random", "window", "opening"]),
    min_count=st.integers(0, 12),
)


@given(
    lengths=st.lists(st.integers(1, 160), min_size=2, max_size=6),
    length=st.integers(1, 40),
    rule=rules,
    before=st.integers(0, 2),
    min_offset=st.sampled_from([0, 1, 5, 20]),
    scattered=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_target_is_near_a_reference_whatever_the_window(
    lengths: list[int],
    length: int,
    rule: ReferenceRule,
    before: int,
    min_offset: int,
    scattered: bool,
    seed: int,
) -> None:
    if scattered:
        min_offset = before = 0
        rule = replace(rule, order="random" if rule.order == "window" else rule.order)
    rows = clips(*lengths)
    try:
        windows = sampler(
            rows, length, rule, before=before, min_offset=min_offset, scattered=scattered
        )
    except LipwrightError:
        assume(False)
        return
    assert len(windows.rows) + windows.left_out == len(rows)
    batch = windows.draw(np.random.default_rng(seed), 8)
    for w in batch:
        assert w.row in windows.rows
        assert distance(w) >= rule.min_distance
        assert w.valid.all()
        assert w.times.min() >= before
        assert w.times.max() < w.row.frames
        steps = np.diff(w.times)
        assert (steps > 0).all() if scattered else (steps == 1).all()
        assert w.reference_row.identity == w.row.identity
        assert min(rule.min_count or rule.count, rule.count) <= len(w.references) <= rule.count
        if len(w.references):
            assert w.references.min() >= 0
            assert w.references.max() < w.reference_row.frames
            if rule.order == "window":
                assert (np.diff(w.references) == 1).all()
        if min_offset:
            assert abs(w.mismatched - w.first) >= min_offset
            assert before <= w.mismatched <= w.row.frames - length
    assert len({len(w.references) for w in batch}) == 1


def test_the_papers_window_of_25_needs_50_frames() -> None:
    """25 targets in a row and a reference 25 frames from the nearest: 50 frames or more."""
    rule = ReferenceRule(1, min_distance=25)
    windows = sampler(clips(49, 50, 100), 25, rule)
    assert [r.frames for r in windows.rows] == [50, 100]
    assert windows.left_out == 1
    shortest = [w for w in windows.draw(np.random.default_rng(0), 200) if w.row.frames == 50]
    # Only the windows at the two ends leave a frame that is far enough: frame 49, or frame 0.
    assert {(w.first, int(w.references[0])) for w in shortest} == {(0, 49), (25, 0)}


def test_clips_too_short_are_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lipwright.train"):
        windows = sampler(clips(10, 11, 12), 5, ReferenceRule(2, min_distance=7))
    assert windows.needed == 12
    assert windows.left_out == 2
    assert "2 of 3 clips are left out: shorter than the 12 frames" in caplog.text
    with pytest.raises(LipwrightError, match="none of 2 clips has the 12 frames"):
        sampler(clips(10, 11), 5, ReferenceRule(2, min_distance=7))


def test_scattered_targets_leave_room_for_a_reference() -> None:
    """Four targets forbid 4 * (2 * 3 - 1) frames at most: 21 frames always leave one."""
    windows = sampler(clips(20, 21), 4, ReferenceRule(6, 3, order="opening"), scattered=True)
    assert [r.frames for r in windows.rows] == [21]
    for w in windows.draw(np.random.default_rng(0), 300):
        assert distance(w) >= 3


def test_short_clips_repeat_their_last_frame_where_that_is_wanted() -> None:
    windows = sampler(clips(6), 10, min_length=4)
    w = windows.one(np.random.default_rng(0))
    assert w.times.tolist() == [0, 1, 2, 3, 4, 5, 5, 5, 5, 5]
    assert w.valid.tolist() == [True] * 6 + [False] * 4


def test_references_of_another_clip_are_of_the_same_person() -> None:
    windows = sampler(clips(30, 30, 30, 30), 3, ReferenceRule(4, 5, other_clip=1.0))
    for w in windows.draw(np.random.default_rng(0), 50):
        assert w.reference_row.identity == w.row.identity
        assert w.reference_row.clip != w.row.clip


def test_one_reference_of_each_quantile_of_opening() -> None:
    (row,) = rows = clips(40, people=1)
    opening = np.arange(40, dtype=np.float32)[::-1].copy()
    rule = ReferenceRule(4, 0, order="opening")
    windows = ClipWindows(rows, 1, rule, opening=opening)
    for w in windows.draw(np.random.default_rng(0), 20):
        assert np.sort(opening[w.references] // 10).tolist() == [0, 1, 2, 3]
        assert w.reference_row == row


def test_wanted_starts_are_taken_where_the_rules_allow_them() -> None:
    windows = sampler(clips(50), 1, ReferenceRule(1, 5))
    only = np.zeros(50, bool)
    only[[7, 31]] = True
    rng = np.random.default_rng(0)
    assert {windows.one(rng, among=lambda _: only).first for _ in range(40)} == {7, 31}
    nowhere = np.zeros(50, bool)
    assert len({windows.one(rng, among=lambda _: nowhere).first for _ in range(40)}) > 5


def test_groups_are_moments_of_one_clip() -> None:
    windows = sampler(clips(12, 60), 5, min_offset=6)
    batch = windows.draw_groups(np.random.default_rng(0), 17, 4)
    assert len(batch) == 17
    for i, a in enumerate(batch):
        for j, b in enumerate(batch):
            assert batch.pairs[i, j] == (a.group == b.group)
            if i != j and a.group == b.group:
                assert a.row == b.row
                assert abs(a.first - b.first) >= 6


def test_the_corpus_frames_of_a_batch() -> None:
    windows = sampler(clips(30, 40), 3, ReferenceRule(2, 4))
    batch = windows.draw(np.random.default_rng(2), 5)
    assert batch.frames.shape == (5, 3)
    assert batch.reference_frames.shape == (5, 2)
    for w, frames in zip(batch, batch.frames, strict=True):
        assert (frames == w.row.start + w.times).all()


def test_a_step_is_a_function_of_its_seed() -> None:
    windows = sampler(clips(30, 40, 50), 3, ReferenceRule(5, 4, min_count=2, order="opening"))
    a, b = (windows.draw(np.random.default_rng(9), 6) for _ in range(2))
    assert (a.frames == b.frames).all()
    assert (a.reference_frames == b.reference_frames).all()
