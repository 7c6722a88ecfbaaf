"""Greedy chains through a latent space: from a cell to the nearest one not visited yet, again and again (Figures 5, 11
to 13).

Many cells can share one embedding: on NAS-Bench-101 arch2vec gives equal vectors to cells that are equal as undirected
graphs, and rounding decides which of them lies nearest. So a chain runs over *points*, the embeddings that differ by
more than rounding, and every tie is broken by the order of the space: of the cells on a point the one with the lowest
row comes first, of points at equal distance the one that holds the lowest row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.retrieval import NearestPoints

#: Embeddings closer than this times the largest coordinate are one point: ten times the rounding of a float32 network,
#: and on NAS-Bench-101 a hundredth of the distance of different cells of a trained arch2vec.
TOLERANCE = 3e-5
# Shifted grids on which near vectors are looked for: two that are one point but for rounding would have to be torn
# apart in each of them.
_GRIDS = 4


@dataclass(frozen=True, eq=False)
class Points:
    """The different embeddings of M cells.

    Attributes:
        vectors: one for each point (that of its lowest row), float32 [P, D].
        label: point of each cell, int64 [M]; points are numbered by their lowest row.
        members: rows sorted by point, ascending inside it, int64 [M].
        bounds: where each point's rows begin in `members`, and the end, int64 [P + 1].
    """

    vectors: np.ndarray
    label: np.ndarray
    members: np.ndarray
    bounds: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def sizes(self) -> np.ndarray:
        """Number of cells on each point, int64 [P]."""
        return np.diff(self.bounds)

    @property
    def share_alone(self) -> float:
        """Percentage of cells that share their embedding with no other."""
        return 100 * float((self.sizes == 1).sum()) / len(self.label)

    def rows(self, point: int) -> np.ndarray:
        """Rows of the cells on a point, ascending."""
        return self.members[self.bounds[point]:self.bounds[point + 1]]


def find_points(vectors: np.ndarray, tolerance: float = TOLERANCE) -> Points:
    """Which of M vectors (float32 [M, D]) are one point: those linked by steps of at most about `tolerance` times the
    largest modulus of a coordinate.

    Two vectors are linked when they fall into one box of a grid of that width, or of its shifted copies.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    m, d = vectors.shape
    width = tolerance * float(np.abs(vectors).max(initial=0)) or 1.0
    rng = np.random.default_rng(0)
    links, n_boxes = [], 0
    for _ in range(_GRIDS):
        # The number of a box is a random linear form of its coordinates, modulo 2^64.
        box = np.zeros(m, np.uint64)
        for column, shift, factor in zip(vectors.T, rng.random(d), rng.integers(1 << 62, size=d), strict=True):
            box += np.floor(column / np.float64(width) + shift).astype(np.int64).view(np.uint64) * np.uint64(factor | 1)
        number = np.unique(box, return_inverse=True)[1]
        links.append(number + m + n_boxes)
        n_boxes += int(number.max(initial=-1)) + 1
    cells = np.tile(np.arange(m), _GRIDS)
    graph = coo_array((np.ones(len(cells), bool), (cells, np.concatenate(links))), shape=(m + n_boxes,) * 2)
    found = connected_components(graph, directed=False)[1][:m]
    _, first, label = np.unique(found, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    label = rank[label]
    return Points(vectors[np.sort(first)], label, np.argsort(label, kind="stable"),
                  np.concatenate([[0], np.cumsum(np.bincount(label, minlength=len(first)))]))


def greedy_chains(points: Points, starts: np.ndarray, steps: int, nearest: NearestPoints, one_a_point: bool = False
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Chains of cells, each the nearest to the one before it among those not visited.

    Args:
        points: of the embedding.
        starts: rows of the first cells, int64 [S].
        steps: cells after the first.
        nearest: search among ``points.vectors``.
        one_a_point: a visited cell takes its whole point with it, so that no step has length zero.

    Returns:
        Rows int64 [S, steps + 1] and the length of each step float32 [S, steps] (0 inside a point); where no cell is
        left, :data:`~a2v_core.search.protocol.NO_CELL` and NaN.

    Raises:
        SettingsError: a start is no row, or `steps` is not positive.
    """
    if steps < 1 or len(starts) == 0 or min(starts) < 0 or max(starts) >= len(points.label):
        raise SettingsError(f"{steps} steps from rows {starts} of {len(points.label)} cells: give at least one step "
                            "and starts among the cells")
    rows = np.full((len(starts), steps + 1), NO_CELL)
    rows[:, 0] = starts
    lengths = np.full((len(starts), steps), np.nan, np.float32)
    # Points that a chain may not go to any more.
    closed = np.full((len(starts), steps + 1), NO_CELL)
    for step in range(steps):
        leaving = []
        for chain in range(len(starts)):
            here = rows[chain, step]
            if here == NO_CELL:
                continue
            left = _unvisited(points, points.label[here], rows[chain, :step + 1])
            if left and not one_a_point:
                rows[chain, step + 1], lengths[chain, step] = left[0], 0
            else:
                closed[chain, step] = points.label[here]
                leaving.append(chain)
        if not leaving:
            continue
        vectors = points.vectors[points.label[rows[leaving, step]]]
        targets = nearest.query(vectors, closed[leaving])
        lengths[leaving, step] = nearest.distance(vectors, targets)
        for chain, target in zip(leaving, targets, strict=True):
            if target != NO_CELL:
                rows[chain, step + 1] = _unvisited(points, target, rows[chain, :step + 1])[0]
    return rows, lengths


def nearest_cells(points: Points, starts: np.ndarray, count: int, nearest: NearestPoints) -> np.ndarray:
    """The `count` cells nearest to each start, itself left out, nearest first, int64 [S, count];
    :data:`~a2v_core.search.protocol.NO_CELL` where there are no more. Ties as in :func:`greedy_chains`.
    """
    rows = np.full((len(starts), count), NO_CELL)
    own = points.label[starts]
    filled = np.zeros(len(starts), np.int64)
    target, closed = own, np.empty((len(starts), 0), np.int64)
    while True:
        for i in np.flatnonzero((filled < count) & (target != NO_CELL)):
            found = points.rows(target[i])
            found = found[found != starts[i]][:count - filled[i]]
            rows[i, filled[i]:filled[i] + len(found)] = found
            filled[i] += len(found)
        closed = np.column_stack([closed, target])
        open_ = np.flatnonzero((filled < count) & (target != NO_CELL))
        if not len(open_):
            return rows
        target = np.full(len(starts), NO_CELL)
        target[open_] = nearest.query(points.vectors[own[open_]], closed[open_])


def _unvisited(points: Points, point: int, visited: np.ndarray) -> list[int]:
    """The lowest rows on a point that a chain has not visited, ascending; empty when there are none."""
    seen = set(visited.tolist())
    return [row for row in points.rows(point)[:len(seen) + 1].tolist() if row not in seen]
