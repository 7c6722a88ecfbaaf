"""What differs between two cells, node by node: which operations and edges are new once the nodes are matched.

The graph edit distance alone (:mod:`a2v_core.edit_distance`) does not tell which operation a drawing should mark, and
the row of a node means nothing on NAS-Bench-101, nor which of two edges of a DARTS node comes first. So the nodes of
two cells are laid on each other in the way that leaves the fewest changes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError


@dataclass(frozen=True, eq=False)
class Changes:
    """From each of M cells to its partner.

    Attributes:
        operations: nodes that are relabelled, inserted or deleted, int64 [M].
        edges: edges that are inserted or deleted, int64 [M].
        same_edges: some matching leaves no edge changed, bool [M].
        new_nodes: rows of the partner that are relabelled or inserted, bool [M, N].
        new_edges: its edges that are inserted, bool [M, N, N].
    """

    operations: np.ndarray
    edges: np.ndarray
    same_edges: np.ndarray
    new_nodes: np.ndarray
    new_edges: np.ndarray

    def marks(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """New nodes and edges of each partner, as :func:`a2v_core.plotting.draw_cells` takes them."""
        return list(zip(self.new_nodes, self.new_edges, strict=True))


def cell_changes(space_name: str, first: Cells, second: Cells) -> Changes:
    """Changes from ``first[i]`` to ``second[i]`` under the matching with the fewest changes in all.

    Operations and edges count alike; of several such matchings the one that leaves input and output alone, then the one
    with the fewest operations changed, then the one with the fewest nodes in another row.

    On NAS-Bench-101 every matching of rows is tried, so that the sum is the graph edit distance. On NAS-Bench-201 the
    place of an operation is part of the cell and rows are compared. On DARTS the intermediate nodes and the two
    operation nodes of each may change places.

    Raises:
        SettingsError: unequal numbers of cells, or an unknown space.
    """
    if first.ops.shape != second.ops.shape:
        raise SettingsError(f"changes are between pairs of cells of one space, got operations of {first.ops.shape} and "
                            f"{second.ops.shape}")
    orders = _orders(space_name, first.ops.shape[1])
    moved = (orders != np.arange(orders.shape[1])).sum(1)
    found = [_pair(first.adjacency[i], first.ops[i], second.adjacency[i], second.ops[i], orders, moved)
             for i in range(len(first))]
    n = first.ops.shape[1]
    counts = np.array([f[:3] for f in found], np.int64).reshape(-1, 3)
    return Changes(counts[:, 0], counts[:, 1], counts[:, 2] == 0, np.array([f[3] for f in found]).reshape(-1, n),
                   np.array([f[4] for f in found]).reshape(-1, n, n))


def is_straight(cells: Cells) -> np.ndarray:
    """Whether a cell is a straight network, one path from input to output with nothing beside it, bool [M]."""
    return _backbone(cells) & (cells.adjacency.sum((1, 2)) == cells.n_nodes - 1)


def has_skips(cells: Cells) -> np.ndarray:
    """Whether a cell is a path through all its nodes with at least one edge more, a skip connection, bool [M]."""
    return _backbone(cells) & (cells.adjacency.sum((1, 2)) > cells.n_nodes - 1)


def _backbone(cells: Cells) -> np.ndarray:
    """Whether every node feeds the next row: a graph with a path through all nodes has but one topological order."""
    chain = np.diagonal(cells.adjacency, 1, 1, 2) != 0
    return (chain == (cells.ops[:, 1:] != PAD)).all(1) & (cells.n_nodes > 1)


def _pair(a1: np.ndarray, o1: np.ndarray, a2: np.ndarray, o2: np.ndarray, orders: np.ndarray, moved: np.ndarray
          ) -> tuple[int, int, int, np.ndarray, np.ndarray]:
    """Changed operations and edges, the fewest changed edges of any matching, new nodes, new edges of one pair."""
    ops = o1[orders] != o2
    adjacency = a1[orders[:, :, None], orders[:, None, :]]
    n_ops, n_edges = ops.sum(1), (adjacency != a2).sum((1, 2))
    ends = ops[:, np.isin(o2, (o2[0], o2[o2 != PAD][-1]))].any(1)
    best = np.lexsort((moved, n_ops, ends, n_ops + n_edges))[0]
    return (n_ops[best], n_edges[best], n_edges.min(), ops[best] & (o2 != PAD), (a2 != 0) & (adjacency[best] == 0))


@lru_cache
def _orders(space_name: str, n: int) -> np.ndarray:
    """Ways to lay the rows of one cell on those of another, int64 [ways, n]."""
    if space_name == "nasbench101":
        return np.array(list(itertools.permutations(range(n))))
    if space_name == "nasbench201":
        return np.arange(n)[None]
    if space_name == "darts":
        pairs = [(row, row + 1) for row in range(2, n - 1, 2)]
        return np.array([[0, 1, *itertools.chain.from_iterable(choice), n - 1]
                         for order in itertools.permutations(pairs)
                         for choice in itertools.product(*((pair, pair[::-1]) for pair in order))])
    raise SettingsError(f"no rule how nodes of {space_name!r} correspond: known are nasbench101, nasbench201 and darts")
