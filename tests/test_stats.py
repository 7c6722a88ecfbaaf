"""Intervals against closed forms and against their own promise (coverage), ceilings against counting."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats as reference

from a2v_core import stats
from a2v_core.errors import SettingsError


def covered(interval, truth: float, draws: int, seed: int) -> float:
    """Share of intervals that hold the truth; `interval` makes one from a generator."""
    rng = np.random.default_rng(seed)
    found = [interval(rng) for _ in range(draws)]
    return np.mean([estimate.low <= truth <= estimate.high for estimate in found])


def test_t_interval_by_hand():
    estimate = stats.t_interval(np.array([1.0, 2.0, 3.0]))
    half = 4.302652729911275 / math.sqrt(3)  # t(2, 97.5 %) with s = 1
    assert estimate == pytest.approx((2.0, 2 - half, 2 + half, 3))


def test_t_interval_keeps_its_promise_at_three_seeds():
    share = covered(lambda rng: stats.t_interval(rng.normal(5, 2, 3)), 5.0, 4000, 0)
    assert share == pytest.approx(0.95, abs=0.012)


def test_bootstrap_interval_of_the_mean_keeps_its_promise():
    def interval(rng):
        return stats.bootstrap_interval(rng.exponential(1.0, 200), int(rng.integers(2**31)), resamples=499)

    assert covered(interval, 1.0, 1000, 2) == pytest.approx(0.94, abs=0.025)


def test_bootstrap_interval_of_a_standard_deviation():
    runs = np.random.default_rng(3).normal(0, 2, 500)
    estimate = stats.bootstrap_interval(runs, 4, lambda x, axis: x.std(axis=axis, ddof=1), resamples=1999)
    chi = reference.chi2.ppf([0.975, 0.025], 499)
    assert (estimate.low, estimate.high) == pytest.approx(np.sqrt(499 * runs.var(ddof=1) / chi), rel=0.05)


def test_bootstrap_interval_is_repeatable_and_its_methods_differ_on_skewed_runs():
    runs = np.random.default_rng(5).lognormal(0, 1, 40)
    assert stats.bootstrap_interval(runs, 6) == stats.bootstrap_interval(runs, 6)
    assert stats.bootstrap_interval(runs, 6) != stats.bootstrap_interval(runs, 7)
    assert stats.bootstrap_interval(runs, 6).high > stats.bootstrap_interval(runs, 6, method="percentile").high


def test_bootstrap_interval_of_equal_runs_has_no_width():
    assert stats.bootstrap_interval(np.full(12, 3.0), 0) == (3.0, 3.0, 3.0, 12)


def test_wilson_interval_by_hand_and_at_the_ends():
    z, n, p = reference.norm.ppf(0.975), 50, 0.3
    centre, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = ((centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n))
    assert stats.wilson_interval(15, 50)[1:3] == pytest.approx(expected)
    none, every = stats.wilson_interval(0, 10), stats.wilson_interval(10, 10)
    assert none.low == 0 < none.high == pytest.approx(z**2 / (10 + z**2))
    assert every.high == 1 > every.low


def test_pairing_removes_what_the_seeds_share():
    rng = np.random.default_rng(8)
    shared = rng.normal(0, 10, 8)
    first, second = shared + rng.normal(1, 0.1, 8), shared + rng.normal(0, 0.1, 8)
    paired, unpaired = stats.paired_difference(first, second), stats.unpaired_difference(first, second)
    assert paired.value == pytest.approx(unpaired.value)
    assert paired.low > 0
    assert unpaired.low < 0
    assert 20 * (paired.high - paired.low) < unpaired.high - unpaired.low


def test_unpaired_difference_is_welch():
    first, second = np.array([5.0, 7.0, 6.0, 9.0]), np.array([1.0, 2.0, 4.0])
    found = stats.unpaired_difference(first, second)
    a, b = first.var(ddof=1) / 4, second.var(ddof=1) / 3
    degrees = (a + b) ** 2 / (a**2 / 3 + b**2 / 2)
    half = reference.t.ppf(0.975, degrees) * math.sqrt(a + b)
    assert found == pytest.approx((6.75 - 7 / 3, 6.75 - 7 / 3 - half, 6.75 - 7 / 3 + half, 3))
    assert stats.unpaired_difference(np.ones(3), np.zeros(3)) == (1.0, 1.0, 1.0, 3)


def test_interval_of_difference_adds_squares_side_by_side():
    assert stats.interval_of_difference(10, (7, 11), 4, (0, 8)) == (6 - 5, 6 + math.hypot(1, 4))
    # Two normal means of known spread: the classical interval.
    low, high = stats.interval_of_difference(1, (1 - 1.96 * 3, 1 + 1.96 * 3), 0, (-1.96 * 4, 1.96 * 4))
    assert (low, high) == pytest.approx((1 - 1.96 * 5, 1 + 1.96 * 5))


def test_probability_of_superiority_is_the_share_of_pairs():
    rng = np.random.default_rng(9)
    first, second = rng.integers(0, 5, 17), rng.integers(0, 6, 11)
    pairs = [(a > b) + 0.5 * (a == b) for a, b in itertools.product(first, second)]
    assert stats.probability_of_superiority(first, second) == pytest.approx(np.mean(pairs))
    assert stats.probability_of_superiority(np.array([2.0]), np.array([1.0, 0.0])) == 1


@pytest.mark.parametrize(("draws", "cells"), [(1, 1), (3, 1), (1, 7), (3, 2), (4, 3)])
def test_expected_uniqueness_is_the_mean_over_every_outcome(draws, cells):
    outcomes = [len(set(outcome)) / draws for outcome in itertools.product(range(cells), repeat=draws)]
    assert stats.expected_uniqueness(draws, cells) == pytest.approx(np.mean(outcomes))
    assert stats.largest_uniqueness(draws, cells) == max(outcomes)


def test_uneven_draws_are_below_the_ceiling():
    rng = np.random.default_rng(10)
    even, uneven = np.full(100, 0.01), np.r_[np.full(50, 0.015), np.full(50, 0.005)]
    share = [np.mean([np.unique(rng.choice(100, 80, p=p)).size / 80 for _ in range(400)]) for p in (even, uneven)]
    ceiling = stats.expected_uniqueness(80, 100)
    assert share[0] == pytest.approx(ceiling, abs=0.01)
    assert share[1] < ceiling - 0.01


def test_ceiling_of_a_vast_space_is_one():
    assert stats.expected_uniqueness(10_000, 10**18) == pytest.approx(1, abs=1e-12)


def test_furthest_from_mean_is_attained_and_never_exceeded():
    extreme = np.array([4.0, 0, 0, 0, 0])
    assert stats.furthest_from_mean(extreme.std(ddof=1), 5) == pytest.approx(abs(extreme - extreme.mean()).max())
    runs = np.random.default_rng(11).normal(size=(500, 5))
    distance = abs(runs - runs.mean(1, keepdims=True)).max(1)
    bounds = [stats.furthest_from_mean(deviation, 5) for deviation in runs.std(1, ddof=1)]
    assert (distance <= np.array(bounds) + 1e-12).all()


@pytest.mark.parametrize("call", [
    lambda: stats.t_interval(np.array([1.0])),
    lambda: stats.t_interval(np.array([1.0, np.nan])),
    lambda: stats.t_interval(np.ones((2, 2))),
    lambda: stats.t_interval(np.array([1.0, 2.0]), level=1.0),
    lambda: stats.bootstrap_interval(np.arange(9.0), 0),
    lambda: stats.wilson_interval(3, 2),
    lambda: stats.wilson_interval(0, 0),
    lambda: stats.paired_difference(np.arange(3.0), np.arange(4.0)),
    lambda: stats.expected_uniqueness(0, 5),
    lambda: stats.largest_uniqueness(5, 0),
    lambda: stats.furthest_from_mean(1.0, 1),
])
def test_bad_input_is_refused(call):
    with pytest.raises(SettingsError):
        call()
