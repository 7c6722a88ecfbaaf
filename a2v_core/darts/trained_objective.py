"""An objective whose queries train networks: what the driver of every search asks in place of a table.

A network is trained when it is first queried, and its accuracy is stored, so that a search that was stopped, or is
made again, trains nothing twice.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from a2v_core.artifacts import ArtifactStore
from a2v_core.cells import Cells
from a2v_core.darts.training import search_accuracy
from a2v_core.darts.training_cost import TABLE4_THROUGHPUT, training_multiply_adds
from a2v_core.darts.training_recipes import TrainingSettings
from a2v_core.search.objective import Objective
from a2v_core.search.protocol import Problem
from a2v_core.spaces import get_space
from a2v_core.spaces.base import SearchSpace
from a2v_core.spaces.darts_cost import NetworkShape, network_cost
from a2v_core.spaces.darts_encoding import Edges


class TrainedObjective:
    """Networks of the DARTS sample, trained for real; for :func:`a2v_core.search.runs.run_searches`.

    Args:
        settings: of the trainings.
        dataset: its images; see :func:`a2v_core.darts.images.load_dataset`.
        rows: candidates, rows of the sample; all 600,000 when None.
        seed: of every training.
        device: where networks are trained.
        data_dir: the data folder.
        progress: show a bar for each training.

    Attributes:
        name, space, rows, epochs, cells: as those of an :class:`~a2v_core.search.objective.Objective`.
        signal: accuracy of each candidate; reading it trains.
        seconds: what the trainings are expected to take on the paper's GPU, float64 [1, M].
        trained: candidate → accuracy and seconds that its training really took.
    """

    def __init__(self, settings: TrainingSettings, dataset: str, rows: np.ndarray | None = None, *, seed: int = 0,
                 device: str = "auto", data_dir: str = "", progress: bool = False) -> None:
        self.space: SearchSpace = get_space("darts")
        self.rows = np.arange(len(self.space.cells())) if rows is None else np.asarray(rows, np.int64)
        self.name, self.epochs = f"darts/train {dataset}", (settings.epochs,)
        self.signal = _Signal(self)
        edges = Edges(*(part[self.rows] for part in self.space.edges))
        shape = NetworkShape("cifar", settings.channels, settings.layers, classes=10)
        multiply_adds = network_cost(edges, edges, shape, "conventional").multiply_adds
        per_image = training_multiply_adds(1.0, settings, 50_000) / TABLE4_THROUGHPUT
        self.seconds = (multiply_adds * per_image)[None]
        self.trained: dict[int, tuple[float, float]] = {}
        self._options: dict[str, Any] = {
            "recipe": settings, "dataset": dataset, "seed": seed, "device": device, "data_dir": data_dir or None,
            "store": ArtifactStore(data_dir), "progress": progress}

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def cells(self) -> Cells:
        """The candidates."""
        return self.space.cells()[self.rows]

    def problem(self, features: np.ndarray | None = None) -> Problem:
        """What a searcher may know; `features` [M, D]."""
        vectors = None if features is None else np.ascontiguousarray(features, np.float32)
        return Problem(self.space, self.cells, self.rows, self.epochs, vectors)

    def accuracy(self, candidate: int) -> float:
        """Mean validation accuracy of the last epochs, a fraction: trained now unless it was before."""
        if candidate not in self.trained:
            (genotype,) = self.space.to_native(self.cells[candidate])
            self.trained[candidate] = search_accuracy(genotype, **self._options)
        return self.trained[candidate][0]

    def measured(self) -> Objective:
        """The candidates that were trained, as an objective like any other: for reports. Test accuracies are not
        measured in a query; the validation accuracy stands for them."""
        candidates = np.array(sorted(self.trained))
        accuracy, seconds = np.array([self.trained[candidate] for candidate in candidates]).T
        return Objective(self.name, self.space, self.rows[candidates], self.epochs, accuracy[None, None],
                         np.maximum(seconds, 1e-3)[None], accuracy, accuracy, np.ones(len(candidates), bool))


class _Signal:
    """Looks like the array of signals [1, 1, M] to who reads single entries of it."""

    def __init__(self, objective: TrainedObjective) -> None:
        self._objective = objective

    def __getitem__(self, place: tuple[np.ndarray, slice, np.ndarray]) -> np.ndarray:
        """Accuracies of the candidates place[2] [n], float64 [n, 1]."""
        return np.array([[self._objective.accuracy(int(candidate))] for candidate in place[2]]).reshape(-1, 1)
