"""BOHB (Falkner, Klein & Hutter 2018) on the discrete encoding: Hyperband whose new configurations come from a model.

Of the two parts of BOHB, Hyperband's schedule is arithmetic (:mod:`a2v_core.search.hyperband`) and the model is a pair
of kernel densities as statsmodels defines them (:mod:`a2v_core.search.kernel_density`), of the best and of the other
configurations observed at the largest fidelity that has enough of them. A new configuration is the best by the ratio of
the two among points drawn near the good ones; a fraction is drawn at random. A configuration that survives a rung is
trained anew at the next fidelity and costs all of it. With one fidelity BOHB is a model-based search without halving.

As in its own program, HpBandSter, with one worker, nothing keeps BOHB from querying a cell again, and it never ends by
itself while its encodings give candidates. What is to be redrawn (an encoding of a cell that is no candidate, of a
problem that is a part of its space; by setting also an invalid one) is drawn again where it is random, and not looked
at among the points drawn from the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.search.discrete import PATIENCE, CandidateEncoding, drawn
from a2v_core.search.hyperband import ROUNDINGS, Schedule, survivors
from a2v_core.search.kernel_density import KernelDensities
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher
from a2v_core.search.streams import UniformStreams

#: The program takes a density below this for this.
_LEAST_DENSITY = 1e-32
#: So many runs are modelled at a time; their kernels fit the cache.
_BLOCK = 16


SPLITS, INVALID = ("disjoint", "overlapping"), ("kept", "redrawn")


def _setting(default: Any, meaning: str, source: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class BohbSettings:
    """What decides a run apart from the candidates and the seed.

    "Script" is run_bohb.py of automl/nas_benchmarks, "program" is HpBandSter, which it calls. Their `bandwidth_factor`
    widens the kernels of continuous variables only, of which there are none.

    Raises:
        SettingsError: a value is unknown or out of range.
    """

    eta: int = _setting(3, "1/eta of a rung survive", "Falkner et al.; script")
    rounding: str = _setting("floor", "of the size of a bracket, see hyperband.ROUNDINGS",
                             "program; Falkner et al. have ceil", ROUNDINGS)
    least_rungs: int = _setting(1, "rungs of the longest bracket, if more than there are fidelities: the surplus low "
                                "rungs train at the lowest fidelity", "NAS-Bench-201's authors have 4 for 1 fidelity")
    random_fraction: float = _setting(0.33, "of the new configurations that are random",
                                      "script; Falkner et al. have 1/3")
    samples: int = _setting(64, "points drawn for a new configuration", "Falkner et al.; script")
    good_percent: int = _setting(15, "of the observations that are good, but V + 1 of them at least",
                                 "Falkner et al.; program")
    split: str = _setting("disjoint", "the other density gets the rest, and a model needs V + 1 observations on each "
                          "side; or it gets the worst ones, V + 1 at least even if they are good as well, and a model "
                          "needs V + 3 observations", "program; Falkner et al. for overlapping", SPLITS)
    min_bandwidth: float = _setting(0.3, "least bandwidth of a kernel", "script; Falkner et al. have 0.001")
    proper: bool = _setting(False, "kernels are distributions over all values of a variable, or as statsmodels has "
                            "them, see KernelDensities.fit", "program; the former is ours")
    invalid: str = _setting("kept", "an encoding that gives no valid cell takes its place in the rung with accuracy 0, "
                            "or is drawn again; it is no query and costs nothing either way",
                            "automl/nas_benchmarks keeps it", INVALID)

    def __post_init__(self) -> None:
        for setting in fields(self):
            choices, value = setting.metadata["choices"], getattr(self, setting.name)
            if choices and value not in choices:
                raise SettingsError(f"setting {setting.name}={value!r} is unknown: choose one of {', '.join(choices)}")
        if not (0 <= self.random_fraction <= 1 and 1 <= self.good_percent <= 99 and 0 < self.min_bandwidth < 1
                and min(self.samples, self.least_rungs) >= 1):
            raise SettingsError("need 0 <= random_fraction <= 1, 1 <= good_percent <= 99, 0 < min_bandwidth < 1, "
                                f"samples >= 1 and least_rungs >= 1, got {self}")


_DESCRIBED = {"rounding": "ceil", "random_fraction": 1 / 3, "split": "overlapping", "min_bandwidth": 1e-3}
#: Changes against the defaults, which are the script's. `paper` is BOHB as Falkner et al. describe it, since arch2vec
#: describes no setting.
RECIPES: dict[str, dict[str, Any]] = {
    "released": {},
    "paper": _DESCRIBED,
    "corrected": _DESCRIBED | {"proper": True, "invalid": "redrawn"},
}
#: What the authors of NAS-Bench-201 ran, whose BOHB Table 3 quotes. Their evaluation ignores the budget: each of the
#: four rungs between 3 and 108 nominal epochs trains alike, and a survivor is trained again in the same way.
BY_SPACE: dict[str, dict[str, dict[str, Any]]] = {
    "released": {"nasbench201": {"samples": 4, "random_fraction": 0.0, "least_rungs": 4}}}


class Bohb(Searcher):
    """R runs of BOHB, one query a proposal.

    Raises:
        SpaceError: the space has no discrete encoding, or too few encodings give candidates.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int], settings: BohbSettings = BohbSettings()) -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        self._encoding = CandidateEncoding(problem)
        self._encoding.require_candidates()
        self._is_part = len(problem.rows) < len(problem.space.cells())
        self._choices, self._v = self._encoding.choices, len(self._encoding.choices)
        self._streams = UniformStreams(seeds, block=4 * settings.samples * (1 + self._v))
        r, levels = len(self.seeds), max(len(problem.epochs), settings.least_rungs)
        self._schedule = Schedule(levels, settings.eta, settings.rounding)
        self._surplus = levels - len(problem.epochs)
        self._place = np.zeros(r, np.int64)
        self._rung = np.zeros((r, self._schedule.width, self._v), np.uint8)
        self._rung_values = np.zeros((r, self._schedule.width))
        self._observed = [_Observations(r, self._v) for _ in range(levels)]
        self._modelled = np.full(r, -1)  # highest level that has a model

    def propose(self, active: np.ndarray) -> Proposal:
        cells = np.full((len(self.seeds), 1), NO_CELL)
        runs = np.flatnonzero(active)
        for _ in range(PATIENCE):
            encodings = self._next(runs)
            candidates, valid = self._encoding.decode(encodings)
            cells[runs, 0] = candidates
            if self.settings.invalid == "kept":
                self._record(runs[~valid], np.zeros(np.count_nonzero(~valid)))
            runs = runs[candidates == NO_CELL]
            if not runs.size:
                break
        fidelity = np.maximum(self._schedule.level[self._place] - self._surplus, 0)
        return Proposal(cells, fidelity[:, None])

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        runs = np.flatnonzero(~np.isnan(signal[:, 0]))
        self._record(runs, signal[runs, 0])

    def _next(self, runs: np.ndarray) -> np.ndarray:
        """The encodings that the runs evaluate next, uint8 [n, V]; they lie in their places of the rungs."""
        place = self._place[runs]
        new = self._schedule.is_new[place]
        self._rung[runs[new], self._schedule.place[place[new]]] = self._new(runs[new])
        return self._rung[runs, self._schedule.place[place]]

    def _record(self, runs: np.ndarray, values: np.ndarray) -> None:
        """Take the values, float64 [n], of what the runs evaluate now, and go on to the next place of the schedule."""
        place = self._place[runs]
        level, in_rung, surviving = (a[place] for a in (self._schedule.level, self._schedule.place,
                                                        self._schedule.survivors))
        self._rung_values[runs, in_rung] = values
        for i, observed in enumerate(self._observed):
            at = np.flatnonzero((level == i) & (i >= self._modelled[runs]))  # none is needed below a model
            seen = runs[at]
            observed.add(seen, self._rung[seen, in_rung[at]], values[at])
            self._modelled[seen[self._has_model(observed.counts[seen])]] = i
        for i in np.flatnonzero(surviving):
            run, kept = runs[i], survivors(self._rung_values[runs[i], : in_rung[i] + 1], surviving[i])
            self._rung[run, : len(kept)] = self._rung[run, kept]
        self._place[runs] = (place + 1) % len(self._schedule)

    def _has_model(self, n: np.ndarray) -> np.ndarray:
        if self.settings.split == "overlapping":
            return n >= self._v + 3
        return n - self._n_good(n) >= self._v + 1

    def _n_good(self, n: np.ndarray) -> np.ndarray:
        return np.maximum(self._v + 1, self.settings.good_percent * n // 100)

    def _new(self, runs: np.ndarray) -> np.ndarray:
        """New configurations, uint8 [n, V]."""
        encodings = np.empty((len(runs), self._v), np.uint8)
        by_model = self._streams.take(runs, 1)[:, 0] >= self.settings.random_fraction
        level = np.where(by_model, self._modelled[runs], -1)
        encodings[level < 0] = self._random(runs[level < 0])
        for i in range(level.max(initial=-1) + 1):
            of_level = np.flatnonzero(level == i)
            for start in range(0, len(of_level), _BLOCK):
                block = of_level[start : start + _BLOCK]
                encodings[block] = self._by_model(runs[block], i)
        return encodings

    def _random(self, runs: np.ndarray) -> np.ndarray:
        return drawn(self._choices, self._streams.take(runs, self._v))

    def _by_model(self, runs: np.ndarray, level: int) -> np.ndarray:
        s = self.settings
        good, other = self._densities(runs, level)
        uniform = self._streams.take(runs, s.samples * (1 + self._v)).reshape(len(runs), s.samples, 1 + self._v)
        points = good.sample(uniform)
        best = best_ratio(good.at(points), other.at(points), self._may_be_taken(points))
        encodings = points[np.arange(len(runs)), best]
        encodings[best < 0] = self._random(runs[best < 0])
        return encodings

    def _may_be_taken(self, points: np.ndarray) -> np.ndarray:
        if self.settings.invalid == "kept" and not self._is_part:
            return np.ones(points.shape[:2], bool)
        candidates, valid = self._encoding.decode(points)
        return (candidates != NO_CELL) | (~valid & (self.settings.invalid == "kept"))

    def _densities(self, runs: np.ndarray, level: int) -> tuple[KernelDensities, KernelDensities]:
        """Densities of the good and of the other observations of the runs at a level."""
        s, encodings, n = self.settings, *self._observed[level].best_first(runs)
        n_good = self._n_good(n)
        if s.split == "overlapping":
            n_other = np.maximum(self._v + 1, n - n_good)
            first = n - n_other
        else:
            n_other = np.minimum(n - n_good, np.maximum(self._v + 1, (100 - s.good_percent) * n // 100))
            first = n_good
        rows = np.minimum(first[:, None] + np.arange(n_other.max()), encodings.shape[1] - 1)
        others = encodings[np.arange(len(runs))[:, None], rows]
        return tuple(KernelDensities.fit(self._choices, data, counts, s.min_bandwidth, s.proper)
                     for data, counts in ((encodings[:, : n_good.max()], n_good), (others, n_other)))


class _Observations:
    """What R runs observed at one level: encodings uint8 [R, capacity, V], values [R, capacity], counts [R]."""

    def __init__(self, r: int, v: int) -> None:
        self._encodings = np.zeros((r, 64, v), np.uint8)
        self._values = np.full((r, 64), -np.inf)
        self.counts = np.zeros(r, np.int64)

    def add(self, runs: np.ndarray, encodings: np.ndarray, values: np.ndarray) -> None:
        if runs.size and self.counts[runs].max() == self._values.shape[1]:
            self._encodings = np.concatenate([self._encodings, np.zeros_like(self._encodings)], axis=1)
            self._values = np.concatenate([self._values, np.full_like(self._values, -np.inf)], axis=1)
        at = self.counts[runs]
        self._encodings[runs, at], self._values[runs, at] = encodings, values
        self.counts[runs] += 1

    def best_first(self, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encodings by falling value, ties in the order of observation, uint8 [n, longest, V], and counts [n]."""
        counts = self.counts[runs]
        order = np.argsort(-self._values[runs, : counts.max()], axis=1, kind="stable")
        return self._encodings[runs[:, None], order], counts


def best_ratio(good: np.ndarray, other: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Place of the lowest ratio of the densities other / good among the allowed points of each row, int64 [n]; -1 for
    none. All arguments are [n, S].

    Of equal ratios the first is taken. Densities below 1e-32 count as 1e-32. The rest is how HpBandSter meets
    statsmodels' infinite densities: where the good one is infinite the ratio is 0; the first point at which only the
    other one is infinite is taken whatever the rest; not-a-number of the good one is passed over, of the other one it
    counts as 1e-32.
    """
    floored = np.where(other > _LEAST_DENSITY, other, _LEAST_DENSITY)
    with np.errstate(invalid="ignore"):
        ratio = floored / np.where(good < _LEAST_DENSITY, _LEAST_DENSITY, good)
    ratio = np.where(allowed, ratio, np.nan)
    at_once = np.isinf(ratio) & np.isfinite(good)
    ratio = np.where(np.isfinite(ratio), ratio, np.inf)
    best = np.where(np.isfinite(ratio).any(1), ratio.argmin(1), -1)
    return np.where(at_once.any(1), at_once.argmax(1), best)
