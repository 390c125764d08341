"""The bound is a bound, and a close one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipwright.provenance.watermark.significance import (
    Judge,
    errors_allowed,
    log10_binomial,
    log10_tail,
)

amounts = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=10)


@settings(max_examples=100, deadline=None)
@given(amounts, st.floats(-1.0, 1.0))
def test_never_below_the_exact_probability(values: list[float], part: float) -> None:
    """All 2^n sign patterns are counted."""
    array = np.array(values)
    score = part * np.abs(array).sum()
    coins = np.array(list(itertools.product((-1.0, 1.0), repeat=len(values))))
    exact = float((coins @ array >= score + 1e-9).mean())
    bound = 10.0 ** float(log10_tail(array, np.array([score]))[0])
    assert bound >= exact * (1 - 1e-9)
    assert bound <= 1.0


def test_a_perfect_fit_is_two_to_the_minus_bits() -> None:
    values = np.ones(32)
    assert log10_tail(values, np.array([32.0]))[0] == pytest.approx(-32 * math.log10(2), rel=1e-3)


def test_close_to_the_binomial_tail() -> None:
    """At most 2 of 32 wrong: Chernoff loses less than 1.1 orders of magnitude."""
    bound = log10_tail(np.ones(32), np.array([28.0]))[0]
    exact = log10_binomial(32, 2)
    assert exact == pytest.approx(math.log10(529 / 2**32))
    assert exact <= bound <= exact + 1.1


def test_no_evidence() -> None:
    assert log10_tail(np.zeros(160), np.zeros(1))[0] == 0.0
    assert log10_tail(np.ones(160), np.array([-5.0]))[0] == 0.0


def test_scale_does_not_matter() -> None:
    values = np.random.default_rng(0).normal(size=160)
    score = np.array([0.5 * np.abs(values).sum()])
    assert log10_tail(values, score) == pytest.approx(log10_tail(values * 1e6, score * 1e6))


def test_errors_allowed_by_hand() -> None:
    """One guess: 529 / 2^32 = 1.2e-7 for two errors, 5489 / 2^32 = 1.3e-6 for three."""
    assert errors_allowed(32, 1.0) == 2
    assert errors_allowed(32, 10.0) == 1
    assert errors_allowed(32, 1e6) == -1
    assert errors_allowed(19, 1.0) == -1
    assert errors_allowed(20, 1.0) == 0
    assert errors_allowed(0, 1.0) == -1


def test_the_judge_counts_its_ids() -> None:
    sums = np.ones((1, 160))
    few, many = Judge([0xFFFFFFFF]), Judge([0xFFFFFFFF, *range(99)])
    assert few(sums).shape == (1, 2)
    assert many(sums)[0, 1] - few(sums)[0, 1] == pytest.approx(2.0)
    assert Judge([])(sums).shape == (1, 1)
