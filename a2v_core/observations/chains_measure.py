"""What is measured on the chains of one embedding (Figures 5, 11 to 13); arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from a2v_core.cells import Cells
from a2v_core.edit_distance import edit_distance
from a2v_core.observations.cell_changes import cell_changes, has_skips, is_straight
from a2v_core.observations.chains import TOLERANCE, find_points, greedy_chains, nearest_cells
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.retrieval import NearestPoints

#: Chains over all cells; over one cell a point, so that no step has length zero.
VARIANTS = ("all", "points")
#: Modules whose code decides what comes out.
COMPUTING_MODULES = (__name__, "a2v_core.observations.chains", "a2v_core.observations.cell_changes",
                     "a2v_core.edit_distance", "a2v_core.search.retrieval")
#: Nearest cells of a straight network that are looked at.
NEIGHBOURS = 10


def draw_starts(n_cells: int, count: int, seed: int) -> np.ndarray:
    """Different random rows, int64 [count]; fewer start a longer list of the same seed."""
    return np.random.default_rng([seed, 5]).permutation(n_cells)[:count]


def measure(space_name: str, cells: Cells, vectors: np.ndarray, starts: np.ndarray, steps: int, families: int,
            seed: int, tolerance: float = TOLERANCE) -> dict[str, np.ndarray]:
    """Chains of both variants from the same starts, with what changes at each step.

    Args:
        space_name: name of the search space.
        cells: M cells.
        vectors: their embedding, float32 [M, D].
        starts: rows, int64 [S].
        steps: of each chain.
        families: straight networks, and networks with skip connections, whose nearest cells are looked at (on
            NAS-Bench-101 only).
        seed: of the choice of these.
        tolerance: see :func:`a2v_core.observations.chains.find_points`.

    Returns:
        For each variant ``<variant>/rows`` int64 [S, steps + 1], ``<variant>/lengths`` float32 [S, steps] and the
        arrays of :func:`step_changes`; ``share_alone`` (% of cells alone on their point) and ``points`` (their number),
        [1]. On NAS-Bench-101, for the families ``straight`` and ``skips``, also ``<family>/straight`` and
        ``<family>/skips``, the percentages of :func:`family_shares` among the nearest cells of each of its networks,
        [families]; its chains, ``<family>/rows`` and ``<family>/lengths``; and the percentages along these,
        ``<family>/chain_straight`` and ``<family>/chain_skips``, [families].
    """
    points = find_points(vectors, tolerance)
    nearest = NearestPoints(points.vectors)
    found = {"share_alone": np.array([points.share_alone]), "points": np.array([len(points)])}
    for variant in VARIANTS:
        rows, lengths = greedy_chains(points, starts, steps, nearest, one_a_point=variant == "points")
        made = {"rows": rows, "lengths": lengths, **step_changes(space_name, cells, rows)}
        found |= {f"{variant}/{name}": array for name, array in made.items()}
    if space_name == "nasbench101":
        for name, member in (("straight", is_straight(cells)), ("skips", has_skips(cells))):
            chosen = np.random.default_rng([seed, 6]).permutation(np.flatnonzero(member))[:families]
            around = nearest_cells(points, chosen, NEIGHBOURS, nearest)
            found |= {f"{name}/{key}": share for key, share in family_shares(cells, around).items()}
            rows, lengths = greedy_chains(points, chosen, steps, nearest)
            found |= {f"{name}/rows": rows, f"{name}/lengths": lengths, **{
                f"{name}/chain_{key}": share for key, share in family_shares(cells, rows[:, 1:]).items()}}
    return found


def measure_random(space_name: str, cells: Cells, starts: np.ndarray, steps: int, seed: int) -> dict[str, np.ndarray]:
    """The same for chains whose next cell is any cell at random, under the variant "all"; the families' shares are
    those of the whole space."""
    rng = np.random.default_rng([seed, 7])
    rows = np.column_stack([starts, rng.integers(len(cells), size=(len(starts), steps))])
    made = {"rows": rows, **step_changes(space_name, cells, rows)}
    found = {f"all/{name}": array for name, array in made.items()}
    if space_name == "nasbench101":
        everywhere = family_shares(cells, np.arange(len(cells)))
        found |= {f"{family}/{prefix}{key}": everywhere[key][None]
                  for family in everywhere for key in everywhere for prefix in ("", "chain_")}
    return found


def step_changes(space_name: str, cells: Cells, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What changes from each cell of a chain to the next, float64 [S, steps]; NaN where a chain has ended.

    ``edits``: NAS-Bench-101, the exact graph edit distance. Other spaces: ``operations`` and ``edges`` changed, and
    ``same_edges`` (1 where the edges can be matched without a change), see
    :func:`a2v_core.observations.cell_changes.cell_changes`.
    """
    first, second = rows[:, :-1].ravel(), rows[:, 1:].ravel()
    there = np.flatnonzero((first != NO_CELL) & (second != NO_CELL))
    pair = (cells[first[there]], cells[second[there]])
    if space_name == "nasbench101":
        values = {"edits": edit_distance(*pair)}
    else:
        changes = cell_changes(space_name, *pair)
        values = {"operations": changes.operations, "edges": changes.edges, "same_edges": changes.same_edges}
    found = {}
    for name, value in values.items():
        found[name] = np.full(len(first), np.nan)
        found[name][there] = value
        found[name] = found[name].reshape(rows.shape[0], -1)
    return found


def family_shares(cells: Cells, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Percentage of straight networks, and of networks with skip connections, among rows [..., K] of cells that are
    there, float64 [...]."""
    chosen = cells[rows.ravel()]
    return {"straight": 100 * is_straight(chosen).reshape(rows.shape).mean(-1),
            "skips": 100 * has_skips(chosen).reshape(rows.shape).mean(-1)}
