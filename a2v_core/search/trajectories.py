"""What became of search runs: the incumbent after each query, regret over queries and over simulated seconds.

The incumbent of a run is the queried cell with the highest signal among those trained at the highest fidelity that the
run has used so far, the first one on ties. Its validation and test accuracy are what is reported; its regrets are the
best of the objective minus those. A run is a step function: between two queries stands the incumbent of the last
completed one. Before its first query is completed a run has no incumbent (NaN), and where its budget ended before
the point that is asked for, nobody knows (NaN in a curve, an error elsewhere): a curve begins where all of its runs
have an incumbent and ends where the first of them ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from a2v_core.errors import SettingsError
from a2v_core.search.objective import Objective
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.runs import ENDED_BY_ITSELF, ENDED_BY_SECONDS, Trajectories
from a2v_core.stats import t_interval

#: What can be read of a run at any point: of the incumbent, and how many seconds are spent.
QUANTITIES = ("regret_test", "regret_validation", "test", "validation", "seconds")
# Up to so many runs a mean has Student's t interval, beyond them the percentile bootstrap.
_FEW_RUNS = 30
_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Runs seen under an objective: how they stand after each query. Q is the number of queries of the longest run.

    Raises:
        SettingsError: a queried cell or its number of epochs does not belong to the objective.
    """

    trajectories: Trajectories
    objective: Objective

    @property
    def n_runs(self) -> int:
        return len(self.trajectories)

    @cached_property
    def queried(self) -> np.ndarray:
        """Candidate of each query, int64, in the order of the trajectories' rows."""
        rows, cells = self.objective.rows, self.trajectories.cells
        candidate = np.full(max(rows.max(), cells.max(initial=0)) + 1, NO_CELL)
        candidate[rows] = np.arange(len(rows))
        found = candidate[cells]
        if (unknown := found == NO_CELL).any():
            raise SettingsError(f"row {cells[unknown][0]} was queried, but is no candidate of {self.objective.name}: "
                                "take the objective that the runs were made with")
        return found

    @cached_property
    def seconds(self) -> np.ndarray:
        """Simulated seconds until each query is completed, float64 [R, Q]; infinite behind a run's last query."""
        epochs, known = self.trajectories.epochs, np.array(self.objective.epochs)
        fidelity = np.minimum(np.searchsorted(known, epochs), len(known) - 1)
        if (unknown := known[fidelity] != epochs).any():
            raise SettingsError(f"a cell was trained for {epochs[unknown][0]} epochs, but {self.objective.name} has "
                                f"{self.objective.epochs}: take the objective that the runs were made with")
        return np.cumsum(self._padded(self.objective.seconds[fidelity, self.queried], np.inf), axis=1)

    @cached_property
    def incumbent(self) -> np.ndarray:
        """Candidate that each run holds after each query, int64 [R, Q]; the last one stays behind its last query."""
        # Order of (epochs, signal) as one whole number: exact, and -1 is below all of them.
        signals, rank = np.unique(self.trajectories.signal, return_inverse=True)
        merit = self._padded(self.trajectories.epochs.astype(np.int64) * len(signals) + rank, -1)
        highest = np.maximum.accumulate(merit, axis=1)
        better = np.diff(highest, axis=1, prepend=-1) > 0
        since = np.maximum.accumulate(np.where(better, np.arange(merit.shape[1]), 0), axis=1)
        return np.take_along_axis(self._padded(self.queried, NO_CELL), since, axis=1)

    def completed(self, queries: np.ndarray | float = np.inf, seconds: np.ndarray | float = np.inf) -> np.ndarray:
        """Number of queries that each run completes within both bounds, int64 [R, G] for G points; -1 where the run
        ended by a budget before either bound was reached."""
        queries, seconds = np.broadcast_arrays(np.atleast_1d(queries), np.atleast_1d(seconds))
        counts, ended = self.trajectories.counts[:, None], self.trajectories.ended[:, None]
        in_time = np.stack([np.searchsorted(row, seconds, side="right") for row in self.seconds])
        number = np.minimum(np.minimum(in_time, counts), np.floor(queries)).astype(np.int64)
        budget = self.trajectories.budget.seconds
        spent = np.where(np.isfinite(self.seconds), self.seconds, 0.0).max(axis=1, initial=0.0)[:, None]
        known_time = np.where(ended == ENDED_BY_SECONDS, np.inf if budget is None else budget, spent)
        known = (number < counts) | (queries <= counts) | (seconds <= known_time) | (ended == ENDED_BY_ITSELF)
        return np.where(known, number, -1)

    def values(self, quantity: str, completed: np.ndarray) -> np.ndarray:
        """One of :data:`QUANTITIES` after so many queries, float64 [R, G] for `completed` [R, G]; NaN where that is
        not positive."""
        place = np.maximum(completed - 1, 0)
        if not self.seconds.shape[1]:
            return np.full(completed.shape, np.nan)
        if quantity == "seconds":
            found = np.take_along_axis(self.seconds, place, axis=1)
        else:
            found = self._of_candidates(quantity)[np.take_along_axis(self.incumbent, place, axis=1)]
        return np.where(completed > 0, found, np.nan)

    def _of_candidates(self, quantity: str) -> np.ndarray:
        objective = self.objective
        if quantity not in QUANTITIES:
            raise SettingsError(f"unknown quantity {quantity!r}: choose one of {', '.join(QUANTITIES)}")
        split = quantity.removeprefix("regret_")
        accuracy, best = getattr(objective, split), getattr(objective, f"best_{split}")
        return accuracy if quantity == split else best - accuracy

    def _padded(self, values: np.ndarray, fill: float) -> np.ndarray:
        """Values of the queries as a matrix [R, Q]."""
        counts = self.trajectories.counts
        matrix = np.full((self.n_runs, int(counts.max())), fill, values.dtype)
        matrix[np.arange(matrix.shape[1]) < counts[:, None]] = values
        return matrix


