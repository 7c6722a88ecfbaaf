"""arch2vec-RL: REINFORCE on continuous embeddings (§3.3.1, A.1, A.2), its recipes and its controls.

An episode is 16 steps. The policy maps the embedding of the last cell to the mean of a Gaussian in the embedding space;
an action drawn from it is answered by a cell that the run has not visited, whose accuracy is the reward. Rewards are
needed only at the end of the episode, when the policy learns, so that an episode is one proposal. The first cell of a
run is drawn uniformly, counts as visited and is never queried.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from a2v_core.errors import SettingsError
from a2v_core.search.policy import FrozenPolicy, LSTMPolicy, log_prob, rewards_to_go
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher
from a2v_core.search.retrieval import NearestPoints, Visited, retrieve
from a2v_core.training import resolve_device


def _setting(default: Any, meaning: str, source: str, choices: tuple[Any, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class ReinforceSettings:
    """Everything that decides a run apart from the problem and the seed.

    Raises:
        SettingsError: a value is not among the choices of its field, or is out of range.
    """

    policy: str = _setting("lstm", "learn, or keep the mean at zero", "§3.3.1; frozen is our control",
                           ("lstm", "frozen"))
    returns: str = _setting("raw", "what follows an action: its own reward, or the discounted rewards to go",
                            "released code, which computes discounted returns and overwrites them; §3.3.1 for to_go",
                            ("raw", "to_go"))
    discount: float = _setting(0.8, "weight of the next reward among the rewards to go", "§3.3.1, A.1")
    baseline: str = _setting("constant", "subtract a constant from the returns, or standardise the rewards by their "
                             "mean and deviation over the run so far", "§3.3.1; running is ours",
                             ("constant", "running"))
    baseline_value: float = _setting(0.95, "the constant", "§3.3.1, A.1; A.2 has 0.4 on NAS-Bench-201")
    retrieval: str = _setting("nearest", "the cell that answers an action: see a2v_core.search.retrieval.retrieve",
                              "§3.3.1; released code for second on NAS-Bench-201; random is our control",
                              ("nearest", "second", "random"))
    standardise: bool = _setting(False, "scale each dimension of the embeddings to mean 0 and deviation 1, so that "
                                 "the noise is of the size of the cloud", "ours")
    noise: float = _setting(1.0, "standard deviation of the Gaussian", "§3.3.1: identity covariance")
    episode: int = _setting(16, "cells in an episode", "§3.3.1, A.1")
    hidden: int = _setting(128, "width of the LSTM cell", "A.1")
    learning_rate: float = _setting(1e-2, "Adam step size of the policy", "§3.3.1, A.1")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            choices, value = field.metadata["choices"], getattr(self, field.name)
            if choices and value not in choices:
                raise SettingsError(f"setting {field.name}={value!r} is unknown: choose one of {', '.join(choices)}")
        for name in ("noise", "episode", "hidden", "learning_rate"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be positive")
        if not 0 <= self.discount <= 1:
            raise SettingsError(f"setting discount={self.discount!r} must be between 0 and 1")


#: Changes against the defaults above, which are the released code's on NAS-Bench-101 and DARTS.
RECIPES: dict[str, dict[str, Any]] = {
    "released": {},
    "paper": {"returns": "to_go"},
    # An action's own reward alone: later rewards do not depend on it but through the input of the policy, and summing
    # them in adds variance. Standardised, so that the noise does not carry every action far out of the cloud.
    "corrected": {"baseline": "running", "standardise": True},
}

#: What a recipe changes further on one search space. A.2: "The discount factor and the baseline value is set to 0.4" is
#: read as it stands, both 0.4; the other reading leaves the discount at the 0.8 of A.1, the released script's default.
BY_SPACE: dict[str, dict[str, dict[str, Any]]] = {
    "released": {"nasbench201": {"baseline_value": 0.4, "retrieval": "second"}},
    "paper": {"nasbench201": {"baseline_value": 0.4, "discount": 0.4}},
    "corrected": {},
}


class EpisodicReinforce(Searcher):
    """Episodes, policies and diagnostics of R runs; a subclass says which vectors the candidates have.

    A run whose episode was not paid in full (the budget ended, or no cell was left) learns nothing from it.

    Args:
        problem, seeds: see :class:`~a2v_core.search.protocol.Searcher`.
        settings: see :class:`ReinforceSettings`.
        device: where networks live; see :func:`a2v_core.training.resolve_device`.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int], settings: ReinforceSettings, device: str) -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        self._device = resolve_device(device)
        self._rngs = [np.random.default_rng(seed) for seed in seeds]

    def _start(self, n_features: int) -> None:
        """Draw the policies and the first cells of the runs; D numbers stand for a cell."""
        n_runs, n_cells = len(self.seeds), len(self.problem.cells)
        self._policy = self._make_policy(n_features)
        self._visited = Visited(n_runs, n_cells)
        self._last = np.array([rng.integers(n_cells) for rng in self._rngs], np.int64)
        self._visited.mark(np.arange(n_runs), self._last)
        self._n_features = n_features
        self._log_prob = torch.zeros(0)
        self._rewards = np.zeros((n_runs, 0))
        self._distances: list[np.ndarray] = []
        self._mean_norms: list[np.ndarray] = []

    @property
    def distances(self) -> np.ndarray:
        """Distance from each action to the cell that answered it, float32 [R, T], in the order of the proposals and in
        units of the (standardised) embeddings; NaN where a run was inactive or had no cell left."""
        return np.concatenate([np.zeros((len(self.seeds), 0), np.float32), *self._distances], 1)

    @property
    def mean_norms(self) -> np.ndarray:
        """Norm of the policy's mean at each action, float32 [R, T]; NaN where a run was inactive."""
        return np.concatenate([np.zeros((len(self.seeds), 0), np.float32), *self._mean_norms], 1)

    def propose(self, active: np.ndarray) -> Proposal:
        runs = np.flatnonzero(active)
        cells = np.full((len(active), self.settings.episode), NO_CELL)
        distances, norms = (np.full(cells.shape, np.nan, np.float32) for _ in range(2))
        noise, log_probs = self._noise(runs), []
        self._policy.reset()
        self._begin(runs)
        for t in range(self.settings.episode):
            mean = self._policy.mean(self._state())
            actions = mean.detach() + torch.from_numpy(noise[:, t]).to(self._device)
            log_probs.append(log_prob(actions, mean, self.settings.noise))
            cells[runs, t], distances[runs, t] = self._answer(actions.cpu().numpy()[runs], runs)
            norms[runs, t] = mean.detach().norm(dim=1).cpu().numpy()[runs]
            self._visited.mark(runs, cells[runs, t])
            self._last = np.where(cells[:, t] == NO_CELL, self._last, cells[:, t])
        self._log_prob = torch.stack(log_probs, 1)
        self._distances.append(distances)
        self._mean_norms.append(norms)
        return Proposal(cells)

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        advantage = torch.from_numpy(advantages(signal, self._rewards, self.settings)).to(self._log_prob)
        self._learn(-(self._log_prob * advantage).mean(1))
        self._rewards = np.concatenate([self._rewards, signal], 1)

    def _begin(self, runs: np.ndarray) -> None:
        """An episode of these runs begins."""

    @abstractmethod
    def _state(self) -> torch.Tensor:
        """What the policies see now, [R, D]."""

    @abstractmethod
    def _answer(self, actions: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cell that answers each action [Q, D] of these runs [Q], int64 [Q], and its distance, float32 [Q]."""

    def _learn(self, loss: torch.Tensor) -> None:
        """Take one step down each run's own loss, [R]."""
        self._policy.update(loss)

    def _make_policy(self, n_features: int) -> LSTMPolicy | FrozenPolicy:
        if self.settings.policy == "frozen":
            return FrozenPolicy()
        return LSTMPolicy(self._rngs, n_features, self.settings.hidden, self.settings.learning_rate, self._device)

    def _noise(self, runs: np.ndarray) -> np.ndarray:
        """What is added to the means in an episode, float32 [R, T, D]: drawn for these runs, zero for the others."""
        noise = np.zeros((len(self.seeds), self.settings.episode, self._n_features), np.float32)
        for run in runs:
            noise[run] = self._rngs[run].standard_normal(noise.shape[1:], np.float32)
        return noise * np.float32(self.settings.noise)


class Reinforce(EpisodicReinforce):
    """arch2vec-RL: the candidates' vectors are fixed, ``problem.features``.

    Args:
        problem, seeds, settings, device: see :class:`EpisodicReinforce`.

    Raises:
        SettingsError: the problem has no features.
        DataError: some are not finite.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int], settings: ReinforceSettings = ReinforceSettings(),
                 device: str = "auto") -> None:
        super().__init__(problem, seeds, settings, device)
        if problem.features is None or len(problem.features) != len(problem.cells):
            raise SettingsError(f"REINFORCE needs an embedding of each of the {len(problem.cells)} candidates: set "
                                "Problem.features, float32 [M, D]")
        points = problem.features
        if settings.standardise:
            shift, scale = location_and_scale(points)
            points = (points - shift) / scale
        self._nearest = NearestPoints(points)
        self._start(points.shape[1])

    def _state(self) -> torch.Tensor:
        return torch.from_numpy(self._nearest.take(self._last)).to(self._device)

    def _answer(self, actions: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = retrieve(self.settings.retrieval, self._nearest, actions, self._visited, runs, self._rngs)
        return rows, self._nearest.distance(actions, rows)


def location_and_scale(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column of [M, D], float32 [D] each; a constant column has scale 1."""
    deviation = features.std(0, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1)
    return features.mean(0, dtype=np.float64).astype(np.float32), scale.astype(np.float32)


def advantages(rewards: np.ndarray, earlier: np.ndarray, settings: ReinforceSettings) -> np.ndarray:
    """How much better each action of an episode was than the baseline, float64 [R, T]; 0 for a run with a reward
    that is NaN.

    Args:
        rewards: of the episode, [R, T].
        earlier: of all episodes before it, [R, any number].
        settings: with ``baseline="running"`` the rewards are shifted and scaled by mean and standard deviation of
            all rewards of the run, this episode included (constant rewards give 0); with ``"constant"`` the
            constant is subtracted from the returns.
    """
    if settings.baseline == "running":
        seen = np.concatenate([earlier, rewards], 1)
        deviation = seen.std(1, keepdims=True)
        # Equal rewards can have a deviation of some rounding errors.
        deviation = np.where(deviation > 1e-12, deviation, np.inf)
        rewards = (rewards - seen.mean(1, keepdims=True)) / deviation
    returns = rewards_to_go(rewards, settings.discount) if settings.returns == "to_go" else rewards
    result = returns - settings.baseline_value if settings.baseline == "constant" else returns
    return np.where(np.isnan(rewards).any(1, keepdims=True), 0.0, result)
