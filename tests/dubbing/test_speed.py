"""The speed that the time left is reckoned from."""

from __future__ import annotations

import pytest

from lipwright.dubbing.speed import WINDOW_SECONDS, Speed


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_warming_up_does_not_count() -> None:
    clock = Clock()
    speed = Speed(clock)
    assert speed.update(0) == 0.0
    clock.now += 30  # a long wait for the first window of frames
    assert speed.update(8) == 0.0
    clock.now += 2
    assert speed.update(28) == pytest.approx(10.0)


def test_only_the_last_seconds_count() -> None:
    clock = Clock()
    speed = Speed(clock)
    done = 0
    for rate in (100, 5):
        for _ in range(40):
            clock.now += 1
            done += rate
            shown = speed.update(done)
    assert shown == pytest.approx(5.0)
    assert WINDOW_SECONDS < 40


def test_a_job_that_stands_still_gets_slower_and_moments_say_nothing() -> None:
    clock = Clock()
    speed = Speed(clock)
    speed.update(10)
    clock.now += 0.1
    assert speed.update(20) == 0.0
    clock.now += 0.9
    assert speed.update(20) == pytest.approx(10.0)
    clock.now += 4
    assert speed.update(20) == pytest.approx(2.0)
