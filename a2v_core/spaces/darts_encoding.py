"""DARTS cells as arrays: edges, 11-node matrices, the conditions of Appendix B, and isomorphism-proof keys.

Two array forms of M cells:

- :class:`Edges`: what a genotype says, ``ops`` and ``inputs`` uint8 [M, 8];
- :class:`~a2v_core.cells.Cells` with N = 11 (paper, Appendix A.3): c_{k-2}, c_{k-1}, the two operation nodes of each
  of the four intermediate nodes (rows 2 + 2j and 3 + 2j belong to node j), output c_k. An edge that reads an
  intermediate node comes from both of its operation nodes; all eight operation nodes feed the output.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import NamedTuple

import numpy as np

from a2v_core.cells import Cells
from a2v_core.errors import SpaceError
from a2v_core.spaces.darts_genotypes import N_EDGES, N_INTERMEDIATE, OPERATIONS

#: Labels of the nodes in the paper's order (Appendix A.3); zero is "none", identity is "skip_connect".
VOCABULARY = ("c_k-2", "c_k-1", *OPERATIONS, "c_k")
N_NODES = 3 + N_EDGES
FIRST_OPERATION = VOCABULARY.index(OPERATIONS[0])
OUTPUT = VOCABULARY.index("c_k")
#: The intermediate node of each edge, int [8].
NODE_OF_EDGE = np.arange(N_EDGES) // 2
#: The other edge of the same node.
_PARTNER = np.arange(N_EDGES) ^ 1
_OPERATION_ROWS = slice(2, 2 + N_EDGES)
#: Rows that feed an edge reading state s, uint8 [6, 11].
_SOURCE_ROWS = np.zeros((2 + N_INTERMEDIATE, N_NODES), dtype=np.uint8)
_SOURCE_ROWS[[0, 1], [0, 1]] = 1
for _state in range(2, 2 + N_INTERMEDIATE):
    _SOURCE_ROWS[_state, [2 * _state - 2, 2 * _state - 1]] = 1
_NO_STATE = 255
#: State that a column of the adjacency matrix, read as an 11-bit number, says it reads; uint8 [2048].
_STATE_OF_BITS = np.full(1 << N_NODES, _NO_STATE, dtype=np.uint8)
_STATE_OF_BITS[_SOURCE_ROWS @ (1 << np.arange(N_NODES))] = np.arange(2 + N_INTERMEDIATE)
_OPERATION_BITS = (1 << (2 + N_EDGES)) - (1 << 2)

_GENOTYPE_TAG, _OTHER_TAG = 1, 2


class Edges(NamedTuple):
    """M genotypes: `ops` uint8 [M, 8], codes in :data:`VOCABULARY` (2 … 9); `inputs` uint8 [M, 8], the state read
    (0 is c_{k-2}, 1 is c_{k-1}, 2 + j is intermediate node j); edges 2j and 2j + 1 enter node j."""

    ops: np.ndarray
    inputs: np.ndarray


def edges_to_cells(edges: Edges) -> Cells:
    """The 11-node matrices of M genotypes."""
    m = len(edges.ops)
    adjacency = np.zeros((m, N_NODES, N_NODES), dtype=np.uint8)
    adjacency[:, :, _OPERATION_ROWS] = _SOURCE_ROWS[edges.inputs].transpose(0, 2, 1)
    adjacency[:, _OPERATION_ROWS, -1] = 1
    ops = np.empty((m, N_NODES), dtype=np.uint8)
    ops[:, 0], ops[:, 1], ops[:, -1] = 0, 1, OUTPUT
    ops[:, _OPERATION_ROWS] = edges.ops
    return Cells(adjacency, ops)


def cells_to_edges(cells: Cells) -> Edges:
    """The genotypes of M strictly valid cells.

    Raises:
        SpaceError: a cell is not strictly valid; the message gives its index and what it violates.
    """
    valid = is_genotype(cells)
    if not valid.all():
        i = int(np.argmin(valid))
        broken = [k + 1 for k, holds in enumerate(appendix_b(cells[i])[0]) if not holds]
        detail = f"conditions {broken} of Appendix B" if broken else "labels or edges that no genotype has"
        raise SpaceError(f"cell {i} of {len(cells)} is no DARTS cell ({detail}): filter with is_valid first")
    return _edges(cells)


def check_shape(cells: Cells) -> None:
    """Raises SpaceError when the matrices are not of 11 nodes."""
    if cells.ops.shape[1] != N_NODES:
        raise SpaceError(f"DARTS cells have {N_NODES} nodes, got matrices of {cells.ops.shape[1]} rows")


def appendix_b(cells: Cells) -> np.ndarray:
    """The six validity conditions of the paper's Appendix B, bool [M, 6], each tested by itself.

    1. the first two nodes are c_{k-2} and c_{k-1};
    2. the last node is c_k;
    3. no node but the two inputs lacks a predecessor;
    4. no node but the output lacks a successor (the first intermediate node always reads both inputs);
    5. "each intermediate node must contain two edges from the previous nodes" — read as: each of the two operation
       nodes of an intermediate node reads exactly one state (an input, or both operation nodes of one earlier
       intermediate node), and the two states differ. This is what lets a matrix be read back as a genotype;
    6. the matrix is binary and strictly upper triangular.
    """
    check_shape(cells)
    a, ops = cells.adjacency, cells.ops
    states, _ = _read(a)
    present = a != 0
    return np.stack(
        [
            (ops[:, 0] == 0) & (ops[:, 1] == 1),
            ops[:, -1] == OUTPUT,
            present[:, :, 2:].any(1).all(1),
            present[:, :-1, :].any(2).all(1),
            ((states < 2 + NODE_OF_EDGE) & (states != states[:, _PARTNER])).all(1),
            (a <= 1).all((1, 2)) & ~present[:, *np.tril_indices(N_NODES)].any(1),
        ],
        axis=1,
    )


def is_genotype(cells: Cells) -> np.ndarray:
    """True where a matrix is exactly the encoding of a genotype, bool [M]: the six conditions, the eight inner labels
    are operations, the output reads all eight operation nodes (Appendix A.3: "the concatenation of all of the
    intermediate nodes") and nothing else, and c_{k-1} does not read c_{k-2}."""
    conditions = appendix_b(cells).all(1)
    inner = cells.ops[:, _OPERATION_ROWS]
    legal = ((inner >= FIRST_OPERATION) & (inner < OUTPUT)).all(1)
    whole = (_read(cells.adjacency)[1] == _OPERATION_BITS) & (cells.adjacency[:, 0, 1] == 0)
    return conditions & legal & whole


def cell_keys(cells: Cells) -> np.ndarray:
    """Keys of M matrices, bytes [M] of length 8: equal exactly when two cells are isomorphic as labelled graphs,
    whatever the order of their rows. A matrix that is no relabelled genotype gets a digest of its bytes."""
    check_shape(cells)
    keys = np.empty(len(cells), dtype="S8")
    direct = is_genotype(cells)
    keys[direct] = edge_keys(_edges(cells[direct]))
    other = np.flatnonzero(~direct)
    if len(other):
        edges, readable = _reordered(cells[other])
        keys[other[readable]] = edge_keys(Edges(edges.ops[readable], edges.inputs[readable]))
        for i in other[~readable]:
            digest = hashlib.blake2b(cells.adjacency[i].tobytes() + cells.ops[i].tobytes(), digest_size=7).digest()
            keys[i] = digest + bytes([_OTHER_TAG])
    return keys


def edge_keys(edges: Edges) -> np.ndarray:
    """Canonical form of each genotype under isomorphism of the 11-node graphs, bytes [M] of length 8.

    In the graph, the two operation nodes of an intermediate node are recognised by their common successors if
    some edge reads that node. Operation nodes that feed the output alone have nothing that pairs them, so
    the graph holds them as one multiset. The canonical form therefore is: the nodes that are read, in the order (of
    at most 3! orders) that gives the least code, two sorted edges each; then the sorted edges of all the others.
    """
    m = len(edges.ops)
    nodes = np.arange(N_INTERMEDIATE)
    is_read = (edges.inputs[:, :, None] == nodes + 2).any(1)
    slots = np.argsort(~is_read, axis=1, kind="stable")  # nodes that are read first
    n_read = is_read.sum(1)
    rank = np.argsort(slots, axis=1)  # new place of each node
    state = np.concatenate([np.broadcast_to([0, 1], (m, 2)), rank + 2], axis=1)
    inputs = np.take_along_axis(state, edges.inputs.astype(np.intp), axis=1)
    columns = (2 * slots[:, :, None] + [0, 1]).reshape(m, N_EDGES)
    inputs = np.take_along_axis(inputs, columns, axis=1)
    ops = np.take_along_axis(edges.ops, columns, axis=1).astype(np.int64) - FIRST_OPERATION
    codes = np.empty(m, dtype=np.uint64)
    for n in range(N_INTERMEDIATE):
        of_n = np.flatnonzero(n_read == n)
        codes[of_n] = _least_code(ops[of_n], inputs[of_n], n)
    keys = (codes << np.uint64(10)) | (n_read.astype(np.uint64) << np.uint64(8)) | np.uint64(_GENOTYPE_TAG)
    return keys.astype(">u8").view("S8")


def _least_code(ops: np.ndarray, inputs: np.ndarray, n: int) -> np.ndarray:
    """Least 48-bit code over the orders of the first n nodes; `ops` (0 … 7) and `inputs` int64 [M, 8]."""
    least = np.full(len(ops), np.iinfo(np.uint64).max, dtype=np.uint64)
    weights = np.uint64(64) ** np.arange(N_EDGES, dtype=np.uint64)
    for order in itertools.permutations(range(n)):
        renamed = np.arange(2 + N_INTERMEDIATE)
        renamed[2 + np.array(order, dtype=np.intp)] = 2 + np.arange(n)
        edge = 8 * renamed[inputs] + ops
        pairs = edge[:, : 2 * n].reshape(len(ops), n, 2)[:, list(order)]
        rest = np.sort(edge[:, 2 * n :], axis=1)
        form = np.concatenate([np.sort(pairs, axis=2).reshape(len(ops), 2 * n), rest], axis=1)
        least = np.minimum(least, (form.astype(np.uint64) * weights).sum(1, dtype=np.uint64))
    return least


def _edges(cells: Cells) -> Edges:
    return Edges(cells.ops[:, _OPERATION_ROWS].copy(), _read(cells.adjacency)[0])


def _read(adjacency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The state read by each operation node, uint8 [M, 8] (255: none or several), and the rows that feed the
    output as bits, uint16 [M]."""
    packed = np.packbits(adjacency, axis=1, bitorder="little").astype(np.uint16)
    bits = packed[:, 0] | (packed[:, 1] << 8)
    return _STATE_OF_BITS[bits[:, _OPERATION_ROWS]], bits[:, -1]


def _reordered(cells: Cells) -> tuple[Edges, np.ndarray]:
    """Read relabelled genotypes: rows are sorted so that producers come first and the two operation nodes of
    one intermediate node are adjacent. Returns edges and, bool [M], where the matrix could be read."""
    a = cells.adjacency != 0
    labels = cells.ops.astype(np.int64)
    is_op = (labels >= FIRST_OPERATION) & (labels < OUTPUT)
    among_ops = a & is_op[:, :, None] & is_op[:, None, :]
    # Height: longest path over operation nodes, at most one per intermediate node; producers stand higher.
    height = np.zeros(labels.shape, dtype=np.int64)
    for _ in range(N_INTERMEDIATE):
        height = (among_ops * (height[:, None, :] + 1)).max(2)
    consumers = among_ops @ (1 << np.arange(N_NODES))
    rank = np.where(is_op, 2 + N_INTERMEDIATE - height, np.where(labels < FIRST_OPERATION, labels, N_NODES))
    order = np.argsort((rank << N_NODES) | consumers, axis=1, kind="stable")
    sorted_labels = np.take_along_axis(labels, order, axis=1)
    m = np.arange(len(labels))[:, None, None]
    adjacency = cells.adjacency[m, order[:, :, None], order[:, None, :]]
    states, output = _read(adjacency)
    expected = np.take_along_axis(is_op, order, axis=1)[:, _OPERATION_ROWS].all(1)
    expected &= (sorted_labels[:, :2] == [0, 1]).all(1) & (sorted_labels[:, -1] == OUTPUT)
    expected &= (adjacency <= 1).all((1, 2)) & (states < 2 + NODE_OF_EDGE).all(1)
    expected &= (output == _OPERATION_BITS) & ~(adjacency[:, :, :2].any((1, 2)) | adjacency[:, -1].any(1))
    return Edges(sorted_labels[:, _OPERATION_ROWS].astype(np.uint8), states), expected
