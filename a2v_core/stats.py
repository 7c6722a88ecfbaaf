"""Intervals, differences and ceilings: pure functions on arrays.

Which interval the study uses:

- a mean over few trainings (3 to 30 seeds): :func:`t_interval`. Resampling three numbers has only ten distinct
  outcomes and covers far less than it promises; Student's t pays for the unknown spread with its width.
- a mean or a standard deviation over many runs (hundreds): :func:`bootstrap_interval`, which assumes no shape.
- a share of independent trials within one training: :func:`wilson_interval`.
- a difference of runs that share their seeds: :func:`paired_difference`; of runs that do not:
  :func:`unpaired_difference`; of two published intervals without the runs: :func:`interval_of_difference`.

An interval is an :class:`Estimate`: value, low, high, n. All are two-sided; `level` is the confidence, 0.95 by default.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from a2v_core.errors import SettingsError

Statistic = Callable[..., np.ndarray]


class Estimate(NamedTuple):
    """A number, the ends of its interval, and the number of independent runs behind it."""

    value: float
    low: float
    high: float
    n: int


def against_zero(gap: Estimate, above: str = "above", below: str = "below") -> str:
    """The word for a difference: `above` or `below` where its interval leaves zero out, else "not told apart"."""
    return above if gap.low > 0 else below if gap.high < 0 else "not told apart"


def t_interval(runs: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of `runs` [n] with Student's t interval, mean ± t(n-1) s / sqrt(n).

    Raises:
        SettingsError: fewer than two runs, a number that is not finite, or a level outside (0, 1).
    """
    runs = _sample(runs, "runs", 2)
    half = _t(runs.size - 1, level) * float(runs.std(ddof=1)) / math.sqrt(runs.size)
    mean = float(runs.mean())
    return Estimate(mean, mean - half, mean + half, runs.size)


