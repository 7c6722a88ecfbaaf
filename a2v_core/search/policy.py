"""The policy of §3.3.1: an LSTM cell and a linear layer give the mean of a Gaussian with a fixed covariance; R runs at
once.

All parameters have a leading run axis, and a run's numbers do not depend on its company, to the bit. Therefore a matrix
times a vector is written as products and a sum: torch's batched product of one matrix takes another path than that of
many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch


class LSTMPolicy:
    """R policies: state [R, D] → mean of the action [R, D].

    Args:
        rngs: one a run; the initial parameters, uniform in ±1/√hidden as torch has them, are drawn from it.
        n_features: D.
        hidden: width of the LSTM cell.
        learning_rate: Adam's.
        device: where the parameters live.

    Attributes:
        parameters: `weight_ih` [R, 4H, D], `weight_hh` [R, 4H, H], `bias_ih`, `bias_hh` [R, 4H] (gates in the order
            input, forget, cell, output, as in torch), `weight` [R, D, H], `bias` [R, D].
    """

    def __init__(self, rngs: Sequence[np.random.Generator], n_features: int, hidden: int, learning_rate: float,
                 device: torch.device | str = "cpu") -> None:
        shapes = {"weight_ih": (4 * hidden, n_features), "weight_hh": (4 * hidden, hidden), "bias_ih": (4 * hidden,),
                  "bias_hh": (4 * hidden,), "weight": (n_features, hidden), "bias": (n_features,)}
        bound = 1 / math.sqrt(hidden)
        drawn = {name: np.empty((len(rngs), *shape), np.float32) for name, shape in shapes.items()}
        for run, rng in enumerate(rngs):
            for name, shape in shapes.items():
                drawn[name][run] = rng.uniform(-bound, bound, shape)
        self.parameters = {name: torch.tensor(value, device=device, requires_grad=True)
                           for name, value in drawn.items()}
        self._optimizer = torch.optim.Adam(self.parameters.values(), lr=learning_rate)
        self.reset()

    def reset(self) -> None:
        """Forget the hidden state: an episode begins."""
        weight = self.parameters["weight_hh"]
        self._hidden = self._cell = weight.new_zeros(weight.shape[0], weight.shape[2])

    def mean(self, state: torch.Tensor) -> torch.Tensor:
        """Mean of the next action, [R, D]; the hidden state moves on."""
        p = self.parameters
        gates = (_times(p["weight_ih"], state) + p["bias_ih"]) + (_times(p["weight_hh"], self._hidden) + p["bias_hh"])
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, 1)
        self._cell = forget_gate.sigmoid() * self._cell + input_gate.sigmoid() * candidate.tanh()
        self._hidden = output_gate.sigmoid() * self._cell.tanh()
        return _times(p["weight"], self._hidden) + p["bias"]

    def update(self, loss: torch.Tensor) -> None:
        """One step of Adam down the gradient of each run's own loss, [R]."""
        self._optimizer.zero_grad()
        loss.sum().backward()
        self._optimizer.step()


class FrozenPolicy:
    """A control: the mean is zero whatever the state, and nothing is learned."""

    def reset(self) -> None:
        """Nothing to forget."""

    def mean(self, state: torch.Tensor) -> torch.Tensor:
        """Zeros, [R, D]."""
        return torch.zeros_like(state)

    def update(self, loss: torch.Tensor) -> None:
        """Nothing to learn."""


def log_prob(actions: torch.Tensor, mean: torch.Tensor, noise: float) -> torch.Tensor:
    """Log-density of actions [..., D] under a Gaussian of this mean [..., D] and covariance noise² I, [...]."""
    d = mean.shape[-1]
    return -((actions - mean) / noise).square().sum(-1) / 2 - d * math.log(noise * math.sqrt(2 * math.pi))


def rewards_to_go(rewards: np.ndarray, discount: float) -> np.ndarray:
    """Discounted sum of each reward and those after it, G_t = r_t + discount G_{t+1}; rewards [R, T] → [R, T]."""
    returns = np.array(rewards, np.float64)
    for t in range(returns.shape[1] - 2, -1, -1):
        returns[:, t] += discount * returns[:, t + 1]
    return returns


def _times(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Matrix [R, O, I] times vector [R, I] → [R, O]."""
    return (matrix * vector[:, None]).sum(-1)
