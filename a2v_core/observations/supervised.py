"""The supervised counterpart of arch2vec's representation (§4.2, Observations 2 to 5): a graph network that learns from
test accuracies, embedding and predictor jointly.

It is the network of the supervised Bayesian optimisation (:mod:`a2v_core.search.supervised_bayesian_optimization`),
with that recipe's graph, basis functions, batches and epochs, trained once on the accuracies of random cells. A cell's
embedding is the mean over its nodes' 16 numbers; basis functions of these (their tanh, or a tanh layer of 128) and a
linear output predict its accuracy. The literal reading of "the hyperparameters are the same as arch2vec" (§4.2) is
`paper`; `corrected` standardises the accuracies as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from a2v_core.errors import SettingsError
from a2v_core.search.message_classes import MessageClasses, message_classes
from a2v_core.search.supervised_bayesian_optimization import (
    RECIPES,
    SupervisedBayesianOptimizationSettings,
    basis_functions,
    train_supervised,
)
from a2v_core.search.supervised_encoder import N_LAYERS, SupervisedEncoders
from a2v_core.spaces import get_space
from a2v_core.training import resolve_device

#: Modules whose code decides what comes out.
COMPUTING_MODULES = (__name__, "a2v_core.search.message_classes", "a2v_core.search.supervised_encoder",
                     "a2v_core.search.supervised_bayesian_optimization")
# Accuracies that are all equal have a deviation of some rounding errors.
_LEAST_DEVIATION = 1e-12
# Cells whose accuracy is predicted at a time.
_ROWS = 65536


@dataclass(frozen=True)
class Counterpart:
    """Networks of R runs, each trained on cells of its own.

    Attributes:
        space: name of the search space.
        settings: see :func:`counterpart_settings`.
        seeds: one a run.
        networks: the trained stack of R.
        mean, deviation: of the accuracies, undone in predictions; 0 and 1 where they are not standardised, [R].
    """

    space: str
    settings: SupervisedBayesianOptimizationSettings
    seeds: tuple[int, ...]
    networks: SupervisedEncoders
    mean: np.ndarray
    deviation: np.ndarray

    def embedding(self, run: int) -> np.ndarray:
        """Embedding of each cell of the space, float32 [cells, 16]."""
        device = self.networks.parameters[0].device
        classes = _classes(self.space, self.settings.graph, str(device))
        return self.networks.embed_space(run, classes, self.settings.statistics).numpy(force=True)

    def predict(self, run: int, embedding: np.ndarray) -> np.ndarray:
        """Accuracies that the network itself predicts from embeddings [M, 16], fractions, float64 [M]."""
        single, device = self.networks.select(run), self.networks.parameters[0].device
        found = []
        for rows in torch.from_numpy(embedding).to(device).split(_ROWS):
            basis = torch.from_numpy(basis_functions(self.networks, run, rows)).to(device)
            with torch.no_grad():
                found.append(single.linear("output", basis[None])[0, :, 0].double().numpy(force=True))
        return np.concatenate(found) * self.deviation[run] + self.mean[run]


def counterpart_settings(recipe: str) -> SupervisedBayesianOptimizationSettings:
    """The network and its training under a recipe; what only concerns the choice of the next cell is unused.

    Raises:
        SettingsError: unknown recipe.
    """
    if recipe not in RECIPES:
        raise SettingsError(f"unknown recipe {recipe!r}: choose one of {', '.join(RECIPES)}")
    return SupervisedBayesianOptimizationSettings(**RECIPES[recipe])


def labelled_cells(n_cells: int, labels: int, seed: int) -> np.ndarray:
    """Different random cells whose accuracies are known, int64 [labels]; more labels include the fewer of a seed.

    Raises:
        SettingsError: fewer than 2 labels, or more than there are cells.
    """
    if not 2 <= labels <= n_cells:
        raise SettingsError(f"labels={labels!r} of {n_cells} cells: give at least 2 and no more than there are")
    return np.random.default_rng(seed).permutation(n_cells)[:labels]


def train_counterpart(space_name: str, accuracies: np.ndarray, recipe: str, seeds: Sequence[int], labels: int = 250,
                      device: str = "auto") -> Counterpart:
    """Train a network for each seed on the accuracies of :func:`labelled_cells`. What becomes of a seed does not depend
    on the other seeds.

    Args:
        accuracies: of all cells, fractions, [cells].
        recipe: one of :data:`a2v_core.search.supervised_bayesian_optimization.RECIPES`.
        seeds: each draws its cells, its initial weights and its order of the cells in each epoch.
        labels: cells whose accuracies are seen.

    Raises:
        SettingsError: unknown recipe, or an impossible number of labels.
    """
    settings, where, space = counterpart_settings(recipe), resolve_device(device), get_space(space_name)
    cells = space.cells()
    chosen = np.stack([labelled_cells(len(cells), labels, seed) for seed in seeds])
    answers = accuracies[chosen]
    mean, deviation = np.zeros(len(chosen)), np.ones(len(chosen))
    if settings.standardise:
        mean, deviation = answers.mean(1), np.maximum(answers.std(1), _LEAST_DEVIATION)
    answers = (answers - mean[:, None]) / deviation[:, None]
    pool = cells[chosen.ravel()]
    adjacency, ops, answers = (torch.from_numpy(x.reshape(*chosen.shape, *x.shape[1:])).to(where)
                               for x in (pool.adjacency, pool.ops, answers.ravel()))
    # Streams apart from those that draw the cells.
    rngs = [np.random.default_rng([seed, 1]) for seed in seeds]
    networks = train_supervised(adjacency, ops, answers, rngs, len(space.vocabulary), settings)
    return Counterpart(space_name, settings, tuple(seeds), networks, mean, deviation)


@lru_cache(maxsize=4)
def _classes(space_name: str, graph: str, device: str) -> MessageClasses:
    return message_classes(get_space(space_name).cells(), N_LAYERS, graph).to(device)
