"""A small space, its objectives and a small searcher, as another package would bring them."""

import os
from dataclasses import dataclass
from signal import SIGKILL

import numpy as np

from a2v_core.search.objective import Objective
from a2v_core.search.protocol import NO_CELL, Proposal, Searcher
from a2v_core.spaces.nasbench201 import NASBench201

M = 60
BUDGET_SECONDS = {"made": 200.0, "noisy": 300.0}
ENTRY_POINTS = """[a2v_core.spaces]
made = made_search:MadeSpace
[a2v_core.objectives]
made = made_search
[a2v_core.search_methods]
made = made_method:METHOD
"""


class MadeSpace(NASBench201):
    """NAS-Bench-201 under another name."""

    name = "made"


SPACE = MadeSpace()


def objective(name="made", data_dir=""):
    """60 cells. "made" has one fidelity; "noisy" has two and up to three repeats."""
    rng = np.random.default_rng(5)
    f, k = (1, 1) if name == "made" else (2, 3)
    truth = rng.uniform(0.3, 0.9, M)
    paid = np.clip(truth + rng.normal(0, 0.02, (f, k, M)), 0, 1)
    if k > 1:
        paid[:, 1, ::2] = np.nan
        paid[:, 0, ::3] = np.nan
    return Objective(f"made/{name}", SPACE, np.arange(100, 100 + 3 * M, 3),
                     (12,) if f == 1 else (4, 12), paid, np.outer([10.0, 30.0][-f:], rng.uniform(0.5, 1.5, M)), truth,
                     np.clip(truth + rng.normal(0, 0.01, M), 0, 1), np.ones(M, bool), {"table": "digest"})


@dataclass(frozen=True)
class MadeSearcherSettings:
    """How many cells a proposal holds. With a marker file, the first process to make the run of seed `fatal` kills
    itself in the middle of it."""

    batch: int = 4
    marker: str = ""
    fatal: int = -1


RECIPES = {"released": {}, "paper": {"batch": 1}, "corrected": {"batch": 7}}


class MadeSearcher(Searcher):
    """Every cell once, in a random order, the fidelities by turns."""

    def __init__(self, problem, seeds, settings=MadeSearcherSettings()):
        super().__init__(problem, seeds)
        self.settings = settings
        self.order = np.stack([np.random.default_rng(seed).permutation(len(problem.cells)) for seed in self.seeds])
        self.asked = 0
        self.observed = []

    def propose(self, active):
        cells = self.order[:, self.asked:self.asked + self.settings.batch]
        if not cells.shape[1]:
            return Proposal(np.full((len(self.seeds), 1), NO_CELL))
        places = np.arange(self.asked, self.asked + cells.shape[1])
        self.asked += cells.shape[1]
        return Proposal(cells, np.broadcast_to(places % len(self.problem.epochs), cells.shape))

    def observe(self, proposal, signal):
        self.observed.append((proposal.cells, signal))
        marker = self.settings.marker
        if len(self.observed) == 2 and marker and self.settings.fatal in self.seeds and not os.path.exists(marker):
            with open(marker, "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
            os.kill(os.getpid(), SIGKILL)
