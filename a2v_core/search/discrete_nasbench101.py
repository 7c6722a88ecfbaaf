"""The discrete encoding of NAS-Bench-101: 21 binary edges and 5 operations, decoded by table look-up.

Half a billion encodings give 423,624 cells. To hash one takes some 0.03 ms; here it is decoded, as exactly, in under a
microsecond. What decides the cell is the graph that pruning leaves, of which there are 2,494 up to relabelling, and
the operations at its vertices: a table holds the row of every labelling of every such graph.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from a2v_core.search.discrete import DiscreteEncoding
from a2v_core.spaces.base import SearchSpace
from a2v_core.spaces.nasbench101_enumeration import MAX_EDGES, MAX_VERTICES

#: Edges in the order of their variables: the upper triangle row by row. Edge e is bit e of a graph.
EDGES = tuple(zip(*(index.tolist() for index in np.triu_indices(MAX_VERTICES, 1)), strict=True))
_LAST = MAX_VERTICES - 1
_INTERIOR = range(1, _LAST)
_N_EDGES, _N_OPS = len(EDGES), len(_INTERIOR)
#: New place of each vertex in each relabelling that keeps input and output, int64 [120, 7].
_ORDERS = np.array([(0, *order, _LAST) for order in permutations(_INTERIOR)])
_BITS = 1 << np.arange(_N_EDGES)


class NASBench101Encoding(DiscreteEncoding):
    """Variables: the edges of the upper triangle row by row, then the operations of vertices 1 to 5 (value + 1 is the
    code in the vocabulary of the space).

    An encoding is a valid cell when it has at most 9 edges and a path from the input to the output. As in
    automl/nas_benchmarks the edges are counted before pruning, unlike in the benchmark's own interface, so that 27 % of
    all encodings are valid instead of 73 %.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.choices = np.array([2] * _N_EDGES + [3] * _N_OPS)
        graphs, pruned = _pruned_graphs()
        # A pruned graph is handled through its number in `different`, [U].
        different, number = np.unique(pruned, return_inverse=True)
        self._number = np.full(1 << _N_EDGES, -1, np.int32)
        self._number[graphs] = number
        edge = different[:, None] >> np.arange(_N_EDGES) & 1
        relabelled = _relabelled(edge)
        best = relabelled.argmin(1)
        canonical, self._class = np.unique(relabelled[np.arange(len(best)), best], return_inverse=True)
        used = _used_vertices(edge)
        self._weights = np.where(used, _weights(_ORDERS[best]), 0).astype(np.uint8)
        self._isolated = np.zeros(len(canonical), np.int64)
        self._isolated[self._class] = (~used).sum(1)
        self._graphs_of_class = np.bincount(self._class[number], minlength=len(canonical))
        self._table = self._rows_of_labellings(space, different, relabelled, used)
        self._n_cells = len(space.cells())

    def _rows_of_labellings(self, space: SearchSpace, different: np.ndarray, relabelled: np.ndarray, used: np.ndarray
                            ) -> np.ndarray:
        """Row of each labelling of each canonical graph, int64 [classes, 3^5]; -1 where a rank is no labelling.

        A cell whose graph has automorphisms has several labellings. All of them are reached by the relabellings that
        take the cell's graph to the canonical one, so every labelling gets its row.
        """
        cells = space.cells()
        adjacency, n = cells.adjacency.copy(), cells.n_nodes
        every = np.arange(len(cells))
        output = adjacency[every, :, n - 1]
        adjacency[every, :, n - 1] = 0
        adjacency[:, :, _LAST] = output  # small cells have their output further up
        number = np.searchsorted(different, adjacency[:, *np.transpose(EDGES)] @ _BITS)
        labels = np.where(used[number], cells.ops[:, 1:_LAST] - 1, 0).astype(np.int64)
        table = np.full((self._isolated.size, 3**_N_OPS), -1)
        leads_to_canonical = relabelled == relabelled.min(1, keepdims=True)
        for order, leads in zip(_ORDERS, leads_to_canonical.T, strict=True):
            cell = np.flatnonzero(leads[number])
            table[self._class[number[cell]], labels[cell] @ _weights(order)] = cell
        return table

    def rows(self, encodings: np.ndarray) -> np.ndarray:
        number = self._number[encodings[..., :_N_EDGES] @ _BITS]
        rank = (encodings[..., _N_EDGES:] * self._weights[number]).sum(-1)  # at most 3^5 - 1
        return np.where(number < 0, -1, self._table[self._class[number], rank])

    def multiplicity(self) -> np.ndarray:
        """How many of the 2^21 · 3^5 encodings give each cell: each graph of its class, each of its labellings, and any
        operation at each vertex that is pruned; int64 [423624]."""
        graph_class, rank = np.nonzero(self._table >= 0)
        cell = self._table[graph_class, rank]
        encodings_of_labelling = self._graphs_of_class * 3**self._isolated
        result = np.zeros(self._n_cells, np.int64)
        np.add.at(result, cell, encodings_of_labelling[graph_class])
        return result


def _pruned_graphs() -> tuple[np.ndarray, np.ndarray]:
    """Graphs of at most 9 edges that have a path, and each without the edges that lie on none; int64 each."""
    graphs = np.arange(1 << _N_EDGES)
    graphs = graphs[sum(graphs >> e & 1 for e in range(_N_EDGES)) <= MAX_EDGES]
    edge = [(graphs >> e & 1).astype(bool) for e in range(_N_EDGES)]
    from_input = [np.full(len(graphs), v == 0) for v in range(MAX_VERTICES)]
    to_output = [np.full(len(graphs), v == _LAST) for v in range(MAX_VERTICES)]
    for e, (i, j) in enumerate(EDGES):  # edges into i come before those out of i
        from_input[j] |= edge[e] & from_input[i]
    for e, (i, j) in reversed(list(enumerate(EDGES))):
        to_output[i] |= edge[e] & to_output[j]
    pruned = np.zeros_like(graphs)
    for e, (i, j) in enumerate(EDGES):
        pruned |= (edge[e] & from_input[i] & to_output[j]).astype(np.int64) << e
    return graphs[from_input[_LAST]], pruned[from_input[_LAST]]


def _relabelled(edge: np.ndarray) -> np.ndarray:
    """Each graph, int64 [U, 21] of 0 and 1, after each relabelling, int64 [U, 120]; larger than every graph where an
    edge would point downward."""
    position = np.zeros((MAX_VERTICES, MAX_VERTICES), np.int64)
    position[tuple(np.transpose(EDGES))] = np.arange(_N_EDGES)
    source, target = _ORDERS[:, [i for i, _ in EDGES]], _ORDERS[:, [j for _, j in EDGES]]
    moved = np.where(source < target, 1 << position[source, target], 1 << _N_EDGES)
    return edge @ moved.T


def _used_vertices(edge: np.ndarray) -> np.ndarray:
    """Which vertices 1 to 5 have an edge, bool [U, 5]; edge int64 [U, 21]."""
    touches = np.array([[vertex in pair for vertex in _INTERIOR] for pair in EDGES])
    return edge @ touches > 0


def _weights(order: np.ndarray) -> np.ndarray:
    """What the operation of vertices 1 to 5 weighs in the rank of a labelling: 3^(new place - 1), int64 [..., 5]."""
    return 3 ** (order[..., 1:_LAST] - 1)
