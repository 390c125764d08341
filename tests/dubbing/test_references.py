from __future__ import annotations

from functools import partial

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lipwright.dubbing import references
from lipwright.dubbing.references import Reference, ReferenceSelector

LIPS = np.zeros((40, 2), np.float32)
BLANK = np.zeros((4, 4, 3), np.uint8)


def reference(frame: int, opening: float, quality: float = 1.0) -> Reference:
    return Reference(frame, frame / 25, opening, quality, BLANK, LIPS)


def test_looks_cover_the_openings() -> None:
    selector = ReferenceSelector()
    for frame in range(1000):
        selector.add(reference(frame, 0.1 * abs(np.sin(frame / 9))))
    chosen = selector.choose()
    openings = [c.opening for c in chosen]
    assert len(chosen) == references.COUNT
    assert openings == sorted(openings)
    assert openings[0] < 0.015
    assert openings[-1] > 0.09
    assert max(np.diff(openings)) < 0.03
    assert len({c.frame for c in chosen}) == len(chosen)


def test_the_better_of_two_neighbours_is_kept() -> None:
    selector = ReferenceSelector()
    selector.add(reference(0, 0.05, 1.0))
    selector.add(reference(3, 0.05, 2.0))
    selector.add(reference(6, 0.05, 1.5))
    assert [c.frame for c in selector.choose()] == [3]
    assert not selector.wants(0.05, 0.2) or len(selector) < references.PER_BIN


def test_a_single_look_is_enough() -> None:
    selector = ReferenceSelector()
    assert selector.choose() == []
    selector.add(reference(3, 0.5))
    assert [c.frame for c in selector.choose()] == [3]


def test_detail_is_fetched_for_what_is_kept_and_goes_with_it() -> None:
    selector = ReferenceSelector()
    fetched: list[int] = []

    def detail(frame: int) -> bytes:
        fetched.append(frame)
        return bytes([frame])

    for frame, good in ((0, 1.0), (3, 2.0), (6, 1.5)):
        selector.add(reference(frame, 0.05, good), partial(detail, frame))
    assert fetched == [0, 3]
    assert [(c.frame, c.detail) for c in selector.choose()] == [(3, bytes([3]))]


def test_detail_keeps_the_grain() -> None:
    grain = np.random.default_rng(0).integers(100, 140, (64, 64, 1), np.uint8).repeat(3, axis=2)
    decoded = cv2.imdecode(np.frombuffer(references.encode_detail(grain), np.uint8), 1)
    assert np.abs(decoded.astype(int) - grain).mean() < 2.0


@given(
    st.lists(st.tuples(st.integers(0, 500), st.floats(0, 0.5), st.floats(0, 1)), max_size=200),
    st.integers(1, 12),
)
def test_bounded(items: list[tuple[int, float, float]], count: int) -> None:
    selector = ReferenceSelector()
    for frame, opening, good in items:
        selector.add(reference(frame, opening, good))
    assert len(selector) <= references.BINS * references.PER_BIN
    chosen = selector.choose(count)
    assert len(chosen) == min(count, len(selector))


def test_sharp_and_frontal_is_better() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 255, (128, 128, 3), dtype=np.uint8)
    soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 2), np.uint8)
    assert references.sharpness(sharp) > 2 * references.sharpness(soft)
    assert references.quality(sharp, 0, 0.9) > references.quality(sharp, 40, 0.9)
    assert references.quality(sharp, 0, 0.9) > references.quality(sharp, 0, 0.5)
    assert references.quality(sharp, 120, 0.9) < 1e-9
