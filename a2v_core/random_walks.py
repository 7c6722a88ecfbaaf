"""Random walks through a search space, one edit a step (paper, Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from a2v_core.cells import Cells
from a2v_core.errors import SettingsError, SpaceError
from a2v_core.spaces.base import SearchSpace


def random_walk(space: SearchSpace, length: int, seed: int, start: Cells | None = None, progress: bool = False
                ) -> Cells:
    """`length` cells, each drawn uniformly from the neighbours (``space.neighbours``) of the one before; a cell may
    come again.

    On NAS-Bench-101 and NAS-Bench-201 consecutive cells are at graph edit distance 1. On NAS-Bench-101 the number of
    vertices cannot change on the way, since a vertex alone is on no path: a walk from a cell of 7 vertices stays among
    them, which is how the released code confines it. On DARTS a step changes one operation (distance 1) or one input of
    the genotype (distance 2 to 4: an input is one edge, an intermediate node two). There only steps of the first kind
    have distance 1, and a walk of those alone would never leave its first graph.

    Args:
        length: number of cells, the first one included.
        seed: of the first cell and of every step.
        start: the first cell, a batch of one; when None, uniformly one of the space's cells without padded rows.
        progress: show a bar.

    Raises:
        SettingsError: `length` is not positive.
        SpaceError: a cell without neighbours, or `start` is not a single valid cell.
    """
    if length < 1:
        raise SettingsError(f"a walk of {length} cells: give at least 1")
    rng = np.random.default_rng(seed)
    if start is None:
        cells = space.cells()
        start = cells[int(rng.choice(np.flatnonzero(cells.n_nodes == space.n_nodes)))]
    walk = [start]
    for _ in tqdm(range(length - 1), desc=f"random walk on {space.name}", unit="step", disable=not progress):
        neighbours = space.neighbours(walk[-1])
        if not len(neighbours):
            raise SpaceError(f"cell {len(walk) - 1} of the walk has no neighbour in {space.name}: start elsewhere")
        walk.append(neighbours[int(rng.integers(len(neighbours)))])
    return Cells(np.concatenate([cell.adjacency for cell in walk]), np.concatenate([cell.ops for cell in walk]))


def lag_pairs(length: int, lags: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of a walk's cells that are so many steps apart: earlier cell, later cell, steps, int64 [pairs] each.

    Raises:
        SettingsError: a lag is not positive, or none is shorter than the walk.
    """
    if not lags or min(lags) < 1 or min(lags) >= length:
        raise SettingsError(f"lags {list(lags)} on a walk of {length} cells: give positive ones below its length")
    first = [np.arange(length - lag) for lag in lags if lag < length]
    steps = np.repeat([lag for lag in lags if lag < length], [len(part) for part in first])
    first = np.concatenate(first)
    return first, first + steps, steps
