"""A search space as vectors of categorical variables: what the discrete baselines of Tables 2 and 3 search (§4.2).

An encoding is a uint8 vector [V], variable v taking the values 0 … choices[v] - 1. On NAS-Bench-101 it is the paper's
"adjacency matrix-based encoding" (encoding A of the authors' source, automl/nas_benchmarks): several encodings give one
cell and most give none. On NAS-Bench-201 encodings and cells correspond one to one. The DARTS space has none here: its
candidates are a sample of 600,000 cells, which 3 of 1,000 genotypes hit, so that a cell has hardly a neighbour in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from a2v_core.errors import SpaceError
from a2v_core.search.protocol import NO_CELL, Problem
from a2v_core.spaces.base import SearchSpace

#: After so many encodings in a row that give no candidate, a run has nothing left to query.
PATIENCE = 30_000
#: Least share of a space's encodings that give a candidate: a run draws one within its patience but for 1 in e^30.
LEAST_SHARE = 1e-3


class DiscreteEncoding(ABC):
    """The discrete encoding of a search space; subclasses set `choices`, the number of values of each variable,
    int64 [V], each at least 2."""

    choices: np.ndarray

    @abstractmethod
    def rows(self, encodings: np.ndarray) -> np.ndarray:
        """Row in ``space.cells()`` of each encoding's cell, uint8 [..., V] to int64 [...]; -1 for no valid cell."""

    @abstractmethod
    def multiplicity(self) -> np.ndarray:
        """How many encodings give each cell of ``space.cells()``, int64."""


class NASBench201Encoding(DiscreteEncoding):
    """Six variables, the operations of the edges in the order of the architecture string; value + 1 is the code in
    the vocabulary of the space."""

    def __init__(self, space: SearchSpace) -> None:
        self.choices = np.full(6, 5)
        self._place = 5 ** np.arange(5, -1, -1)
        self._row_of_rank = np.empty(5**6, np.int64)
        self._row_of_rank[(space.cells().ops[:, 1:7] - 1) @ self._place] = np.arange(5**6)

    def rows(self, encodings: np.ndarray) -> np.ndarray:
        return self._row_of_rank[encodings @ self._place]

    def multiplicity(self) -> np.ndarray:
        return np.ones(len(self._row_of_rank), np.int64)


def _nasbench101(space: SearchSpace) -> DiscreteEncoding:
    from a2v_core.search.discrete_nasbench101 import NASBench101Encoding

    return NASBench101Encoding(space)


_ENCODINGS: dict[str, Callable[[SearchSpace], DiscreteEncoding]] = {
    "nasbench101": _nasbench101, "nasbench201": NASBench201Encoding}


@lru_cache(maxsize=4)
def discrete_encoding(space: SearchSpace) -> DiscreteEncoding:
    """The discrete encoding of a space, made once (NAS-Bench-101: about a second).

    Raises:
        SpaceError: the space has none.
    """
    if space.name not in _ENCODINGS:
        raise SpaceError(f"search space {space.name!r} has no discrete encoding, only {', '.join(_ENCODINGS)} have: "
                         "take a method that needs none, such as a random search with sampler='cells'")
    return _ENCODINGS[space.name](space)


class CandidateEncoding:
    """The discrete encoding of the space of a problem, whose candidates may be a part of the space.

    Attributes:
        choices: number of values of each variable, int64 [V].
        multiplicity: how many encodings give each candidate, int64 [M].

    Raises:
        SpaceError: the space has no discrete encoding.
    """

    def __init__(self, problem: Problem) -> None:
        encoding = discrete_encoding(problem.space)
        self.choices, self._rows = encoding.choices, encoding.rows
        of_cells = encoding.multiplicity()
        self.multiplicity = of_cells[problem.rows]
        self._candidate_of_row = np.full(len(of_cells) + 1, NO_CELL)  # the last entry is that of row -1
        self._candidate_of_row[problem.rows] = np.arange(len(problem.rows))

    def decode(self, encodings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encodings uint8 [..., V] to candidates, int64 [...], NO_CELL where the cell is none or the encoding gives
        no valid cell, and whether it gives one, bool [...]."""
        rows = self._rows(encodings)
        return self._candidate_of_row[rows], rows >= 0

    def require_candidates(self) -> None:
        """Check that a search can find candidates by drawing encodings.

        Raises:
            SpaceError: fewer than :data:`LEAST_SHARE` of all encodings give one.
        """
        share = float(self.multiplicity.sum() / np.prod(self.choices, dtype=float))
        if share < LEAST_SHARE:
            raise SpaceError(f"only {share:.2g} of all encodings give one of the {len(self.multiplicity)} candidates, "
                             f"need {LEAST_SHARE}: give more candidates, or take a method that chooses among cells")


def drawn(choices: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Encodings, uint8 [..., V], from uniform numbers in [0, 1) of the same shape: each variable by itself, uniform."""
    return (uniform * choices).astype(np.uint8)


def mutated(encodings: np.ndarray, choices: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """One variable of each encoding, any of them alike, takes another value, any other alike.

    Shapes: encodings uint8 [n, V], uniform [n, 2] in [0, 1); the result is a new uint8 [n, V].
    """
    n = np.arange(len(encodings))
    variable = (uniform[:, 0] * len(choices)).astype(np.int64)
    step = 1 + (uniform[:, 1] * (choices[variable] - 1)).astype(np.int64)
    changed = encodings.copy()
    changed[n, variable] = (encodings[n, variable] + step) % choices[variable]
    return changed
