"""Runs for the groups of a page without any search: random cells of a small objective until the budget is spent."""

import zlib

import numpy as np

from a2v_core.search.objective import Objective
from a2v_core.search.plan import Group, Scale
from a2v_core.search.runs import ENDED_BY_SECONDS, Trajectories
from a2v_core.search.trajectories import Outcomes
from a2v_core.spaces import get_space

M = 3000
#: A page of a hundredth of the paper's budgets.
SCALE = Scale(6, 4, 3, {"nasbench101": 2, "nasbench201": 3}, 1 / 100)


def objective(n_cells=M):
    """Cells of NAS-Bench-201; a training takes 200 to 300 s, so that 10,000 s, a hundredth of 1e6 s, buy some 40."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(0.85, 0.94, n_cells)
    return Objective("made/page", get_space("nasbench201"), np.arange(n_cells), (108,), truth[None, None],
                     rng.uniform(200, 300, (1, n_cells)), truth, np.clip(truth - rng.uniform(0, 0.02, n_cells), 0, 1),
                     np.ones(n_cells, bool))


def outcomes(group: Group, on=None):
    """Runs with the seeds and the budget of the group; other groups query other cells."""
    on = on or objective()
    budget = group.arms[0].budget
    seeds = [arm.first_seed + i for arm in group.arms for i in range(arm.runs)]
    queried = []
    for seed in seeds:
        cells = np.random.default_rng([zlib.crc32(group.name.encode()), seed]).integers(0, len(on), 1500)
        queried.append(cells[np.cumsum(on.seconds[0, cells]) <= budget.seconds])
    cells = np.concatenate(queried)
    runs = Trajectories(np.array(seeds), np.array([len(q) for q in queried]),
                        np.full(len(seeds), ENDED_BY_SECONDS, np.int8), budget, cells.astype(np.int32),
                        np.full(len(cells), 108, np.int32), on.signal[0, 0, cells])
    return Outcomes(runs, on)


def of_all(groups):
    """Runs of the groups by name."""
    on = objective()
    return {group.name: outcomes(group, on) for group in groups}
