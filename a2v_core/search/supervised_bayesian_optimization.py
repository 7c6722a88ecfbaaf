"""Bayesian optimisation with an encoder that learns from accuracies: the supervised counterpart of arch2vec-BO (§4.2).

After some random cells, every round trains a graph network from new weights to predict the accuracies so far, cell →
nodes' embeddings → their mean (16 numbers) → basis functions → accuracy, end to end. A Bayesian linear regression on
the basis functions then gives mean and variance for every cell of the space. The basis functions are the tanh of the 16
numbers, or a tanh layer on them as in arch2vec-BO. There the layer sees standardised embeddings; here the embeddings
move with every step and their scale is learned with them, so that nothing is standardised inside the network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from a2v_core.errors import SettingsError
from a2v_core.search.acquisition import log_expected_improvement, log_improvement_without_parentheses
from a2v_core.search.bayesian_linear import fit_evidence, fit_released
from a2v_core.search.message_classes import GRAPHS, message_classes
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher
from a2v_core.search.supervised_encoder import LATENT, N_LAYERS, SupervisedEncoders
from a2v_core.training import resolve_device

# Networks trained as one stack; more do not make a step cheaper.
_STACK = 25
# Cells whose mean and variance are computed at a time.
_ROWS = 8192


def _setting(default: Any, meaning: str, source: str, choices: tuple[Any, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class SupervisedBayesianOptimizationSettings:
    """Everything that decides a run apart from the problem and the seed.

    Raises:
        SettingsError: a value is not among the choices of its field, or is out of range.
    """

    initial: int = _setting(16, "random cells before the first round", "released code; A.1")
    proposals: int = _setting(5, "cells of a round", "released code; §3.3.2, A.2 has 1 on NAS-Bench-201")
    graph: str = _setting("directed", "a node hears those that it feeds (A), or all that share an edge (A + A^T)",
                          "released code; §4 for arch2vec is undirected", GRAPHS)
    basis: int = _setting(16, "basis functions: tanh of the cell's 16 numbers, or a tanh layer of this width on them",
                          "released code; §3.3.2 for arch2vec has 128")
    epochs: int = _setting(100, "passes over the answers in each round, from new weights", "released code; §3.3.2, A.1")
    batch_size: int = _setting(10, "answers of a step; the last, smaller batch of an epoch is dropped", "released code")
    learning_rate: float = _setting(1e-2, "Adam step size", "released code; A.1")
    statistics: str = _setting("space", "batchnorm outside training by the nodes of all cells, and of the queried ones "
                               "for the regression; or by the running statistics",
                               "released code has training mode, in chunks of 512 cells; arch2vec has running",
                               ("space", "running"))
    likelihood: str = _setting("released", "what chooses the precisions of the regression: see a2v_core.search."
                               "bayesian_linear", "released code; Snoek et al. 2015 for evidence",
                               ("released", "evidence"))
    improvement: str = _setting("without_parentheses", "u = mean - incumbent / sigma, or (mean - incumbent) / sigma",
                                "released code; Jones et al. 1998 for expected", ("without_parentheses", "expected"))
    sigma: str = _setting("variance", "what expected improvement takes for the standard deviation",
                          "released code; Jones et al. 1998 for deviation", ("variance", "deviation"))
    single: bool = _setting(True, "improvements are compared in single precision, where the smallest ones are zero; "
                            "equal ones are chosen from at random", "released code, which shuffles the cells")
    incumbent: float | None = _setting(0.95, "the value to improve on; None for the best answer of the run",
                                       "§3.3.2, A.1; A.2 has 1.0 on NAS-Bench-201; None is ours")
    standardise: bool = _setting(False, "scale the answers of a run to mean 0 and deviation 1 in each round",
                                 "released code does not; ours")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            choices, value = field.metadata["choices"], getattr(self, field.name)
            if choices and value not in choices:
                raise SettingsError(f"setting {field.name}={value!r} is unknown: choose one of {', '.join(choices)}")
        for name in ("initial", "proposals", "basis", "epochs", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be positive")


_LIKE_ARCH2VEC = {"graph": "undirected", "basis": 128, "statistics": "running", "likelihood": "evidence",
                  "improvement": "expected", "sigma": "deviation", "single": False}
#: Changes against the defaults above, which are the released code's. "paper": "the hyperparameters are the same as
#: arch2vec" (§4.2), so it has the graph, basis, regression and improvement of arch2vec-BO: the fair comparison.
RECIPES: dict[str, dict[str, Any]] = {
    "released": {},
    "paper": _LIKE_ARCH2VEC,
    "corrected": _LIKE_ARCH2VEC | {"incumbent": None, "standardise": True},
}

#: What a recipe changes further on one search space: A.2 has it for arch2vec-BO; the supervised code is for
#: NAS-Bench-101 alone.
BY_SPACE: dict[str, dict[str, dict[str, Any]]] = {
    "released": {"nasbench201": {"proposals": 1, "incumbent": 1.0}},
    "paper": {"nasbench201": {"proposals": 1, "incumbent": 1.0}},
    "corrected": {"nasbench201": {"proposals": 1}},
}


class SupervisedBayesianOptimization(Searcher):
    """Bayesian optimisation on a graph network that is trained on the answers alone.

    A run without any answer draws its next cells at random; an answer that is no number teaches nothing. A run ends
    when it has queried every cell.

    Args:
        problem, seeds: see :class:`~a2v_core.search.protocol.Searcher`.
        settings: see :class:`SupervisedBayesianOptimizationSettings`.
        device: where networks are trained and cells embedded; see :func:`a2v_core.training.resolve_device`.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int],
                 settings: SupervisedBayesianOptimizationSettings = SupervisedBayesianOptimizationSettings(),
                 device: str = "auto") -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        self._device = resolve_device(device)
        self._classes = message_classes(problem.cells, N_LAYERS, settings.graph).to(self._device)
        self._rngs = [np.random.default_rng(seed) for seed in seeds]
        self._queried = [np.empty(0, np.int64) for _ in self.seeds]
        self._cells = [np.empty(0, np.int64) for _ in self.seeds]
        self._answers = [np.empty(0) for _ in self.seeds]
        self._ties: list[np.ndarray] = []

    @property
    def ties(self) -> np.ndarray:
        """Candidates that were as good as the last one chosen, itself included, in each round, int64 [R, rounds]: 1
        where the choice was unique, 0 where a run had no round."""
        return np.stack([np.empty((0, len(self.seeds)), np.int64), *self._ties][1:], 1) if self._ties else \
            np.empty((len(self.seeds), 0), np.int64)

    def propose(self, active: np.ndarray) -> Proposal:
        chosen = {run: self._random(run) for run in np.flatnonzero(active) if not len(self._answers[run])}
        ties = np.zeros(len(active), np.int64)
        counts = np.array([len(answers) for answers in self._answers])
        for count in np.unique(counts[active & (counts > 0)]):
            runs = np.flatnonzero(active & (counts == count))
            runs = runs[[len(self._queried[run]) < len(self.problem.cells) for run in runs]]
            for start in range(0, len(runs), _STACK):
                for run, cells, tied in self._round(runs[start:start + _STACK]):
                    chosen[run], ties[run] = cells, tied
        if counts[active].any():
            self._ties.append(ties)
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

    def _random(self, run: int) -> np.ndarray:
        """Different cells drawn uniformly among those that the run has not queried."""
        left = np.delete(np.arange(len(self.problem.cells)), self._queried[run])
        return self._rngs[run].choice(left, min(self.settings.initial, len(left)), replace=False)

    def _round(self, runs: np.ndarray) -> list[tuple[int, np.ndarray, int]]:
        """Next cells, and how many candidates tied, of each of some runs that have equally many answers."""
        settings, rngs = self.settings, [self._rngs[run] for run in runs]
        answers = np.stack([self._answers[run] for run in runs])
        best = answers.max(1) if settings.incumbent is None else np.full(len(runs), settings.incumbent)
        if settings.standardise:
            mean, deviation = answers.mean(1, keepdims=True), answers.std(1, keepdims=True)
            # Equal answers can have a deviation of some rounding errors.
            deviation[deviation < 1e-12] = 1.0
            answers, best = (answers - mean) / deviation, (best - mean[:, 0]) / deviation[:, 0]
        pool = self.problem.cells[np.stack([self._cells[run] for run in runs]).ravel()]
        adjacency, ops = (torch.from_numpy(x.reshape(len(runs), -1, *x.shape[1:])).to(self._device)
                          for x in (pool.adjacency, pool.ops))
        network = train_supervised(adjacency, ops, torch.from_numpy(answers).to(self._device), rngs,
                                   len(self.problem.space.vocabulary), settings)
        if settings.statistics == "space":
            with torch.no_grad():
                of_pool = network.encode(adjacency, ops, training=True).mean(2)
        found = []
        for place, run in enumerate(runs):
            embedding = network.embed_space(place, self._classes, settings.statistics)
            rows = of_pool[place] if settings.statistics == "space" else embedding[self._cells[run]]
            design, targets = basis_functions(network, place, rows)[None], answers[place][None]
            posterior = fit_released(design, targets, [rngs[place]]) if settings.likelihood == "released" else \
                fit_evidence(design, targets)
            mean, variance = (np.concatenate(parts) for parts in zip(*(
                posterior.predict(0, basis_functions(network, place, some)) for some in embedding.split(_ROWS)),
                strict=True))
            value = self._log_improvement(mean, variance, best[place])
            found.append((run, *best_values(value, settings.proposals, self._queried[run], rngs[place])))
        return found

    def _log_improvement(self, mean: np.ndarray, variance: np.ndarray, best: float) -> np.ndarray:
        """What candidates are ranked by, float64 [M]; mean and variance [M]."""
        sigma = variance if self.settings.sigma == "variance" else np.sqrt(variance)
        improvement = log_expected_improvement if self.settings.improvement == "expected" else \
            log_improvement_without_parentheses
        value = improvement(mean, sigma, best)
        # The exponential underflows as it does in the released code.
        return np.exp(value).astype(np.float32).astype(np.float64) if self.settings.single else value