def frame(outcomes: Outcomes, method: str = "") -> pd.DataFrame:
    """One row a query: run (the seed), method, query (from 1), cell, epochs, signal, validation and test (of that
    cell), seconds (spent when it is completed), incumbent, incumbent_validation, incumbent_test, regret_validation,
    regret_test. Cells are rows of ``space.cells()``, accuracies fractions."""
    runs, objective, queried = outcomes.trajectories, outcomes.objective, outcomes.queried
    made = np.arange(outcomes.seconds.shape[1]) < runs.counts[:, None]
    incumbent = outcomes.incumbent[made]
    return pd.DataFrame({
        "run": runs.seeds[runs.run], "method": pd.Categorical.from_codes(np.zeros(len(queried), np.int8), [method]),
        "query": runs.query, "cell": runs.cells, "epochs": runs.epochs, "signal": runs.signal,
        "validation": objective.validation[queried], "test": objective.test[queried],
        "seconds": outcomes.seconds[made], "incumbent": objective.rows[incumbent],
        "incumbent_validation": objective.validation[incumbent], "incumbent_test": objective.test[incumbent],
        "regret_validation": objective.best_validation - objective.validation[incumbent],
        "regret_test": objective.best_test - objective.test[incumbent]})


def final(outcomes: Outcomes, queries: int | None = None, seconds: float | None = None) -> pd.DataFrame:
    """One row a run, with what it holds when the first of the bounds is reached, or at its end when none is given: run
    (the seed), queries, seconds (both spent), cell (row of ``space.cells()``), validation, test, regret_validation,
    regret_test. A run without a completed query has cell -1 and NaN.

    Raises:
        SettingsError: a run was not given so much.
    """
    runs = outcomes.trajectories
    if queries is None and seconds is None:
        completed = runs.counts[:, None]
    else:
        completed = outcomes.completed(np.inf if queries is None else queries, np.inf if seconds is None else seconds)
    _check_reached(outcomes, completed, f"queries={queries}, seconds={seconds}")
    held = outcomes.incumbent[np.arange(len(runs)), completed[:, 0] - 1] if completed.any() else completed[:, 0]
    cell = np.where(completed[:, 0] > 0, outcomes.objective.rows[held], NO_CELL)
    return pd.DataFrame({"run": runs.seeds, "queries": completed[:, 0],
                         "seconds": outcomes.values("seconds", completed)[:, 0], "cell": cell,
                         **{quantity: outcomes.values(quantity, completed)[:, 0]
                            for quantity in ("validation", "test", "regret_validation", "regret_test")}})


