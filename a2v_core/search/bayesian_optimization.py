"""Bayesian optimisation with DNGO (Snoek et al. 2015) on a vector for each cell: arch2vec-BO (§3.3.2, A.1, A.2).

After some random cells, every round trains a basis network on all answers so far, fits a Bayesian linear regression on
its hidden layer, and queries the cells with the largest expected improvement. With embeddings this is arch2vec-BO; the
same on one-hot matrices or paths is its discrete counterpart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.search.basis_network import train_basis_networks
from a2v_core.search.bayesian_linear import fit_evidence, fit_released
from a2v_core.search.best_candidates import Acquisition, Candidates, best_candidates
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher
from a2v_core.training import resolve_device


def _setting(default: Any, meaning: str, source: str, choices: tuple[Any, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class BayesianOptimizationSettings:
    """Everything that decides a run apart from the problem and the seed.

    Raises:
        SettingsError: a value is not among the choices of its field, or is out of range.
    """

    initial: int = _setting(16, "random cells before the first round", "A.1, A.2")
    proposals: int = _setting(5, "cells of a round", "§3.3.2; A.2 has 1 on NAS-Bench-201")
    hidden: int = _setting(128, "basis functions", "§3.3.2")
    epochs: int = _setting(100, "passes over the answers in each round, from new weights", "§3.3.2, A.1")
    batch_size: int = _setting(10, "answers of a step; the last, smaller batch of an epoch is dropped", "released code")
    learning_rate: float = _setting(1e-2, "Adam step size", "A.1")
    likelihood: str = _setting("released", "what chooses the precisions of the regression: see a2v_core.search."
                               "bayesian_linear", "released code; Snoek et al. 2015 for evidence",
                               ("released", "evidence"))
    sigma: str = _setting("variance", "what expected improvement takes for the standard deviation",
                          "released code; Jones et al. 1998 for deviation", ("variance", "deviation"))
    incumbent: float | None = _setting(0.95, "the value to improve on; None for the best answer of the run",
                                       "§3.3.2, A.1; A.2 has 1.0 on NAS-Bench-201; None is ours")
    standardise: bool = _setting(False, "scale the answers of a run to mean 0 and deviation 1 in each round",
                                 "released code does not; ours")
    repeats: bool = _setting(True, "cells that were queried before can be queried again",
                             "released code, whose list of visited cells never matches")
    best_last: bool = _setting(True, "query the cells of a round in ascending order of expected improvement",
                               "released code")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            choices, value = field.metadata["choices"], getattr(self, field.name)
            if choices and value not in choices:
                raise SettingsError(f"setting {field.name}={value!r} is unknown: choose one of {', '.join(choices)}")
        for name in ("initial", "proposals", "hidden", "epochs", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be positive")


_CAREFUL = {"likelihood": "evidence", "sigma": "deviation", "repeats": False, "best_last": False}
#: Changes against the defaults above, which are the released code's on NAS-Bench-101 and DARTS.
RECIPES: dict[str, dict[str, Any]] = {
    "released": {},
    "paper": _CAREFUL,
    "corrected": _CAREFUL | {"incumbent": None, "standardise": True},
}

#: What a recipe changes further on one search space (A.2).
BY_SPACE: dict[str, dict[str, dict[str, Any]]] = {
    "released": {"nasbench201": {"proposals": 1, "incumbent": 1.0}},
    "paper": {"nasbench201": {"proposals": 1, "incumbent": 1.0}},
    "corrected": {"nasbench201": {"proposals": 1}},
}


class BayesianOptimization(Searcher):
    """DNGO on the candidates' vectors, ``problem.features``.

    A run without any answer draws its next cells at random; an answer that is no number teaches nothing. Runs with
    equally many answers train their networks together.

    Args:
        problem, seeds: see :class:`~a2v_core.search.protocol.Searcher`.
        settings: see :class:`BayesianOptimizationSettings`.
        device: where networks are trained and candidates are bounded; see :func:`a2v_core.training.resolve_device`.

    Raises:
        SettingsError: the problem has no features.
        DataError: a feature is not finite.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int], settings: BayesianOptimizationSettings | None = None,
                 device: str = "auto") -> None:
        super().__init__(problem, seeds)
        if problem.features is None or len(problem.features) != len(problem.cells):
            raise SettingsError(f"Bayesian optimisation needs a vector of each of the {len(problem.cells)} candidates: "
                                "set Problem.features, float32 [M, F]")
        self.settings = settings or BayesianOptimizationSettings()
        self._device = resolve_device(device)
        self._candidates = Candidates(problem.features, self._device)
        self._rngs = [np.random.default_rng(seed) for seed in seeds]
        self._queried = [np.empty(0, np.int64) for _ in self.seeds]
        self._cells = [np.empty(0, np.int64) for _ in self.seeds]
        self._answers = [np.empty(0) for _ in self.seeds]
        self._precisions: list[np.ndarray] = []

    @property
    def precisions(self) -> np.ndarray:
        """alpha and beta of the regression in each round, float64 [R, rounds, 2], in units of the (standardised)
        answers; NaN where a run fitted none."""
        return np.stack([np.empty((len(self.seeds), 0, 2)), *self._precisions][1:], 1) if self._precisions else \
            np.empty((len(self.seeds), 0, 2))

    def propose(self, active: np.ndarray) -> Proposal:
        chosen = {run: self._random(run) for run in np.flatnonzero(active) if not len(self._answers[run])}
        precisions = np.full((len(active), 2), np.nan)
        counts = np.array([len(answers) for answers in self._answers])
        for count in np.unique(counts[active & (counts > 0)]):
            runs = np.flatnonzero(active & (counts == count))
            for run, acquisition in zip(runs, self._fit(runs), strict=True):
                posterior, place = acquisition.posterior, acquisition.run
                precisions[run] = posterior.alpha[place], posterior.beta[place]
                best = best_candidates(acquisition, self._candidates, self.settings.proposals, self._excluded(run))
                chosen[run] = best[::-1] if self.settings.best_last else best
        if counts[active].any():
            self._precisions.append(precisions)
        width = max([1, *(len(cells) for cells in chosen.values())])
        cells = np.full((len(active), width), NO_CELL)
        for run, found in chosen.items():
            cells[run, :len(found)] = found
        return Proposal(cells)

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        for run, (cells, answers) in enumerate(zip(proposal.cells, signal, strict=True)):
            known = (cells != NO_CELL) & np.isfinite(answers)
            self._queried[run] = np.union1d(self._queried[run], cells[cells != NO_CELL])
            self._cells[run] = np.append(self._cells[run], cells[known])
            self._answers[run] = np.append(self._answers[run], answers[known])

    def _excluded(self, run: int) -> np.ndarray:
        return self._queried[run][:0] if self.settings.repeats else self._queried[run]

    def _random(self, run: int) -> np.ndarray:
        """Different cells drawn uniformly among those that the run may query."""
        open_cells = np.delete(np.arange(len(self.problem.cells)), self._excluded(run))
        return self._rngs[run].choice(open_cells, min(self.settings.initial, len(open_cells)), replace=False)

    def _fit(self, runs: np.ndarray) -> list[Acquisition]:
        """The model of each of some runs that have equally many answers."""
        settings, rngs = self.settings, [self._rngs[run] for run in runs]
        features = np.stack([self.problem.features[self._cells[run]] for run in runs])
        answers = np.stack([self._answers[run] for run in runs])
        best = answers.max(1) if settings.incumbent is None else np.full(len(runs), settings.incumbent)
        if settings.standardise:
            mean, deviation = answers.mean(1, keepdims=True), answers.std(1, keepdims=True)
            # Equal answers can have a deviation of some rounding errors.
            deviation[deviation < 1e-12] = 1.0
            answers, best = (answers - mean) / deviation, (best - mean[:, 0]) / deviation[:, 0]
        networks = train_basis_networks(features, answers, rngs, hidden=settings.hidden, epochs=settings.epochs,
                                        batch_size=settings.batch_size, learning_rate=settings.learning_rate,
                                        device=self._device)
        basis = np.stack([networks.hidden(place, features[place]) for place in range(len(runs))])
        if settings.likelihood == "released":
            posterior = fit_released(basis, answers, rngs)
        else:
            posterior = fit_evidence(basis, answers)
        return [Acquisition(networks, posterior, place, float(best[place]), settings.sigma == "variance")
                for place in range(len(runs))]
