"""Labelled graphs compared exactly, a whole space at once: colour refinement, canonical codes, numbers of encodings.

The colour of a node is its rank within its cell; the numbers of neighbours of each colour are packed into one 64-bit
word, so a round of refinement is a few array operations, exact and without hashing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SpaceError

#: Largest number of rows: eleven counts and a rank, of four bits each, share a word.
MAX_NODES = 11
_BITS = np.uint64(4)
_OWN = np.uint64(4 * MAX_NODES)
#: Rows canonised together; bounds the memory of the search tree.
_CHUNK = 1 << 15


def canonical_codes(cells: Cells, directed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A code of each cell that is equal exactly for equal labelled graphs, and the number of its automorphisms.

    Colours are refined; where nodes still share one, each node of the first such colour is singled out in turn
    and refined again. The least adjacency matrix among the leaves of this search is the code, and as many leaves
    attain it as the graph has automorphisms (padded rows are told apart from the start and do not count).

    Returns:
        codes uint8 [M, N + 16] (operations by colour, then the matrix in bits) and automorphisms int64 [M].

    Raises:
        SpaceError: more than :data:`MAX_NODES` rows, or a padded row with an edge.
    """
    matrices = neighbour_matrices(cells, directed)
    least, automorphisms = np.empty((len(cells), 2), np.uint64), np.empty(len(cells), np.int64)
    for start in range(0, len(cells), _CHUNK):
        part = slice(start, start + _CHUNK)
        owner, codes = _leaf_codes([matrix[part] for matrix in matrices], first_rank(cells.ops[part]))
        order = np.lexsort((codes[:, 1], codes[:, 0], owner))
        owner, codes = owner[order], codes[order]
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        least[part] = codes[first]
        automorphisms[part] = np.bincount(owner[(codes == codes[first][owner]).all(1)])
    as_bytes = least.astype(">u8").view(np.uint8).reshape(len(cells), 16)
    return np.hstack([np.sort(cells.ops, axis=1), as_bytes]), automorphisms


def upper_triangular_encodings(cells: Cells) -> np.ndarray:
    """Number of different upper-triangular encodings of each cell, int64 [M].

    The orders of the nodes that leave every edge pointing upward, counted over the sets that may come first, divided
    by the automorphisms, which turn an order into another with the same matrices. Padded rows stay last.

    Raises:
        SpaceError: as :func:`canonical_codes`; or a matrix is not upper triangular.
    """
    m, n = cells.ops.shape
    weights = np.int64(1) << np.arange(n, dtype=np.int64)
    before = np.einsum("mij,i->mj", (cells.adjacency != 0).astype(np.int64), weights)
    if (before >= weights).any():
        raise SpaceError("encodings are counted for upper-triangular matrices only: check cells with is_valid first")
    # A padded row comes after all rows above it, so that padding adds no orders.
    before = np.where(cells.ops == PAD, weights - 1, before)
    orders = np.zeros((1 << n, m), np.int64)
    orders[0] = 1
    for chosen in range(1, 1 << n):
        for node in range(n):
            if chosen >> node & 1:
                rest = chosen & ~(1 << node)
                orders[chosen] += np.where(before[:, node] & ~rest == 0, orders[rest], 0)
    return orders[-1] // canonical_codes(cells, directed=True)[1]


def neighbour_matrices(cells: Cells, directed: bool) -> tuple[np.ndarray, ...]:
    """bool [M, N, N]: neighbours without regard to direction; or, when directed, out- and in-neighbours."""
    n = cells.ops.shape[1]
    if n > MAX_NODES:
        raise SpaceError(f"cells of {n} rows are too large to be compared: at most {MAX_NODES}")
    edge, padded = cells.adjacency != 0, cells.ops == PAD
    if (edge & (padded[:, :, None] | padded[:, None, :])).any():
        raise SpaceError("a padded row has an edge: prune the cells first")
    reverse = edge.transpose(0, 2, 1)
    return (edge, reverse) if directed else (edge | reverse,)


def first_rank(ops: np.ndarray) -> np.ndarray:
    """Rank of each node by its operation, uint64 [M, N]; padded rows, which nothing tells apart, by their place."""
    rows = np.arange(ops.shape[1], dtype=np.uint64)
    return _rank(np.where(ops == PAD, np.uint64(PAD) + rows, ops))


def _rank(words: np.ndarray) -> np.ndarray:
    """Number of smaller words in the same cell, uint64 [M, N]."""
    rank = np.zeros(words.shape, np.uint64)
    for node in range(words.shape[1]):
        rank += words[:, node, None] < words
    return rank


def refined_rank(matrices: Sequence[np.ndarray], rank: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """One round: the new rank, and the words it orders, in which a node's rank stands above its neighbours' counts."""
    unit = np.uint64(1) << (_BITS * rank)
    words = []
    for matrix in matrices:
        word = rank << _OWN
        for node in range(rank.shape[1]):
            word += matrix[:, :, node] * unit[:, node, None]
        words.append(word)
        rank = _rank(word)
    return rank, words


def _leaf_codes(matrices: Sequence[np.ndarray], rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leaves of the search: cell of each, int64 [L], and its matrix in the order of the ranks, uint64 [L, 2]."""
    owners, codes = [], []
    owner = np.arange(len(rank))
    while len(owner):
        rank = stable_rank([matrix[owner] for matrix in matrices], rank)
        tied = (rank[:, None, :] == np.arange(rank.shape[1])[:, None]).sum(2) > 1
        leaf = ~tied.any(1)
        owners.append(owner[leaf])
        codes.append(_in_order(matrices[0][owner[leaf]], rank[leaf]))
        owner, rank, colour = owner[~leaf], rank[~leaf], tied[~leaf].argmax(1)
        row, node = np.nonzero(rank == colour[:, None])
        owner, rank = owner[row], rank[row]
        rank += rank == colour[row, None]
        rank[np.arange(len(row)), node] = colour[row]
    return np.concatenate(owners), np.concatenate(codes)


def stable_rank(matrices: Sequence[np.ndarray], rank: np.ndarray) -> np.ndarray:
    """Refine until the colours of no cell split any more."""
    while True:
        refined, _ = refined_rank(matrices, rank)
        if (refined == rank).all():
            return rank
        rank = refined


def _in_order(matrix: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Matrices with row and column i moved to their rank, bits in two words, uint64 [M, 2]."""
    order = np.argsort(rank, axis=1)
    moved = matrix[np.arange(len(rank))[:, None, None], order[:, :, None], order[:, None, :]]
    packed = np.packbits(moved.reshape(len(rank), rank.shape[1] ** 2), axis=1)
    words = np.zeros((len(rank), 16), np.uint8)
    words[:, : packed.shape[1]] = packed
    return words.view(">u8").astype(np.uint64)
