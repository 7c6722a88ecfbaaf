"""What a group of runs says: estimates with intervals, and differences of two groups.

Runs on one embedding are no independent samples of arch2vec: they share the luck of its pre-training. Where the runs of
a group are spread over several pre-trainings, a statistic is taken within each of them, as the paper has one alone, and
each pre-training counts as one sample; elsewhere each run is a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from a2v_core.search.features import Features
from a2v_core.search.plan import Group
from a2v_core.search.trajectories import Outcomes
from a2v_core.stats import Estimate, bootstrap_interval, paired_difference, t_interval, unpaired_difference

# Fewer samples than this have Student's interval for their mean, others the bootstrap, which needs ten of them.
_FEW_RUNS, _LEAST_RESAMPLED = 30, 10
_STATISTICS: dict[str, Callable[..., np.ndarray]] = {
    "mean": np.mean, "sd": lambda x, axis=-1: np.std(x, axis=axis, ddof=1),
    "q90": lambda x, axis=-1: np.quantile(x, 0.9, axis=axis)}


@dataclass(frozen=True)
class Samples:
    """Independent samples of a group.

    Attributes:
        values: float64 [S] or [S, G].
        seen: the pre-training behind each sample; empty where each run is one.
    """

    values: np.ndarray
    seen: tuple[Features, ...] = ()

    @property
    def mean(self) -> float:
        return float(self.values.mean())


def held(outcomes: Outcomes, quantity: str, queries: float = np.inf, seconds: float = np.inf) -> np.ndarray:
    """What each run holds when the first of the bounds is reached, float64 [R]; a run whose budget ended before holds
    what it had at its end."""
    completed = outcomes.completed(queries, seconds)
    return outcomes.values(quantity, np.where(completed < 0, outcomes.trajectories.counts[:, None], completed))[:, 0]


def by_pretraining(group: Group, values: np.ndarray, seeds: np.ndarray) -> list[np.ndarray]:
    """The values of the runs of each pre-training, in the order of the group's arms; empty where none was run.

    Args:
        values: of each run, [R] or [R, G].
        seeds: of each run, [R].
    """
    return [values[(seeds >= arm.first_seed) & (seeds < arm.first_seed + arm.runs)] for arm in group.arms]


def samples(group: Group, values: np.ndarray, seeds: np.ndarray) -> Samples:
    """The samples among the values of runs; arguments as in :func:`by_pretraining`."""
    parts = by_pretraining(group, values, seeds)
    there = [(arm.seen, part.mean(axis=0)) for arm, part in zip(group.arms, parts, strict=True) if len(part)]
    if len(there) < 2:
        return Samples(values)
    seen, means = zip(*there, strict=True)
    return Samples(np.array(means), seen)


def percent(group: Group, runs: Mapping[str, Outcomes], quantity: str, queries: float = np.inf,
            seconds: float = np.inf) -> Samples:
    """The samples of what the runs of a group hold (:func:`held`), in percent or percentage points."""
    found = runs[group.name]
    return samples(group, 100 * held(found, quantity, queries, seconds), found.trajectories.seeds)


def estimate(runs: np.ndarray, statistic: str = "mean") -> Estimate:
    """A statistic over independent runs (mean, sd, or q90, the 90th percentile) with its 95 % interval, whose ends are
    NaN where the runs are too few to tell; those of one run are its value."""
    compute = _STATISTICS[statistic]
    if len(runs) == 1:
        value = float(runs[0]) if statistic != "sd" else 0.0
        return Estimate(value, value, value, 1)
    if statistic == "mean" and len(runs) < _FEW_RUNS:
        return t_interval(runs)
    if len(runs) < _LEAST_RESAMPLED:
        return Estimate(float(compute(runs)), np.nan, np.nan, len(runs))
    return bootstrap_interval(runs, 0, compute, method="percentile", resamples=2000)


def group_estimate(group: Group, values: np.ndarray, seeds: np.ndarray, statistic: str = "mean") -> Estimate:
    """A statistic of :func:`estimate` over the runs of a group: with several pre-trainings the mean over them of the
    statistic within each, with Student's interval.

    Args:
        values, seeds: of each run, [R].
    """
    parts = [part for part in by_pretraining(group, values, seeds) if len(part)]
    if len(parts) < 2 or (statistic == "sd" and min(map(len, parts)) < 2):
        return estimate(values, statistic)
    return estimate(np.array([_STATISTICS[statistic](part) for part in parts]))


def difference(first: Samples, second: Samples) -> Estimate | None:
    """Mean of `first` minus mean of `second`: paired where both rest on the same pre-trainings, Welch's interval
    otherwise; None for fewer than two samples."""
    common = [seen for seen in first.seen if seen in second.seen]
    if len(common) > 1:
        return paired_difference(*(each.values[[each.seen.index(seen) for seen in common]] for each in (first, second)))
    if min(len(first.values), len(second.values)) < 2:
        return None
    return unpaired_difference(first.values, second.values)


def show(found: Estimate, digits: int = 2) -> str:
    """``value [low, high]``, or the value alone where it has no interval."""
    if found.n < 2 or not np.isfinite(found.low):
        return f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def signed(gap: Estimate) -> str:
    """A difference as ``+value [low, high]``, all with their signs; what rounds to zero has none."""
    value, low, high = (f"{number:+z.2f}".replace("+0.00", "0.00") for number in (gap.value, gap.low, gap.high))
    return f"{value} [{low}, {high}]"