def bootstrap_interval(
    runs: np.ndarray,
    seed: int,
    statistic: Statistic = np.mean,
    level: float = 0.95,
    method: Literal["BCa", "percentile"] = "BCa",
    resamples: int = 9999,
) -> Estimate:
    """`statistic` of `runs` [n] with a bootstrap interval; runs that are all equal have an interval of width zero.

    `statistic` takes an array and `axis`. BCa corrects the percentile interval for bias and skewness.

    Raises:
        SettingsError: fewer than ten runs (use :func:`t_interval`), a number that is not finite, or a bad level.
    """
    runs = _sample(runs, "runs", 10)
    _check_level(level)
    value = float(statistic(runs, axis=-1))
    if np.ptp(runs) == 0:
        return Estimate(value, value, value, runs.size)
    found = stats.bootstrap((runs,), statistic, confidence_level=level, method=method, n_resamples=resamples,
                            vectorized=True, batch=max(1, 10_000_000 // runs.size),
                            rng=np.random.default_rng(seed)).confidence_interval
    return Estimate(value, float(found.low), float(found.high), runs.size)


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Estimate:
    """Share of successes with Wilson's score interval, which stays in [0, 1] and has a width at 0 and at 1.

    Raises:
        SettingsError: no trials, or more successes than trials.
    """
    _check_level(level)
    if trials < 1 or not 0 <= successes <= trials:
        raise SettingsError(f"{successes} successes of {trials} trials make no share: give at least one trial and no "
                            "more successes than trials")
    found = stats.binomtest(int(successes), int(trials)).proportion_ci(level, method="wilson")
    return Estimate(successes / trials, float(found.low), float(found.high), int(trials))


def paired_difference(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of first - second, both [n], run by run, with the t interval of the n differences.

    Raises:
        SettingsError: unequal lengths, or as in :func:`t_interval`.
    """
    first, second = _sample(first, "first", 2), _sample(second, "second", 2)
    if first.size != second.size:
        raise SettingsError(f"paired runs come in pairs, got {first.size} and {second.size}: match them by seed, or "
                            "use unpaired_difference")
    return t_interval(first - second, level)


def unpaired_difference(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of `first` [n] minus mean of `second` [m] with Welch's interval (unequal spreads); `n` is the smaller size.

    Raises:
        SettingsError: as in :func:`t_interval`.
    """
    first, second = _sample(first, "first", 2), _sample(second, "second", 2)
    _check_level(level)
    value, n = float(first.mean() - second.mean()), min(first.size, second.size)
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return Estimate(value, value, value, n)
    with warnings.catch_warnings():
        # Runs that agree to rounding have an interval as short as that; scipy warns of their moments.
        warnings.filterwarnings("ignore", message="Precision loss occurred in moment calculation")
        found = stats.ttest_ind(first, second, equal_var=False).confidence_interval(level)
    return Estimate(value, float(found.low), float(found.high), n)


def interval_of_difference(
    first: float, first_interval: tuple[float, float], second: float, second_interval: tuple[float, float]
) -> tuple[float, float]:
    """Interval of first - second from two independent estimates and their intervals of equal level.

    The method of variance estimates recovery (Zou and Donner, 2008): each half of each interval is an estimate of
    spread on that side, and the squares add. Lopsided intervals keep their shape.
    """
    difference = first - second
    low = difference - math.hypot(first - first_interval[0], second_interval[1] - second)
    high = difference + math.hypot(first_interval[1] - first, second - second_interval[0])
    return low, high


def probability_of_superiority(first: np.ndarray, second: np.ndarray) -> float:
    """Chance that a run of `first` [n] exceeds a run of `second` [m], ties counting half: an effect size in [0, 1],
    0.5 where neither is ahead."""
    first, second = _sample(first, "first", 1), np.sort(_sample(second, "second", 1))
    below = np.searchsorted(second, first, side="left") + np.searchsorted(second, first, side="right")
    return float(below.mean() / (2 * second.size))


def expected_uniqueness(draws: int, cells: int) -> float:
    """Expected share of distinct ones among `draws` independent uniform draws from `cells`: M (1 - (1 - 1/M)^v) / v.

    No distribution of independent draws over the cells has a higher expectation, so this is the ceiling of the
    uniqueness of a generator that draws independently, in expectation.

    Raises:
        SettingsError: no draw, or no cell.
    """
    _check_occupancy(draws, cells)
    if cells == 1:
        return 1 / draws
    return float(-np.expm1(draws * np.log1p(-1 / cells)) * cells / draws)


def largest_uniqueness(draws: int, cells: int) -> float:
    """Largest share of distinct ones that `draws` draws from `cells` can hold at all: min(1, M / v)."""
    _check_occupancy(draws, cells)
    return min(1.0, cells / draws)


def furthest_from_mean(deviation: float, n: int) -> float:
    """How far one of `n` numbers with sample standard deviation `deviation` can lie from their mean: s (n-1)/sqrt(n).

    Tells whether a published best, mean and standard deviation can belong to the same runs.
    """
    if n < 2 or deviation < 0:
        raise SettingsError(f"{n} numbers with standard deviation {deviation}: give n >= 2 and a deviation >= 0")
    return deviation * (n - 1) / math.sqrt(n)


def _t(degrees: int, level: float) -> float:
    _check_level(level)
    return float(stats.t.ppf((1 + level) / 2, degrees))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise SettingsError(f"confidence level {level} is not between 0 and 1: 0.95 is usual")


def _check_occupancy(draws: int, cells: int) -> None:
    if draws < 1 or cells < 1:
        raise SettingsError(f"{draws} draws from {cells} cells have no uniqueness: both must be at least 1")


def _sample(runs: np.ndarray, name: str, least: int) -> np.ndarray:
    runs = np.asarray(runs, dtype=np.float64)
    if runs.ndim != 1 or runs.size < least:
        raise SettingsError(f"{name} of shape {runs.shape}: give one axis with at least {least} runs")
    if not np.isfinite(runs).all():
        raise SettingsError(f"{name} holds {np.count_nonzero(~np.isfinite(runs))} numbers that are not finite: find "
                            "out why, or leave them out")
    return runs
