"""Regularized evolution (Real et al. 2019) on the discrete encoding: the row "RE" of Tables 2 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.search.discrete import PATIENCE, CandidateEncoding, drawn, mutated
from a2v_core.search.protocol import NO_CELL, Problem, Proposal, Searcher
from a2v_core.search.streams import UniformStreams

INVALID = ("kept", "redrawn")


def _setting(default: Any, meaning: str, source: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class RegularizedEvolutionSettings:
    """What decides an evolution apart from the candidates and the seed.

    Raises:
        SettingsError: a value is unknown or out of range.
    """

    population: int = _setting(100, "individuals alive", "automl/nas_benchmarks; Real et al. 2019")
    tournament: int = _setting(10, "individuals drawn, with replacement, of which the best becomes the parent",
                               "automl/nas_benchmarks")
    invalid: str = _setting("kept", "an encoding that gives no valid cell joins the population with accuracy 0, or is "
                            "drawn again; it is no query and costs nothing either way",
                            "automl/nas_benchmarks keeps it", INVALID)

    def __post_init__(self) -> None:
        for name in ("population", "tournament"):
            if getattr(self, name) < 1:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be at least 1")
        if self.invalid not in INVALID:
            raise SettingsError(f"setting invalid={self.invalid!r} is unknown: choose one of {', '.join(INVALID)}")


#: Changes against the defaults above, which are those of automl/nas_benchmarks.
RECIPES: dict[str, dict[str, Any]] = {"released": {}, "paper": {}, "corrected": {"invalid": "redrawn"}}
#: Changes by search space: what the authors of NAS-Bench-201 run there (their mutation takes a node first, then one of
#: its edges; ours any edge alike). Its budget on CIFAR-10, 12,000 s, is about 109 queries: with a population of 100 the
#: method would be random search.
BY_SPACE: dict[str, dict[str, Any]] = {"nasbench201": {"population": 10, "tournament": 3}}


class RegularizedEvolution(Searcher):
    """The population is filled with uniform encodings. From then on each child is its parent with one variable changed,
    the parent the best of a tournament (the first drawn of equals), and replaces the oldest individual.

    A child may give a cell that was queried before: it is queried again and costs again. If all accuracies are equal,
    the parent is a random individual. A valid cell that is no candidate (of a problem that is a part of its space) is
    drawn again, tournament included. A run ends by itself only where :data:`~a2v_core.search.discrete.PATIENCE`
    encodings in a row give no candidate.

    Raises:
        SpaceError: the space has no discrete encoding, or too few encodings give a candidate.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int],
                 settings: RegularizedEvolutionSettings = RegularizedEvolutionSettings()) -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        self._encoding = CandidateEncoding(problem)
        self._encoding.require_candidates()
        r, v = len(seeds), len(self._encoding.choices)
        self._streams = UniformStreams(seeds)
        # A ring: individual number i of a run, counted from its first, is in place i modulo the population.
        self._members = np.zeros((r, settings.population, v), np.uint8)
        self._fitness = np.zeros((r, settings.population))
        self._born = np.zeros(r, np.int64)
        self._queried = np.zeros((r, v), np.uint8)

    def propose(self, active: np.ndarray) -> Proposal:
        cells = np.full((len(self.seeds), 1), NO_CELL)
        runs = np.flatnonzero(active)
        for _ in range(PATIENCE):
            if not len(runs):
                break
            encodings = self._next(runs)
            candidates, valid = self._encoding.decode(encodings)
            cells[runs, 0], self._queried[runs] = candidates, encodings
            if self.settings.invalid == "kept":
                self._add(runs[~valid], encodings[~valid], 0.0)
            runs = runs[candidates == NO_CELL]
        return Proposal(cells)

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        runs = np.flatnonzero(~np.isnan(signal[:, 0]))
        self._add(runs, self._queried[runs], signal[runs, 0])

    def _next(self, runs: np.ndarray) -> np.ndarray:
        """The next encoding of each of the given runs, uint8 [n, V]."""
        choices, size = self._encoding.choices, self.settings.tournament
        encodings = np.empty((len(runs), len(choices)), np.uint8)
        young = self._born[runs] < self.settings.population
        encodings[young] = drawn(choices, self._streams.take(runs[young], len(choices)))
        old = runs[~young]
        uniform = self._streams.take(old, size + 2)
        entrants = (uniform[:, :size] * self.settings.population).astype(np.int64)
        best = self._fitness[old[:, None], entrants].argmax(1)
        parents = self._members[old, entrants[np.arange(len(old)), best]]
        encodings[~young] = mutated(parents, choices, uniform[:, size:])
        return encodings

    def _add(self, runs: np.ndarray, encodings: np.ndarray, fitness: np.ndarray | float) -> None:
        place = self._born[runs] % self.settings.population
        self._members[runs, place], self._fitness[runs, place] = encodings, fitness
        self._born[runs] += 1