def summary(outcomes: Outcomes, queries: int | None = None, seconds: float | None = None, level: float = 0.95
            ) -> pd.DataFrame:
    """:func:`final` in short: a row for queries, seconds, validation, test, regret_validation and regret_test, columns
    mean, low and high (see :func:`mean_band`) and sd over runs (NaN for one run).

    Raises:
        SettingsError: as in :func:`final`.
    """
    held = final(outcomes, queries, seconds).drop(columns=["run", "cell"])
    mean, low, high = mean_band(held.to_numpy(np.float64), level)
    return pd.DataFrame({"mean": mean, "low": low, "high": high, "sd": held.std(ddof=1)}, index=held.columns)


def curve(outcomes: Outcomes, axis: str, grid: np.ndarray, quantity: str = "regret_test",
          quantiles: tuple[float, ...] = (0.1, 0.5, 0.9), level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Runs against `axis`, "queries" or "seconds", at the points of `grid` [G]: columns axis, mean, low, high (see
    :func:`mean_band`), and q10, q50, … the quantiles of the runs. NaN where not all runs have a value.

    Raises:
        SettingsError: unknown axis or quantity.
    """
    if axis not in ("queries", "seconds"):
        raise SettingsError(f"unknown axis {axis!r}: choose queries or seconds")
    values = outcomes.values(quantity, outcomes.completed(**{axis: grid}))
    mean, low, high = mean_band(values, level, seed)
    return pd.DataFrame({axis: grid, "mean": mean, "low": low, "high": high,
                         **{f"q{round(100 * q)}": np.quantile(values, q, axis=0) for q in quantiles}})


def mean_band(values: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over runs and the ends of its pointwise interval, [G] each, of `values` [R, G].

    Up to 30 runs Student's t, beyond them the percentile bootstrap with the same resampled runs at every point; one
    run has no interval (NaN).
    """
    n, mean = len(values), values.mean(axis=0)
    if n == 1:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    if n <= _FEW_RUNS:
        ends = [t_interval(v, level)[1:3] if np.isfinite(v).all() else (np.nan, np.nan) for v in values.T]
        return mean, *np.array(ends, float).reshape(-1, 2).T
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES)
    low, high = np.quantile(drawn @ values / n, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return mean, low, high


def regret_after(outcomes: Outcomes, start: float, stop: float, quantity: str = "regret_test") -> np.ndarray:
    """Average of a quantity over the simulated seconds from `start` to `stop`, float64 [R]: the area under the step
    function over its length. NaN for a run that has no incumbent at `start`.

    Raises:
        SettingsError: start and stop do not ascend, or a run was not given `stop` seconds.
    """
    if not 0 <= start < stop:
        raise SettingsError(f"from {start} s to {stop} s is no stretch of time: give 0 <= start < stop")
    _check_reached(outcomes, outcomes.completed(seconds=stop), f"seconds={stop}")
    begin = outcomes.seconds
    end = np.column_stack([begin[:, 1:], np.full(len(begin), np.inf)])[:, :begin.shape[1]]
    held = np.clip(np.minimum(end, stop) - np.maximum(begin, start), 0, None)
    numbers = np.broadcast_to(np.arange(1, begin.shape[1] + 1), begin.shape)
    average = (held * outcomes.values(quantity, numbers)).sum(1) / (stop - start)
    return np.where(outcomes.completed(seconds=start)[:, 0] > 0, average, np.nan)


def _check_reached(outcomes: Outcomes, completed: np.ndarray, asked: str) -> None:
    if (short := (completed < 0).any(1)).any():
        runs = outcomes.trajectories
        raise SettingsError(f"{short.sum()} of {len(runs)} runs, first that of seed {runs.seeds[short][0]}, ended "
                            f"before {asked}: they were given {runs.budget}; ask for less, or run them for longer")
