"""Regularized evolution (Real et al. 2019) whose mutation is a step to a neighbouring candidate.

For spaces without a discrete encoding, such as the DARTS sample, where a mutated genotype is a candidate in 3 of 1,000
cases only. The evolution of Tables 2 and 3 is :mod:`a2v_core.search.evolution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.search.local_search import draw_others
from a2v_core.search.neighbourhoods import neighbourhood
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher


def _setting(default: Any, meaning: str, source: str) -> Any:
    return field(default=default, metadata={"meaning": meaning, "source": source, "choices": ()})


@dataclass(frozen=True)
class NeighbourEvolutionSettings:
    """What decides a run apart from the candidates and the seed.

    Raises:
        SettingsError: a value is out of range.
    """

    population: int = _setting(10, "individuals alive", "NAS-Bench-201's authors, whose budget is as small")
    tournament: int = _setting(3, "individuals drawn, with replacement, of which the best becomes the parent",
                               "NAS-Bench-201's authors")

    def __post_init__(self) -> None:
        for name in ("population", "tournament"):
            if getattr(self, name) < 1:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be at least 1")


#: The paper has no evolution on the DARTS space, so its three arms agree.
RECIPES: dict[str, dict[str, Any]] = {"released": {}, "paper": {}, "corrected": {}}


class NeighbourEvolution(Searcher):
    """The population is filled with random cells. From then on each child is a random neighbour of its parent, the
    best of a tournament (the first drawn of equals), and replaces the oldest individual.

    A cell is queried once in a run: where the parent has no neighbour left, the child is a random cell. A run ends
    when it has queried every candidate.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int],
                 settings: NeighbourEvolutionSettings = NeighbourEvolutionSettings()) -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        self._neighbours = neighbourhood(problem)
        self._rngs = [np.random.default_rng(seed) for seed in seeds]
        self._queried: list[set[int]] = [set() for _ in seeds]
        self._population: list[list[tuple[int, float]]] = [[] for _ in seeds]  # the oldest first

    def propose(self, active: np.ndarray) -> Proposal:
        cells = np.full((len(active), 1), NO_CELL)
        for run in np.flatnonzero(active):
            found = self._child(run)
            cells[run, :len(found)] = found
        return Proposal(cells)

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        for run in np.flatnonzero(~np.isnan(signal[:, 0])):
            cell = int(proposal.cells[run, 0])
            self._queried[run].add(cell)
            self._population[run] = [*self._population[run], (cell, float(signal[run, 0]))][-self.settings.population:]

    def _child(self, run: int) -> np.ndarray:
        """The next cell of a run, int64 [1], or none [0]."""
        rng, queried, population = self._rngs[run], self._queried[run], self._population[run]
        if len(population) == self.settings.population:
            entrants = rng.integers(len(population), size=self.settings.tournament)
            parent, _ = max((population[i] for i in entrants), key=lambda individual: individual[1])
            beside = [cell for cell in self._neighbours.of(parent).tolist() if cell not in queried]
            if beside:
                return rng.choice(beside, 1)
        return draw_others(rng, len(self.problem.cells), queried, 1)
