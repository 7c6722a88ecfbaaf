"""The one protocol behind which every search method stands: many independent runs of a method advance together.

A searcher is a batch of R runs. In turn it proposes the cells that each run queries next and is told what they paid. It
never sees a label that it did not query. A run depends on its own seed and on its own answers alone: run r of a batch
makes the same decisions as the same seed in a batch of one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from a2v_core.cells import Cells
from a2v_core.spaces.base import SearchSpace

#: In place of a cell: nothing is queried here.
NO_CELL = -1


@dataclass(frozen=True, eq=False)
class Problem:
    """What a search may know before its first query.

    Attributes:
        space: the search space.
        cells: the M candidate cells; a candidate is named by its row here.
        rows: row of each candidate in ``space.cells()``, int64 [M].
        epochs: for how many epochs a queried cell can be trained, ascending; the last one is the full training.
        features: a vector for each candidate, float32 [M, D]; None for a method that needs none.
    """

    space: SearchSpace
    cells: Cells
    rows: np.ndarray
    epochs: tuple[int, ...] = (0,)
    features: np.ndarray | None = None


class Proposal(NamedTuple):
    """The next queries of each run, in the order in which they are made.

    Attributes:
        cells: candidates, int64 [R, k]; :data:`NO_CELL` for none. A run for which all k are none ends here: it has
            nothing left to query.
        fidelity: index into ``Problem.epochs`` of each query, int64 [R, k]; None for the full training throughout.
    """

    cells: np.ndarray
    fidelity: np.ndarray | None = None


class Searcher(ABC):
    """R independent runs of one search method.

    Args:
        problem: what the search may know.
        seeds: one seed a run.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int]) -> None:
        self.problem = problem
        self.seeds = tuple(seeds)

    @abstractmethod
    def propose(self, active: np.ndarray) -> Proposal:
        """The next queries.

        Args:
            active: which runs still have a budget, bool [R]. What is proposed for the others is not queried; a run that
                has become inactive stays so.
        """

    @abstractmethod
    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        """Take the answers: `signal` float64 [R, k], accuracy as a fraction; NaN where nothing was queried (no cell, an
        inactive run, or the budget ended in the middle of the proposal)."""
