"""BANANAS (White, Neiswanger & Savani 2019): an ensemble of networks on the path encoding chooses among mutants.

In each round five networks learn the validation error of what was queried so far; the candidates are mutants of the
best cells; each gets one draw from a normal distribution with the mean and the spread of the five predictions
(independent Thompson sampling), and those with the lowest draws are queried.

The networks of many runs train as one stack. What becomes of a run does not depend on the other runs, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.optim.adam import adam

from a2v_core.errors import SettingsError
from a2v_core.search.discrete import PATIENCE, CandidateEncoding, drawn
from a2v_core.search.feature_encodings import path_encoding
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher
from a2v_core.training import resolve_device

LOSSES = ("mae", "mape")
# Runs trained together; rows of candidates predicted together; a network's parameters fill whole vectors.
_BLOCK, _ROWS, _ALIGNED = 8, 64, 32
# Least distance of an error from the lower bound, in percentage points, by which "mape" divides.
_LEAST_DISTANCE = 0.05


def _setting(default: Any, meaning: str, source: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class BananasSettings:
    """What decides a run apart from the candidates and the seed; "code" is the authors' naszilla.

    Raises:
        SettingsError: a value is unknown or out of range.
    """

    initial: int = _setting(10, "random cells before the first round", "White et al.; code")
    batch: int = _setting(10, "queries of a round", "White et al.; code")
    parents: int = _setting(5, "best cells that are mutated, in turn until there are enough candidates", "code")
    candidates: int = _setting(100, "mutants of a parent, repeats included, and candidates that are enough", "code")
    mutations: float = _setting(1.0, "expected changes among the variables with as many values as one another (on "
                                "NAS-Bench-101: of edges, and of operations)", "code")
    paths: int = _setting(40, "paths of the encoding that are kept, shorter ones first; 0 for all",
                          "code; the paper introduces the encoding with all")
    loss: str = _setting("mae", "mean absolute error in percentage points, or relative to the distance of the true "
                         "error from a lower bound", "code; White et al. for mape", LOSSES)
    lower_bound: float = _setting(4.5, "of the validation error, in percent; for mape", "code; not stated in the paper")
    members: int = _setting(5, "networks of the ensemble", "White et al.; code")
    layers: int = _setting(10, "hidden layers (ReLU)", "White et al.; code")
    width: int = _setting(20, "of a hidden layer", "White et al.; code")
    epochs: int = _setting(150, "passes over the queried cells, from new weights in each round", "code")
    batch_size: int = _setting(32, "cells in a step; the last step of a pass takes the rest", "code")
    learning_rate: float = _setting(0.01, "of Adam with decays 0.9 and 0.99", "White et al.; code")

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise SettingsError(f"setting loss={self.loss!r} is unknown: choose one of {', '.join(LOSSES)}")
        for name in (f.name for f in fields(self) if f.name not in ("loss", "paths", "lower_bound")):
            if getattr(self, name) <= 0:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be positive")
        if self.paths < 0 or self.lower_bound < 0:
            raise SettingsError(f"need paths >= 0 and lower_bound >= 0, got {self.paths!r} and {self.lower_bound!r}")


_DESCRIBED = {"loss": "mape", "paths": 0}
#: Changes against the defaults above, which are the code's.
RECIPES: dict[str, dict[str, Any]] = {"released": {}, "paper": _DESCRIBED, "corrected": _DESCRIBED}
#: The code changes each of the six operations of NAS-Bench-201 with probability 1/4 and keeps paths of at most two.
BY_SPACE: dict[str, dict[str, dict[str, Any]]] = {"released": {"nasbench201": {"mutations": 1.5, "paths": 30}}}


class Bananas(Searcher):
    """R runs of BANANAS, one round a proposal; no cell is queried twice by a run.

    Random cells and mutants are drawn in the discrete encoding; what gives no candidate is drawn again. Where fewer
    mutants are new than a round queries, random cells fill up; a run ends by itself when there are none of either:
    where 30,000 random encodings give nothing new.

    Raises:
        SpaceError: the space has no discrete encoding, or too few encodings give candidates.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int], settings: BananasSettings = BananasSettings(),
                 device: str = "auto") -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        self._device = resolve_device(device)
        self._encoding = CandidateEncoding(problem)
        self._encoding.require_candidates()
        choices = self._encoding.choices
        _, kind, count = np.unique(choices, return_inverse=True, return_counts=True)
        self._rate = np.minimum(settings.mutations / count[kind], 1)
        features = path_encoding(problem.space, problem.cells)
        self._features = features[:, : settings.paths].copy() if settings.paths else features
        self._rngs = [np.random.default_rng(seed) for seed in self.seeds]
        self._queried = [_Queried(len(choices)) for _ in self.seeds]

    def propose(self, active: np.ndarray) -> Proposal:
        s, runs = self.settings, np.flatnonzero(active)
        first = [run for run in runs if not len(self._queried[run].cells)]
        later = [run for run in runs if len(self._queried[run].cells)]
        cells = np.full((len(self.seeds), max(s.initial if first else 1, s.batch if later else 1)), NO_CELL)
        chosen = {run: self._filled(run, _Found(()), s.initial) for run in first}
        mutants = {run: self._mutants(run) for run in later}
        later = [run for run in later if len(mutants[run][0])]
        by_size: dict[int, list[int]] = {}
        for run in later:
            by_size.setdefault(len(self._queried[run].cells), []).append(run)
        for same in by_size.values():
            for start in range(0, len(same), _BLOCK):
                block = same[start : start + _BLOCK]
                for run, predicted in zip(block, self._predictions(block, mutants), strict=True):
                    draw = self._rngs[run].normal(predicted.mean(0), predicted.std(0))
                    best = np.argsort(draw, kind="stable")[: s.batch]
                    chosen[run] = tuple(part[best] for part in mutants[run])
        for run, (found, encodings) in chosen.items():
            cells[run, : len(found)] = found
            self._queried[run].pending = encodings
        return Proposal(cells)

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        for run in np.flatnonzero(~np.isnan(signal).all(1)):
            answered = ~np.isnan(signal[run])
            queried = self._queried[run]
            queried.add(proposal.cells[run, answered], queried.pending[answered[: len(queried.pending)]],
                        signal[run, answered])

    def _filled(self, run: int, found: _Found, n: int) -> tuple[np.ndarray, np.ndarray]:
        """What was found, and random cells up to n in all: cells and encodings."""
        n = max(n, len(found.cells))
        for _ in range(0, PATIENCE, 1000):
            if len(found.cells) >= n:
                break
            encodings = drawn(self._encoding.choices, self._rngs[run].random((1000, len(self._encoding.choices))))
            found.add(self._encoding.decode(encodings)[0], encodings)
        return np.array(found.cells[:n], np.int64), np.array(found.encodings[:n], np.uint8)

    def _mutants(self, run: int) -> tuple[np.ndarray, np.ndarray]:
        """New cells among the mutants of the best ones, random ones if these are too few, and their encodings."""
        s, queried = self.settings, self._queried[run]
        found = _Found(queried.cells)
        for parent in np.argsort(-np.array(queried.values), kind="stable")[: s.parents]:
            made = 0
            for _ in range(50):
                encodings = self._mutate(run, queried.encodings[parent], 2 * s.candidates)
                cells = self._encoding.decode(encodings)[0]
                mutants = np.flatnonzero(cells != NO_CELL)[: s.candidates - made]
                found.add(cells[mutants], encodings[mutants])
                made += len(mutants)
                if made == s.candidates:
                    break
            if len(found.cells) >= s.candidates:
                break
        return self._filled(run, found, s.batch)

    def _mutate(self, run: int, encoding: np.ndarray, n: int) -> np.ndarray:
        """n mutants, uint8 [n, V]: each variable takes another value, any alike, with its probability."""
        choices, uniform = self._encoding.choices, self._rngs[run].random((2, n, len(encoding)))
        other = (encoding + 1 + (uniform[1] * (choices - 1)).astype(np.int64)) % choices
        return np.where(uniform[0] < self._rate, other, encoding).astype(np.uint8)

    def _predictions(self, runs: list[int], mutants: dict[int, tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
        """Validation error in percent that each network predicts for each mutant of each run, float64 [members, C]."""
        s = self.settings
        cells = np.array([self._queried[run].cells for run in runs])
        errors = 100 * (1 - np.array([self._queried[run].values for run in runs]))
        weights = np.ones_like(errors)
        if s.loss == "mape":
            weights = 1 / np.maximum(errors - s.lower_bound, _LEAST_DISTANCE)
        networks = Networks(self._features.shape[1], s, [self._rngs[run] for run in runs], self._device)
        networks.train(self._features[cells], errors, weights, [self._rngs[run] for run in runs])
        return networks.predict([self._features[mutants[run][0]] for run in runs])


class _Queried:
    """What a run queried: cells, encodings and accuracies, and the encodings of what it proposes."""

    def __init__(self, v: int) -> None:
        self.cells: list[int] = []
        self.values: list[float] = []
        self.encodings = self.pending = np.empty((0, v), np.uint8)

    def add(self, cells: np.ndarray, encodings: np.ndarray, values: np.ndarray) -> None:
        self.cells += cells.tolist()
        self.values += values.tolist()
        self.encodings = np.concatenate([self.encodings, encodings])


class _Found:
    """Distinct candidates that are not known, in the order in which they were found."""

    def __init__(self, known: Sequence[int]) -> None:
        self._known, self.cells, self.encodings = set(known), [], []

    def add(self, cells: np.ndarray, encodings: np.ndarray) -> None:
        for cell, encoding in zip(cells.tolist(), encodings, strict=True):
            if cell != NO_CELL and cell not in self._known:
                self._known.add(cell)
                self.cells.append(cell)
                self.encodings.append(encoding)


class Networks:
    """The ensembles of R runs: N = R · members feed-forward networks, their gradient written by hand.

    Weights are drawn as Keras does it, on which the authors' code stands: uniform in ±sqrt(6 / (inputs + outputs)),
    biases 0; Adam's epsilon is Keras's, too. Predictions are errors in percent, not scaled.
    """

    def __init__(self, inputs: int, settings: BananasSettings, rngs: Sequence[np.random.Generator],
                 device: torch.device | str = "cpu") -> None:
        self._settings, self._device = settings, device
        sizes = (inputs, *[settings.width] * settings.layers, 1)
        shapes = list(pairwise(sizes))
        length = sum((a + 1) * b for a, b in shapes)
        n = len(rngs) * settings.members
        self._theta = torch.zeros(n, -(-length // _ALIGNED) * _ALIGNED, device=device)
        self._gradient = torch.zeros_like(self._theta)
        self._layers, self._by_layer = self._views(self._theta, shapes), self._views(self._gradient, shapes)
        for i, rng in enumerate(rngs):
            for member in range(i * settings.members, (i + 1) * settings.members):
                for (a, b), (weights, _) in zip(shapes, self._layers, strict=True):
                    limit = np.sqrt(6 / (a + b))
                    weights[member] = torch.from_numpy(rng.uniform(-limit, limit, (a, b)).astype(np.float32))

    @staticmethod
    def _views(flat: torch.Tensor, shapes: Sequence[tuple[int, int]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Weights [N, a, b] and biases [N, 1, b] of each layer as views of `flat`."""
        views, at = [], 0
        for a, b in shapes:
            views.append((flat[:, at : at + a * b].unflatten(1, (a, b)), flat[:, None, at + a * b : at + (a + 1) * b]))
            at += (a + 1) * b
        return views

    @torch.no_grad()
    def train(self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray,
              rngs: Sequence[np.random.Generator]) -> None:
        """Fit all networks of run r to features[r], targets[r]; the loss is the weighted mean absolute error.

        Shapes: features [R, n, P], targets and weights [R, n].
        """
        s, (_, n, _) = self._settings, features.shape
        rows = np.broadcast_to(np.arange(n), (s.members, s.epochs, n))
        order = torch.from_numpy(np.concatenate([rng.permuted(rows, axis=2) for rng in rngs])).to(self._device)
        x, y, w = (torch.from_numpy(np.asarray(a, np.float32)).to(self._device) for a in (features, targets, weights))
        run = torch.arange(len(rngs), device=self._device).repeat_interleave(s.members)[:, None]
        state = [torch.zeros_like(self._theta) for _ in range(2)]
        step = torch.zeros((), device=self._device)
        for epoch in range(s.epochs):
            for start in range(0, n, s.batch_size):
                rows = order[:, epoch, start : start + s.batch_size]
                self._backward(x[run, rows], y[run, rows].unsqueeze(2), w[run, rows].unsqueeze(2))
                adam([self._theta], [self._gradient], [state[0]], [state[1]], [], [step], fused=True, amsgrad=False,
                     beta1=0.9, beta2=0.99, lr=s.learning_rate, weight_decay=0.0, eps=1e-7, maximize=False)

    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What each layer takes, and the output last; x [N, B, P]."""
        taken = [x]
        for weights, bias in self._layers[:-1]:
            taken.append(torch.baddbmm(bias, taken[-1], weights).relu_())
        weights, bias = self._layers[-1]
        return [*taken, torch.baddbmm(bias, taken[-1], weights)]

    def _backward(self, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> None:
        """The gradient of the mean of w |output - y|; y and w [N, B, 1]."""
        *taken, output = self._forward(x)
        by_output = (output - y).sign_().mul_(w).div_(x.shape[1])
        for i in reversed(range(len(self._layers))):
            by_weights, by_bias = self._by_layer[i]
            by_weights.copy_(torch.bmm(taken[i].transpose(1, 2), by_output))
            by_bias.copy_(by_output.sum(1, keepdim=True))
            if i:
                by_output = torch.bmm(by_output, self._layers[i][0].transpose(1, 2)).mul_(taken[i] > 0)

    @torch.no_grad()
    def predict(self, features: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Predictions of the networks of run r for features[r] [C_r, P], float64 [members, C_r] each."""
        members, longest = self._settings.members, max(map(len, features))
        padded = np.zeros((len(features), -(-longest // _ROWS) * _ROWS, features[0].shape[1]), np.float32)
        for row, part in zip(padded, features, strict=True):
            row[: len(part)] = part
        x = torch.from_numpy(padded).to(self._device).repeat_interleave(members, dim=0)
        # Parts of one size: how many candidates another run has changes no bit.
        output = torch.cat([self._forward(part.contiguous())[-1][..., 0] for part in x.split(_ROWS, dim=1)], dim=1)
        output = output.unflatten(0, (-1, members)).double().numpy(force=True)
        return [predicted[:, : len(part)] for predicted, part in zip(output, features, strict=True)]
