"""The adaptive basis of DNGO (Snoek et al. 2015; paper, §3.3.2): networks of one tanh layer, many at a time.

The networks of R runs are one stack: a step is one batched product each way and one Adam update. Nothing that a run's
network becomes depends on the other runs, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.optim.adam import adam


@dataclass(frozen=True, eq=False)
class BasisNetworks:
    """R trained networks with inputs of F features and H hidden units.

    Attributes:
        centre, scale: mean and standard deviation of the training inputs (1 where it is 0), float64 [R, F].
        weights, bias: of the hidden layer, float32 [R, F, H] and [R, H].
        output_weights, output_bias: of the linear output, float32 [R, H] and [R].
    """

    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    output_weights: np.ndarray
    output_bias: np.ndarray

    def hidden(self, run: int, features: np.ndarray) -> np.ndarray:
        """The H basis functions of one run at each row of `features` [M, F], computed in float64 [M, H]."""
        inputs = (features - self.centre[run]) / self.scale[run]
        return np.tanh(inputs @ self.weights[run].astype(np.float64) + self.bias[run])

    @classmethod
    def concatenate(cls, parts: Sequence[BasisNetworks]) -> BasisNetworks:
        """The networks of all parts, in order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


def train_basis_networks(features: np.ndarray, targets: np.ndarray, rngs: Sequence[np.random.Generator], *,
                         hidden: int = 128, epochs: int = 100, batch_size: int = 10, learning_rate: float = 1e-2,
                         device: torch.device | str = "cpu") -> BasisNetworks:
    """Train one network a run from scratch: inputs standardised, mean squared error, Adam, a new order in each epoch.

    Args:
        features, targets: the pool of each run, [R, n, F] and [R, n], n >= 1.
        rngs: of the initial weights (uniform, as torch initialises a linear layer) and of the orders.
        hidden: H.
        epochs: passes over the pool.
        batch_size: rows of a step; the rest of an epoch that fills no batch is dropped. All n where they are fewer.
        learning_rate: of Adam.
        device: where to train.
    """
    r, n, f = features.shape
    features = features.astype(np.float64)
    centre, scale = features.mean(1), features.std(1)
    scale[scale == 0] = 1.0
    batch = min(batch_size, n)
    used = n // batch * batch
    draws = [_draw(rng, f, hidden, n, epochs) for rng in rngs]
    inputs = np.ones((r, n, f + 1), np.float32)
    inputs[:, :, :f] = (features - centre[:, None]) / scale[:, None]
    first, second = (np.stack(parts) for parts in zip(*(draw[:2] for draw in draws), strict=True))
    stack = _Stack(first, second, batch, learning_rate, device)
    inputs = torch.from_numpy(inputs).to(device)
    answers = torch.from_numpy(targets.astype(np.float32)).to(device)
    order = torch.from_numpy(np.stack([order[:, :used] for _, _, order in draws], axis=1)).to(device)
    run = torch.arange(r, device=device)[:, None]
    with torch.no_grad():
        for epoch in range(epochs):
            x = inputs[run, order[epoch]].view(r, -1, batch, f + 1).transpose(0, 1).contiguous()
            y = answers[run, order[epoch]].view(r, -1, batch).transpose(0, 1).contiguous()
            for x_batch, y_batch in zip(x, y, strict=True):
                stack.step(x_batch, y_batch)
    first, second = (theta.numpy(force=True) for theta in (stack.first, stack.second))
    return BasisNetworks(centre, scale, first[:, :f], first[:, f], second[:, 0], second[:, 1, 0])


def _draw(rng: np.random.Generator, f: int, hidden: int, n: int, epochs: int
          ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Initial parameters as :class:`_Stack` holds them, and an order of the rows for each epoch, int64 [epochs, n]."""
    first = rng.uniform(-1, 1, (f + 1, hidden)) / np.sqrt(f)
    output = rng.uniform(-1, 1, hidden + 1) / np.sqrt(hidden)
    second = np.zeros((2, hidden), np.float32)
    second[0], second[1, 0] = output[:-1], output[-1]
    return first.astype(np.float32), second, rng.permuted(np.broadcast_to(np.arange(n), (epochs, n)), axis=1)


class _Stack:
    """R networks and their optimiser, with a gradient written by hand.

    Attributes:
        first: hidden weights and, as the last row, biases, [R, F + 1, H].
        second: output weights, and the output bias as the first entry of a row of zeros, [R, 2, H]. All runs have a
            multiple of the processor's vector length, so that none is updated by the slower code for a remainder.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray, batch: int, learning_rate: float,
                 device: torch.device | str) -> None:
        self.first, self.second = (torch.from_numpy(theta).to(device) for theta in (first, second))
        self._learning_rate = learning_rate
        self._parameters = [self.first, self.second]
        self._gradients, self._moments, self._squares = ([torch.zeros_like(p) for p in self._parameters]
                                                         for _ in range(3))
        self._steps = [torch.zeros((), device=device) for _ in self._parameters]
        self._hidden = torch.empty(len(first), batch, first.shape[2], device=device)
        self._scratch = torch.empty_like(self._hidden)
        self._one, self._minus_one = torch.ones((), device=device), -torch.ones((), device=device)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """One update of all networks; x [R, B, F + 1], its last column 1, y [R, B]."""
        h, scratch, output, bias = self._hidden, self._scratch, self.second[:, :1], self.second[:, 1, :1]
        by_first, by_second = self._gradients
        # tanh(a) = 2 sigmoid(2a) - 1, and a sigmoid is three times as fast.
        torch.baddbmm(scratch, x, self.first, beta=0, alpha=2, out=h).sigmoid_()
        torch.add(self._minus_one, h, alpha=2, out=h)
        error = torch.bmm(output, h.transpose(1, 2))[:, 0].add_(bias).sub_(y)
        # Derivative of the mean squared error by the outputs.
        by_output = error.mul_(2 / y.shape[1])
        by_second[:, 1, :1] = by_output.sum(1, keepdim=True)
        by_second[:, :1] = torch.bmm(by_output.unsqueeze(1), h)
        torch.addcmul(self._one, h, h, value=-1, out=scratch).mul_(output)
        torch.bmm((x * by_output.unsqueeze(2)).transpose(1, 2), scratch, out=by_first)
        adam(self._parameters, self._gradients, self._moments, self._squares, [], self._steps, fused=True,
             amsgrad=False, beta1=0.9, beta2=0.999, lr=self._learning_rate, weight_decay=0.0, eps=1e-8, maximize=False)
