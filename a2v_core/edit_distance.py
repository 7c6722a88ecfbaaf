"""Exact graph edit distance between cells, for many pairs at once, and the padded-matrix distance of the released code.

The distance is the least number of edits that turn one cell into the other up to the order of nodes, each of
cost 1: a node inserted, deleted or relabelled (two nodes match when their operations match), an edge inserted or
deleted. Edges are directed, padded rows are no nodes. ``networkx.graph_edit_distance`` with a node match defines the
same number.

Deleting one node and inserting another is never cheaper than relabelling the one to the other: it costs one node edit
more and at least as many edge edits. So an optimal edit path assigns every node of the smaller cell to a node of
the larger one, the distance is the least cost of N! assignments of rows to rows, and a padded row is a node without
edges whose operation is :data:`~a2v_core.cells.PAD`.

Input and output are nodes like any other. Holding them in place gives another, larger number for one random pair in
six on NAS-Bench-101, one in thirteen on DARTS and one in a thousand on NAS-Bench-201
(``benchmarks/edit_distance.py``).

The assignments are enumerated by branch and bound: all pairs advance together, row by row of the first cell, as
arrays of partial assignments. One is dropped when its cost, plus a lower bound of what is to come, is not below the
cheapest complete assignment known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SpaceError

#: More rows than this do not fit the bit masks.
MAX_ROWS = 16
# Pairs of one search, and partial assignments that are extended together: large enough that arithmetic dominates, small
# enough for the cache.
_PAIRS, _STATES = 1024, 1 << 16
# Partial assignments of a pair that the first, inexact search keeps in each row.
_BEAM = 12


def edit_distance(first: Cells, second: Cells, held: Sequence[int] = ()) -> np.ndarray:
    """Exact graph edit distance of each pair ``first[i]``, ``second[i]``, int64 [M].

    Args:
        first, second: M cells each, N rows each; any directed graphs without loops, padded rows anywhere.
        held: operation codes, say of input and output, whose nodes are assigned to nodes of the same code only; none
            for the distance as defined above.

    Raises:
        SpaceError: different shapes, more than :data:`MAX_ROWS` rows, an edge from a node to itself, or a held code
            that one cell of a pair has more often than the other.
    """
    _check(first, second)
    for code in held:
        uneven = (first.ops == code).sum(1) != (second.ops == code).sum(1)
        if uneven.any():
            raise SpaceError(f"operation {code} cannot be held: the cells of pair {int(np.argmax(uneven))} do not have "
                             "equally many nodes of it")
    distances = np.empty(len(first), np.int64)
    for start in range(0, len(first), _PAIRS):
        part = slice(start, start + _PAIRS)
        distances[part] = _Search(first[part], second[part], held).run()
    return distances


def padded_matrix_distance(first: Cells, second: Cells) -> np.ndarray:
    """Entries of the padded matrices that differ, int64 [M]: edges plus rows whose operation differs.

    The cheap distance that the released code offers beside the exact one. Nodes are matched by their row, so that it is
    an upper bound of :func:`edit_distance` that depends on the order in which a cell happens to be stored.

    Raises:
        SpaceError: different shapes.
    """
    if first.ops.shape != second.ops.shape:
        raise SpaceError(f"pairs of cells need equal shapes, got operations of {first.ops.shape} and "
                         f"{second.ops.shape}: take cells of one space, equally many on both sides")
    edges = (first.adjacency != second.adjacency).sum((1, 2))
    return edges + (first.ops != second.ops).sum(1)


def _check(first: Cells, second: Cells) -> None:
    if first.ops.shape != second.ops.shape:
        raise SpaceError(f"pairs of cells need equal shapes, got operations of {first.ops.shape} and "
                         f"{second.ops.shape}: take cells of one space, equally many on both sides")
    if first.ops.shape[1] > MAX_ROWS:
        raise SpaceError(f"cells of {first.ops.shape[1]} rows are too large for an exact edit distance: the limit is "
                         f"{MAX_ROWS}")
    for cells in (first, second):
        loops = np.diagonal(cells.adjacency, axis1=1, axis2=2).any(1)
        if loops.any():
            raise SpaceError(f"cell {int(np.argmax(loops))} has an edge from a node to itself: a cell is acyclic")


@dataclass(frozen=True)
class _States:
    """S partial assignments of the first k rows.

    Attributes:
        pair: whose they are, ascending, int64 [S].
        image: row of the second cell that each assigned row of the first goes to, uint16 bit masks [S, k].
        rows: the same as row numbers, int64 [S, k].
        used: all rows taken, uint16 bit mask [S].
        cost: of the edits decided, int64 [S].
        bound: `cost` and the least that is to come, int64 [S].
        inside: edges of the second cell among its rows not yet taken, int64 [S].
    """

    pair: np.ndarray
    image: np.ndarray
    rows: np.ndarray
    used: np.ndarray
    cost: np.ndarray
    bound: np.ndarray
    inside: np.ndarray

    def __len__(self) -> int:
        return len(self.pair)

    def __getitem__(self, chosen: np.ndarray | slice) -> _States:
        return _States(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


class _Search:
    """Exact distances of a batch of pairs by branch and bound."""

    def __init__(self, first: Cells, second: Cells, held: Sequence[int]) -> None:
        n = first.ops.shape[1]
        a1, a2 = (_edges_of_nodes(cells) for cells in (first, second))
        # The rows with most edges come first: they decide most of the cost.
        order = np.argsort(-(a1.sum(1) + a1.sum(2)), axis=1, kind="stable")
        pairs = np.arange(len(order))[:, None]
        self.n, self.n_pairs = n, len(first)
        self.a1 = a1[pairs[:, :, None], order[:, :, None], order[:, None, :]]
        self.ops1, self.ops2 = first.ops[pairs, order], second.ops
        # Edges of each row as bits: row j of the second cell feeds the rows in out2[j] and is fed by those in in2[j].
        self.out1, self.in1 = _bits(self.a1), _bits(self.a1.swapaxes(1, 2))
        self.out2, self.in2 = _bits(a2), _bits(a2.swapaxes(1, 2))
        self.edges2 = a2.sum((1, 2), dtype=np.int64)
        self.edges_after1 = np.stack([self.a1[:, k:, k:].sum((1, 2)) for k in range(n + 1)], axis=1).astype(np.int64)
        labels = np.unique(np.concatenate([self.ops1, self.ops2], axis=1))
        self.label2 = _bits(self.ops2[:, None, :] == labels[:, None])
        has1 = self.ops1[:, :, None] == labels
        self.labels_after1 = np.stack([has1[:, k:].sum(1) for k in range(n + 1)], axis=1).astype(np.uint8)
        # Nodes of the second cell with the same operation and the same neighbours are interchangeable: only the first
        # one that is not taken yet is tried. Padded rows are of this kind.
        twins = ((self.ops2[:, :, None] == self.ops2[:, None, :]) & (self.out2[:, :, None] == self.out2[:, None, :])
                 & (self.in2[:, :, None] == self.in2[:, None, :]))
        self.twins_before = _bits(np.tril(twins, -1))
        self.held1, self.held2 = (np.isin(ops, list(held)) for ops in (self.ops1, self.ops2))
        # Rows assigned as they are stored; where nodes are held that may be forbidden, and all edges edited is enough.
        self.best = padded_matrix_distance(Cells(a1, first.ops), Cells(a2, second.ops))
        if len(held):
            self.best = n + self.edges_after1[:, 0] + self.edges2 + 1

    def run(self) -> np.ndarray:
        """Distances, int64 [pairs]."""
        self._beam()
        stack = [(0, self._start())]
        while stack:
            k, states = stack.pop()
            states = states[states.bound < self.best[states.pair]]
            if k == self.n:
                np.minimum.at(self.best, states.pair, states.cost)
                continue
            # One piece after the other goes to the last row, so that few wait and what one finds prunes the next.
            stack += [(k, states[begin:begin + _STATES]) for begin in range(_STATES, len(states), _STATES)]
            if len(states):
                stack.append((k + 1, self._extend(k, states[:_STATES])))
        return self.best

    def _beam(self) -> None:
        """Lower `best` to the cost of a good assignment: in each row only the most promising partial ones go on."""
        states = self._start()
        for k in range(self.n):
            states = self._extend(k, states)
            order = np.lexsort((states.bound, states.pair))
            states = states[order]
            place = np.arange(len(states)) - np.searchsorted(states.pair, states.pair)
            states = states[place < _BEAM]
        np.minimum.at(self.best, states.pair, states.cost)

    def _start(self) -> _States:
        """One empty assignment for each pair."""
        zero = np.zeros(self.n_pairs, np.int64)
        none = np.zeros((self.n_pairs, 0), np.uint16)
        common = np.minimum(self.labels_after1[:, 0], np.bitwise_count(self.label2)).sum(1, dtype=np.int64)
        bound = np.abs(self.edges_after1[:, 0] - self.edges2) + self.n - common
        return _States(np.arange(self.n_pairs), none, none.astype(np.int64), zero.astype(np.uint16), zero, bound,
                       self.edges2)

    def _extend(self, k: int, states: _States) -> _States:
        """Every assignment of row `k` to a row not taken yet that may still lead below the best known."""
        pair, taken = states.pair, states.used[:, None]
        free = np.uint16((1 << self.n) - 1) & ~taken
        out2, in2, row = self.out2[pair], self.in2[pair], self.a1[pair, k, :k]
        to_image = (row * states.image).sum(1, dtype=np.uint16)[:, None]
        from_image = (self.a1[pair, :k, k] * states.image).sum(1, dtype=np.uint16)[:, None]
        relabelled = self.ops1[pair, k][:, None] != self.ops2[pair]
        cost = (states.cost[:, None] + relabelled
                + np.bitwise_count((out2 & taken) ^ to_image) + np.bitwise_count((in2 & taken) ^ from_image))
        inside = states.inside[:, None] - np.bitwise_count(out2 & free) - np.bitwise_count(in2 & free)
        bound = cost + np.abs(inside - self.edges_after1[pair, k + 1][:, None])
        bits = np.uint16(1) << np.arange(self.n, dtype=np.uint16)
        keep = ((free & bits) != 0) & ((self.twins_before[pair] & free) == 0) & (bound < self.best[pair][:, None])
        keep &= ~(relabelled & (self.held1[pair, k][:, None] | self.held2[pair]))
        parent, j = np.nonzero(keep)

        pair, used = pair[parent], states.used[parent] | bits[j]
        free = np.uint16((1 << self.n) - 1) & ~used
        rows = np.concatenate([states.rows[parent], j[:, None]], axis=1)
        bound = bound[parent, j] + self._edges_to_come(k, pair, rows, free) + self._labels_to_come(k, pair, free)
        children = _States(pair, np.concatenate([states.image[parent], bits[j][:, None]], axis=1), rows, used,
                           cost[parent, j], bound, inside[parent, j])
        return children[bound < self.best[pair]]

    def _edges_to_come(self, k: int, pair: np.ndarray, rows: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Least edits of edges between the assigned rows 0 to k and the others: each assigned row has some number of
        them in either cell, and the difference must be edited."""
        least = np.zeros(len(pair), np.int64)
        for i in range(k + 1):
            for edges1, edges2 in ((self.out1, self.out2), (self.in1, self.in2)):
                ahead1 = np.bitwise_count(edges1[pair, i] >> np.uint16(k + 1)).astype(np.int64)
                least += np.abs(ahead1 - np.bitwise_count(edges2[pair, rows[:, i]] & free))
        return least

    def _labels_to_come(self, k: int, pair: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Least relabellings among the rows after k: those that have no partner of the same operation."""
        common = np.minimum(self.labels_after1[pair, k + 1], np.bitwise_count(self.label2[pair] & free[:, None]))
        return self.n - 1 - k - common.sum(1, dtype=np.int64)


def _edges_of_nodes(cells: Cells) -> np.ndarray:
    """Edges between rows that are nodes, 0 or 1, uint8 [M, N, N]."""
    node = cells.ops != PAD
    return ((cells.adjacency != 0) & node[:, :, None] & node[:, None, :]).astype(np.uint8)


def _bits(rows: np.ndarray) -> np.ndarray:
    """Truth values [..., N] as bit masks, uint16 [...]: bit j for column j."""
    return ((rows != 0) * (np.uint16(1) << np.arange(rows.shape[-1], dtype=np.uint16))).sum(-1, dtype=np.uint16)
