"""Bayesian optimisation with a Gaussian process on the Weisfeiler-Lehman kernel, after NAS-BOWL (Ru et al. 2021,
"Interpretable neural architecture search via Bayesian optimisation with Weisfeiler-Lehman kernels"); not in the paper.

No encoder and no training: the kernel counts subtrees (:mod:`a2v_core.search.wl_kernel`). In each round the evidence of
the answers so far chooses how deep the subtrees are and how large the noise is; the signal variance has a closed form.
The model is a few lines of linear algebra because its kernel is a matrix and its hyperparameters lie on a grid;
scikit-learn's process, which takes kernels as functions of vectors and climbs their gradients, is the tests' oracle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.search.acquisition import log_expected_improvement
from a2v_core.search.message_classes import GRAPHS
from a2v_core.search.neighbourhoods import neighbourhood
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher
from a2v_core.search.wl_kernel import SubtreeCounts

#: Noise variances among which the evidence chooses, in units of the signal variance.
NOISES = np.logspace(-4, 1, 21)
# Equal answers have a signal variance of zero; the variance at an answered cell can be some rounding errors below it.
_LEAST_VARIANCE = 1e-12


def _setting(default: Any, meaning: str, source: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class WLGaussianProcessSettings:
    """Everything that decides a run apart from the problem and the seed.

    Raises:
        SettingsError: a value is unknown or out of range.
    """

    initial: int = _setting(16, "random cells before the first round", "as arch2vec-BO")
    proposals: int = _setting(5, "cells of a round", "as arch2vec-BO")
    depth: int = _setting(2, "most rounds of message passing; the evidence chooses among 0 … depth", "Ru et al. 2021")
    graph: str = _setting("undirected", "whose messages reach a node: see a2v_core.search.message_classes",
                          "as arch2vec's encoder", GRAPHS)
    pool: int = _setting(200, "candidates whose expected improvement is computed in a round; 0 for all of them",
                         "Ru et al. 2021")
    parents: int = _setting(5, "best cells so far whose neighbours enter the pool first; random cells fill it", "ours")

    def __post_init__(self) -> None:
        for name, least in (("initial", 1), ("proposals", 1), ("depth", 1), ("pool", 0), ("parents", 0)):
            if getattr(self, name) < least:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be at least {least}")
        if self.graph not in GRAPHS:
            raise SettingsError(f"setting graph={self.graph!r} is unknown: choose one of {', '.join(GRAPHS)}")


#: The paper has no such search, so its three arms agree.
RECIPES: dict[str, dict[str, Any]] = {"released": {}, "paper": {}, "corrected": {}}
#: One cell a round on NAS-Bench-201, as arch2vec-BO (A.2).
BY_SPACE: dict[str, dict[str, Any]] = {"nasbench201": {"proposals": 1}}


@dataclass(frozen=True, eq=False)
class Posterior:
    """A Gaussian process given n answers.

    Attributes:
        depth: rounds whose kernel was chosen.
        noise: its noise variance, in units of the signal variance.
        variance: signal variance.
        evidence: logarithm of the marginal likelihood, up to a constant.
    """

    depth: int
    noise: float
    variance: float
    evidence: float
    _directions: np.ndarray  # [n, n], of the chosen kernel matrix
    _eigenvalues: np.ndarray  # [n], noise included
    _answers: np.ndarray  # [n], along the directions

    def predict(self, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, float64 [A] each, of cells whose kernel with the n answered ones, and with
        themselves 1, is `kernel` [depths, A, n]; without the noise of an answer."""
        along = kernel[self.depth] @ self._directions
        mean = along @ (self._answers / self._eigenvalues)
        left = 1.0 - (along * along / self._eigenvalues).sum(1)
        return mean, np.sqrt(self.variance * np.maximum(left, _LEAST_VARIANCE))


