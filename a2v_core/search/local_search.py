"""Local search (White et al. 2021, "Exploring the loss landscape in neural architecture search"); not in the paper.

A run draws some cells and starts from the best of them. It queries the neighbours of where it stands and moves to a
better one; where none is better it starts again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.search.neighbourhoods import neighbourhood
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher

MOVES = ("best", "first")
_NOWHERE = -1


def _setting(default: Any, meaning: str, source: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class LocalSearchSettings:
    """What decides a local search apart from the candidates and the seed.

    Raises:
        SettingsError: a value is unknown or out of range.
    """

    initial: int = _setting(10, "random cells from the best of which a walk starts", "White et al. 2021")
    move: str = _setting("best", "to the best neighbour once all are queried, or to the first that is better",
                         "White et al. 2021 for best", MOVES)

    def __post_init__(self) -> None:
        if self.initial < 1:
            raise SettingsError(f"setting initial={self.initial!r} must be at least 1")
        if self.move not in MOVES:
            raise SettingsError(f"setting move={self.move!r} is unknown: choose one of {', '.join(MOVES)}")


#: The paper has no local search, so its three arms agree.
RECIPES: dict[str, dict[str, Any]] = {"released": {}, "paper": {}, "corrected": {}}


class _Walk:
    """One run: where it stands, what that pays, and what it has queried."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.queried: set[int] = set()
        self.restart()

    def restart(self) -> None:
        self.place, self.value = _NOWHERE, -np.inf


class LocalSearch(Searcher):
    """A cell is queried once in a run. A run ends when it has queried every candidate.

    The neighbours are those of :mod:`a2v_core.search.neighbourhoods`, in random order.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int], settings: LocalSearchSettings = LocalSearchSettings()
                 ) -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        self._neighbours = neighbourhood(problem)
        self._walks = [_Walk(seed) for seed in seeds]

    def propose(self, active: np.ndarray) -> Proposal:
        chosen = [self._next(walk) if runs else np.empty(0, np.int64)
                  for walk, runs in zip(self._walks, active, strict=True)]
        cells = np.full((len(chosen), max(1, *map(len, chosen))), NO_CELL)
        for row, found in zip(cells, chosen, strict=True):
            row[:len(found)] = found
        return Proposal(cells)

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        for walk, cells, answers in zip(self._walks, proposal.cells, signal, strict=True):
            known = ~np.isnan(answers)
            if not known.any():
                continue
            walk.queried.update(cells[known].tolist())
            best = int(np.argmax(np.where(known, answers, -np.inf)))
            if answers[best] > walk.value:
                walk.place, walk.value = int(cells[best]), float(answers[best])
            elif self.settings.move == "best":
                walk.restart()

    def _next(self, walk: _Walk) -> np.ndarray:
        """What a run queries next, int64 [k]."""
        if walk.place != _NOWHERE:
            beside = [cell for cell in self._neighbours.of(walk.place).tolist() if cell not in walk.queried]
            if beside:
                order = walk.rng.permutation(beside)
                return order if self.settings.move == "best" else order[:1]
            walk.restart()
        return draw_others(walk.rng, len(self.problem.cells), walk.queried, self.settings.initial)


def draw_others(rng: np.random.Generator, n_candidates: int, queried: set[int], n: int) -> np.ndarray:
    """Up to n different candidates that are not among the queried ones, uniformly at random, int64; fewer where fewer
    are left."""
    left = n_candidates - len(queried)
    if left <= n or 2 * len(queried) > n_candidates:
        others = np.setdiff1d(np.arange(n_candidates), np.fromiter(queried, np.int64, len(queried)))
        return rng.choice(others, min(n, left), replace=False)
    drawn: list[int] = []
    while len(drawn) < n:
        candidate = int(rng.integers(n_candidates))
        if candidate not in queried and candidate not in drawn:
            drawn.append(candidate)
    return np.array(drawn)