def train_supervised(adjacency: torch.Tensor, ops: torch.Tensor, answers: torch.Tensor,
                     rngs: Sequence[np.random.Generator], n_operations: int,
                     settings: SupervisedBayesianOptimizationSettings) -> SupervisedEncoders:
    """Train one network a run from scratch on the mean squared error of its answers, with Adam.

    Args:
        adjacency, ops: the queried cells of each run, uint8 [R, n, N, N] and [R, n, N].
        answers: [R, n].
        rngs: of the initial weights and of the order in each epoch.
        n_operations: K.
        settings: epochs, batch size, learning rate, graph and basis.
    """
    heads = {"output": (settings.basis, 1)}
    if settings.basis != LATENT:
        heads["basis"] = (LATENT, settings.basis)
    network = SupervisedEncoders(n_operations, rngs, settings.graph, heads=heads, device=adjacency.device)
    optimizer = torch.optim.Adam(network.parameters, lr=settings.learning_rate, fused=True)
    n, run = answers.shape[1], torch.arange(len(rngs), device=adjacency.device)[:, None]
    batch = min(settings.batch_size, n)
    answers = answers.float()
    for _ in range(settings.epochs):
        order = torch.from_numpy(np.stack([rng.permutation(n) for rng in rngs])).to(adjacency.device)
        for start in range(0, n - batch + 1, batch):
            rows = order[:, start:start + batch]
            nodes = network.encode(adjacency[run, rows], ops[run, rows], training=True)
            predicted = network.linear("output", _basis(network, nodes.mean(2))).squeeze(2)
            loss = (predicted - answers[run, rows]).square().mean(1).sum()
            gradients = torch.autograd.grad(loss, network.parameters)
            for parameter, gradient in zip(network.parameters, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
    return network


def basis_functions(network: SupervisedEncoders, run: int, embeddings: torch.Tensor) -> np.ndarray:
    """Basis functions of one run at embeddings [M, LATENT] of cells, float32 [M, D]."""
    with torch.no_grad():
        return _basis(network.select(run), embeddings[None])[0].numpy(force=True)


def best_values(values: np.ndarray, k: int, excluded: np.ndarray, rng: np.random.Generator
                ) -> tuple[np.ndarray, int]:
    """The k largest values outside `excluded`, best first and equal ones in random order, fewer where fewer are left,
    int64 [<= k]; and how many places have the value of the last one chosen."""
    values = values.copy()
    values[excluded] = -np.inf
    k = min(k, len(values) - len(excluded))
    last = np.partition(values, -k)[-k]
    better, tied = np.flatnonzero(values > last), np.flatnonzero(values == last)
    better = better[rng.permutation(len(better))]
    chosen = np.concatenate([better[np.argsort(-values[better], kind="stable")],
                             rng.choice(tied, k - len(better), replace=False)])
    return chosen, len(tied)


def _basis(network: SupervisedEncoders, embeddings: torch.Tensor) -> torch.Tensor:
    """Basis functions at the cells' embeddings, [R, any, LATENT] → [R, any, D]."""
    return torch.tanh(network.linear("basis", embeddings) if network.has("basis") else embeddings)