def fit(kernel: np.ndarray, answers: np.ndarray) -> Posterior:
    """The process whose depth and noise have the highest evidence; its mean is zero.

    Args:
        kernel: of the n answered cells with each other by depth, [depths, n, n].
        answers: [n].
    """
    eigenvalues, directions = np.linalg.eigh(kernel)
    along = np.einsum("dij,i->dj", directions, answers)
    spread = np.maximum(eigenvalues, 0.0)[:, None, :] + NOISES[:, None]  # [depths, noises, n]
    variance = np.maximum((along[:, None, :] ** 2 / spread).mean(2), _LEAST_VARIANCE)
    evidence = -0.5 * (len(answers) * np.log(variance) + np.log(spread).sum(2))
    depth, noise = np.unravel_index(np.argmax(evidence), evidence.shape)
    return Posterior(int(depth), float(NOISES[noise]), float(variance[depth, noise]), float(evidence[depth, noise]),
                     directions[depth], spread[depth, noise], along[depth])


class WLGaussianProcess(Searcher):
    """A cell is queried once in a run. A run ends when it has queried every candidate.

    In each round the answers are scaled to mean 0 and deviation 1, and the cells of the pool with the highest expected
    improvement over the best answer are queried, the best one first.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int],
                 settings: WLGaussianProcessSettings = WLGaussianProcessSettings()) -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        self._subtrees = _subtrees(problem, settings.depth, settings.graph)
        self._rngs = [np.random.default_rng(seed) for seed in seeds]
        self._cells = [np.empty(0, np.int64) for _ in seeds]
        self._answers = [np.empty(0) for _ in seeds]

    def propose(self, active: np.ndarray) -> Proposal:
        cells = np.full((len(active), max(self.settings.initial, self.settings.proposals)), NO_CELL)
        for run in np.flatnonzero(active):
            found = self._best(run) if len(self._cells[run]) else self._others(run, self.settings.initial)
            cells[run, :len(found)] = found
        return Proposal(cells[:, :max(1, int((cells != NO_CELL).sum(1).max(initial=0)))])

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        for run, (cells, answers) in enumerate(zip(proposal.cells, signal, strict=True)):
            known = ~np.isnan(answers)
            self._cells[run] = np.append(self._cells[run], cells[known])
            self._answers[run] = np.append(self._answers[run], answers[known])

    def _best(self, run: int) -> np.ndarray:
        """The cells of the pool that are queried next, the best one first, int64 [k]."""
        pool, cells, answers = self._pool(run), self._cells[run], self._answers[run]
        deviation = answers.std()
        # Equal answers can have a deviation of some rounding errors.
        scaled = (answers - answers.mean()) / (deviation if deviation > _LEAST_VARIANCE else 1.0)
        posterior = fit(self._subtrees.kernel(cells, cells), scaled)
        mean, sigma = posterior.predict(self._subtrees.kernel(pool, cells))
        improvement = log_expected_improvement(mean, sigma, scaled.max())
        return pool[np.argsort(-improvement, kind="stable")[:self.settings.proposals]]

    def _pool(self, run: int) -> np.ndarray:
        """Candidates that may be queried in this round, int64, no two equal."""
        if not self.settings.pool:
            return np.setdiff1d(np.arange(len(self.problem.cells)), self._cells[run])
        beside, best = neighbourhood(self.problem), np.argsort(-self._answers[run], kind="stable")
        near = [beside.of(int(cell)) for cell in self._cells[run][best[:self.settings.parents]]]
        near = np.setdiff1d(np.concatenate(near) if near else np.empty(0, np.int64), self._cells[run])
        near = self._rngs[run].permutation(near)[:self.settings.pool]
        return np.concatenate([near, self._others(run, self.settings.pool - len(near), near)])

    def _others(self, run: int, n: int, besides: np.ndarray | None = None) -> np.ndarray:
        """Up to n different candidates, uniformly among those neither queried nor in `besides`, int64."""
        taken = self._cells[run] if besides is None else np.concatenate([self._cells[run], besides])
        n = min(n, len(self.problem.cells) - len(taken))
        # Ranks among the candidates that are left: each taken one at or below shifts them up.
        found = np.sort(self._rngs[run].choice(len(self.problem.cells) - len(taken), n, replace=False))
        order = np.sort(taken)
        found += np.searchsorted(order - np.arange(len(order)), found, side="right")
        return self._rngs[run].permutation(found)


@lru_cache(maxsize=2)
def _subtrees(problem: Problem, depth: int, graph: str) -> SubtreeCounts:
    """Of the candidates of a problem; those of the last problems are kept."""
    return SubtreeCounts(problem.cells, depth, graph)
