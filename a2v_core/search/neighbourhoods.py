"""Which candidates lie beside a candidate: what local search, and an evolution without encoding, walk along.

Where all cells of a space are candidates, neighbours are the cells one edit away (``space.neighbours``). The DARTS
space is searched in a sample that holds 3 of 1,000 genotypes, so that a cell has hardly a neighbour one edit away;
there, neighbours are the sampled cells that differ in one or two edges.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from a2v_core.search.protocol import Problem
from a2v_core.spaces.darts_encoding import NODE_OF_EDGE, cells_to_edges

#: Edges in which neighbours in the DARTS sample may differ.
DARTS_RADIUS = 2


class Neighbourhood(ABC):
    """The neighbours of each candidate of a problem; each is looked up once."""

    def __init__(self) -> None:
        self._known: dict[int, np.ndarray] = {}

    def of(self, candidate: int) -> np.ndarray:
        """Candidates beside this one, itself excluded, ascending, int64; none where it has none."""
        if candidate not in self._known:
            self._known[candidate] = self._find(candidate)
        return self._known[candidate]

    @abstractmethod
    def _find(self, candidate: int) -> np.ndarray:
        """As :meth:`of`."""


class OneEdit(Neighbourhood):
    """Candidates one edit of the space away."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self._problem = problem
        keys = problem.space.keys(problem.cells)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def _find(self, candidate: int) -> np.ndarray:
        keys = self._problem.space.keys(self._problem.space.neighbours(self._problem.cells[candidate]))
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.sort(self._order[place[self._keys[place] == keys]])


class SampledDarts(Neighbourhood):
    """Sampled cells in which one or two edges (operation, input or both) are other ones than in this cell.

    Compared are the edges of each intermediate node, in either order. Two cells whose intermediate nodes are numbered
    differently may be nearer to each other than they seem here.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        edges = cells_to_edges(problem.cells)
        # A number for each (node, input, operation): equal edges of one node are equal numbers.
        self._edges = np.ascontiguousarray((edges.inputs * np.uint8(16) + edges.ops).T)  # [8, M]

    def _find(self, candidate: int) -> np.ndarray:
        shared = np.zeros(self._edges.shape[1], np.uint8)
        for edge, node in enumerate(NODE_OF_EDGE):
            value = self._edges[edge, candidate]
            for other in (2 * node, 2 * node + 1):
                shared += self._edges[other] == value
        near = shared >= len(NODE_OF_EDGE) - DARTS_RADIUS
        near[candidate] = False
        return np.flatnonzero(near)


_BY_SPACE: dict[str, Callable[[Problem], Neighbourhood]] = {"darts": SampledDarts}


@lru_cache(maxsize=2)
def neighbourhood(problem: Problem) -> Neighbourhood:
    """The neighbourhood of a problem's space; that of the last problems is kept."""
    return _BY_SPACE.get(problem.space.name, OneEdit)(problem)
