"""REINFORCE on the discrete encoding: the rows "RL" of Table 2 and "REINFORCE" of Table 3.

The policy draws each variable by itself from a categorical distribution. Its gradient has a closed form: the gradient
of log p(x) with respect to the logits of a variable is the unit vector of the drawn value minus the probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.search.discrete import PATIENCE, CandidateEncoding
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher
from a2v_core.search.streams import UniformStreams

OPTIMIZERS = ("sgd", "adam")
# Adam's usual constants (Kingma and Ba 2015), which are the defaults of the original's library.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def _setting(default: Any, meaning: str, source: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class DiscreteReinforceSettings:
    """What decides a run apart from the candidates and the seed.

    Raises:
        SettingsError: a value is unknown or out of range.
    """

    optimizer: str = _setting("sgd", "plain gradient steps, or Adam", "automl/nas_benchmarks has plain steps",
                              OPTIMIZERS)
    learning_rate: float = _setting(0.1, "step size", "automl/nas_benchmarks")
    momentum: float = _setting(0.9, "of the moving average of rewards that is the baseline", "automl/nas_benchmarks")

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise SettingsError(f"setting optimizer={self.optimizer!r} is unknown: choose one of "
                                f"{', '.join(OPTIMIZERS)}")
        if self.learning_rate <= 0 or not 0 <= self.momentum < 1:
            raise SettingsError(f"need learning_rate > 0 and 0 <= momentum < 1, got {self.learning_rate!r} and "
                                f"{self.momentum!r}")


#: The original, the paper and a careful author do not differ: no recipe changes a default.
RECIPES: dict[str, dict[str, Any]] = {"released": {}, "paper": {}, "corrected": {}}
#: Changes by search space: what the authors of NAS-Bench-201 ran there when the paper was written (NATS-Bench has a
#: learning rate of 0.01).
BY_SPACE: dict[str, dict[str, Any]] = {"nasbench201": {"optimizer": "adam", "learning_rate": 1e-3}}


class DiscreteReinforce(Searcher):
    """One query, one step. The policy starts uniform; the reward is the accuracy; the advantage is the reward minus the
    moving average of all rewards so far, this one included, corrected for its start at zero: the first is 0.

    An encoding that gives no candidate is drawn again, teaches nothing and costs nothing. A cell that was queried
    before is queried again and costs again, all the more often the surer the policy is. If all accuracies are equal,
    the policy stays uniform. A run ends by itself only where :data:`~a2v_core.search.discrete.PATIENCE` encodings in a
    row give no candidate.

    Raises:
        SpaceError: the space has no discrete encoding, or too few encodings give a candidate.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int],
                 settings: DiscreteReinforceSettings = DiscreteReinforceSettings()) -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        self._encoding = CandidateEncoding(problem)
        self._encoding.require_candidates()
        choices = self._encoding.choices
        shape = (int(choices.max()), len(seeds), len(choices))
        self._streams = UniformStreams(seeds)
        #: Logits of each run, float64 [values, R, V]; -inf for values that a variable does not have.
        self.logits = np.where(np.arange(shape[0])[:, None, None] < choices, np.zeros(shape), -np.inf)
        self._probabilities = np.zeros(shape)
        self._moments = np.zeros((2, *shape))
        self._steps = np.zeros(len(seeds), np.int64)
        self._reward_sum, self._weight_sum = np.zeros(len(seeds)), np.zeros(len(seeds))
        self._queried = np.zeros(shape[1:], np.uint8)

    def probabilities(self) -> np.ndarray:
        """The policy, float64 [values, R, V]."""
        weights = np.exp(self.logits - self.logits.max(0))
        return weights / weights.sum(0)

    def propose(self, active: np.ndarray) -> Proposal:
        cells = np.full((len(self.seeds), 1), NO_CELL)
        runs, choices = np.flatnonzero(active), self._encoding.choices
        self._probabilities = self.probabilities()
        upto = np.cumsum(self._probabilities, axis=0)
        for _ in range(PATIENCE):
            if not len(runs):
                break
            values = (self._streams.take(runs, len(choices)) >= upto[:, runs]).sum(0, dtype=np.uint8)
            # At most the last value of a variable: its probabilities may add up to a little less than 1.
            encodings = np.minimum(values, choices - 1).astype(np.uint8)
            cells[runs, 0], self._queried[runs] = self._encoding.decode(encodings)[0], encodings
            runs = runs[cells[runs, 0] == NO_CELL]
        return Proposal(cells)

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        runs = np.flatnonzero(~np.isnan(signal[:, 0]))
        reward, momentum = signal[runs, 0], self.settings.momentum
        self._reward_sum[runs] = momentum * self._reward_sum[runs] + (1 - momentum) * reward
        self._weight_sum[runs] = momentum * self._weight_sum[runs] + (1 - momentum)
        advantage = reward - self._reward_sum[runs] / self._weight_sum[runs]
        chosen = self._queried[runs] == np.arange(len(self.logits))[:, None, None]
        self._ascend(runs, advantage[:, None] * (chosen - self._probabilities[:, runs]))

    def _ascend(self, runs: np.ndarray, gradient: np.ndarray) -> None:
        """One step of the given runs along their gradients, float64 [values, n, V]."""
        step = gradient
        if self.settings.optimizer == "adam":
            self._steps[runs] += 1
            t = self._steps[runs, None]
            first, second = self._moments
            first[:, runs] = _BETA1 * first[:, runs] + (1 - _BETA1) * gradient
            second[:, runs] = _BETA2 * second[:, runs] + (1 - _BETA2) * gradient**2
            step = first[:, runs] / (1 - _BETA1**t) / (np.sqrt(second[:, runs] / (1 - _BETA2**t)) + _EPSILON)
        self.logits[:, runs] += self.settings.learning_rate * step
