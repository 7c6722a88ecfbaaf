"""Random search: the yardstick of Tables 2 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.search.discrete import CandidateEncoding
from a2v_core.search.protocol import Problem, Proposal, Searcher
from a2v_core.search.streams import UniformStreams

SAMPLERS = ("encoding", "cells")
#: Queries proposed at a time; they do not depend on the answers, so it changes nothing but the cost.
_BLOCK = 32


def _setting(default: Any, meaning: str, source: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class RandomSearchSettings:
    """What decides a random search apart from the candidates and the seed.

    Raises:
        SettingsError: an unknown sampler.
    """

    sampler: str = _setting("encoding", "cells as often as encodings give them, or all alike",
                            "automl/nas_benchmarks draws encodings; arch2vec draws its initial cells alike", SAMPLERS)

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise SettingsError(f"setting sampler={self.sampler!r} is unknown: choose one of {', '.join(SAMPLERS)}")


#: Changes against the defaults above, which are those of automl/nas_benchmarks.
RECIPES: dict[str, dict[str, Any]] = {"released": {}, "paper": {}, "corrected": {"sampler": "cells"}}


class RandomSearch(Searcher):
    """Every query is an independent draw from all candidates, those queried before included: they cost again, and a run
    never ends by itself.

    The sampler "encoding" has the distribution of uniform encodings that are drawn again until they give a candidate,
    which is what the original amounts to: its invalid encodings cost no time and are left out of its curves. A cell is
    drawn in proportion to the number of its encodings. On NAS-Bench-101 that is far from uniform: a sixth of the draws
    give the one cell without operations, and under one percent a cell of 7 vertices (85 % of the cells).

    Raises:
        SpaceError: the sampler is "encoding" and the space has no discrete encoding.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int], settings: RandomSearchSettings = RandomSearchSettings()
                 ) -> None:
        super().__init__(problem, seeds)
        self.settings = settings
        weights = np.ones(len(problem.rows), np.int64)
        if settings.sampler == "encoding":
            weights = CandidateEncoding(problem).multiplicity
        self._upto = np.cumsum(weights)
        self._streams = UniformStreams(seeds)

    def propose(self, active: np.ndarray) -> Proposal:
        uniform = self._streams.take(np.arange(len(self.seeds)), _BLOCK)
        place = (uniform * self._upto[-1]).astype(np.int64)  # of an encoding, counting those that give candidates
        return Proposal(np.searchsorted(self._upto, place, side="right"))

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        """Nothing is learnt."""
