"""Small problems with made accuracies, and a loop of queries, for tests of single search methods."""

import numpy as np

from a2v_core.search.protocol import NO_CELL, Problem
from a2v_core.spaces import get_space


def problem(name="nasbench201", rows=None):
    space = get_space(name)
    rows = np.arange(len(space.cells())) if rows is None else np.asarray(rows)
    return Problem(space, space.cells()[rows], rows)


def one_target(problem, target=7):
    """Accuracy by the number of operations that a NAS-Bench-201 cell shares with one of the space, float64 [M]."""
    ops = problem.cells.ops
    return 0.2 + 0.1 * (ops[:, 1:7] == problem.space.cells().ops[target, 1:7]).sum(1)


def answer(searcher, accuracy, n, active=None):
    """Let all runs make n queries or more; the proposed candidates, int64 [R, >= n]. Ended runs propose none."""
    active = np.ones(len(searcher.seeds), bool) if active is None else active.copy()
    proposed, made = [], 0
    while made < n and active.any():
        proposal = searcher.propose(active.copy())
        cells = np.where(active[:, None], proposal.cells, NO_CELL)
        searcher.observe(proposal, np.where(cells == NO_CELL, np.nan, accuracy[cells]))
        active &= (cells != NO_CELL).any(1)
        proposed.append(cells)
        made += cells.shape[1]
    return np.concatenate(proposed, axis=1)
